# /// script
# requires-python = ">=3.11"
# dependencies = ["aesthetic-mllm[train]"]
# ///
"""Teaches a model's alignment module from unlabelled photos: what `aesthetic-mllm train align` does, as a script to extend.

    python examples/align.py --model my-model --output build/align holiday/ more-photos/

OUTPUT/aligned is the finished checkpoint. README.md tells how to build a model to start from.
"""

import argparse
import logging
from pathlib import Path

import torch
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_dataset import PretextDataset
from aesthetic_mllm.pretext.pretext_samples import PretextSampleMaker
from aesthetic_mllm.trainers import AestheticAlignmentConfig, AestheticAlignmentTrainer
from aesthetic_mllm.trainers.recipes import measure_pool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", help="folders of photos, or parquet files with an image column")
    parser.add_argument("--model", required=True, help="folder or Hub id of a checkpoint whose alignment module is to learn")
    parser.add_argument("--output", type=Path, default=Path("build/align"))
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=float, default=3.0, help="each photo teaches all three levels in three epochs")
    parser.add_argument("--max-steps", type=int, default=-1, help="stop earlier")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)

    # Photos that you keep for validation do not belong in the pool: name them in `exclude`.
    pool = open_pool(options.photos, exclude=())
    bank = PhraseBank()  # or a YAML file of your own
    statistics = measure_pool(pool, bank, photos=300)  # what "dark" and "bright" mean in this pool
    pretext_samples = PretextDataset(pool, PretextSampleMaker(bank, statistics))

    args = AestheticAlignmentConfig(
        output_dir=str(options.output),
        per_device_train_batch_size=options.batch_size,
        num_train_epochs=options.epochs,
        max_steps=options.max_steps,
        logging_steps=10,
    )
    processor = AestheticMLLMProcessor.from_pretrained(options.model)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32)
    set_seed(args.seed)  # the heads start at random
    trainer = AestheticAlignmentTrainer(model, args, processing_class=processor, train_dataset=pretext_samples, bank=bank)
    trainer.train()
    trainer.save_aligned(options.output / "aligned")
    for key in sorted(trainer.unreadable):
        logging.warning("%s could not be read", key)


if __name__ == "__main__":
    main()
