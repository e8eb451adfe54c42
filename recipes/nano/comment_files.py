"""Makes the side files of a checkpoint that its comments need: the average photo, and the runs of words of the critiques.

    python recipes/nano/comment_files.py --data DATA --critiques DATA/critiques/comments.parquet --model build/nano/personal

The average photo is the mean of what the checkpoint sees of some photos of training. Of the critiques a Bloom filter is written:
a run of words can be looked up in it, and none be read from it.
"""

import argparse
import random
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.engine.engine import DEFAULT_BATCH_SIZE
from aesthetic_mllm.engine.visual_tokens import tokens_of
from aesthetic_mllm.inference.mean_visual_tokens import MEAN_VISUAL_TOKENS, mean_photo
from aesthetic_mllm.processing.checkpoint_side_files import SideFile
from aesthetic_mllm.tasks.ngram_overlap import TRAINING_NGRAMS, TrainingNgrams
from exam import split_photos

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--critiques", type=Path, required=True, help="parquet with a column comment")
    parser.add_argument("--model", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--photos", type=int, default=512, help="to take the mean of")
    arguments = parser.parse_args()
    texts = pd.read_parquet(arguments.critiques)["comment"].astype(str)
    known = TrainingNgrams.of_texts(texts)
    share = np.unpackbits(known.bits).mean()
    print(f"{TRAINING_NGRAMS}: {len(known.bits) / 1e6:.1f} MB of {len(texts)} texts, {share:.0%} of the bits set")

    assessor = AestheticAssessor.from_pretrained(arguments.model, device="cpu")
    photos, _ = split_photos(arguments.data)
    chosen = random.Random(SEED).sample(photos, arguments.photos)

    def see(start: int) -> dict[str, torch.Tensor]:
        batch = chosen[start : start + DEFAULT_BATCH_SIZE]
        return tokens_of(assessor.engine.encode([assessor.engine.read(photo.path) for photo in batch]).features)

    mean = mean_photo(map(see, range(0, len(chosen), DEFAULT_BATCH_SIZE)))
    assessor.processor.side_files |= {TRAINING_NGRAMS: known.to_side_file(), MEAN_VISUAL_TOKENS: SideFile(mean)}
    assessor.processor.save_pretrained(arguments.model)
    print(f"{MEAN_VISUAL_TOKENS}: the mean of {len(chosen)} photos")


if __name__ == "__main__":
    main()
