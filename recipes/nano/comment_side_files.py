"""What a checkpoint's comments need beside its weights: the average photo, and the n-grams of words of the critiques.

The average photo is the mean of what the checkpoint sees of some photos of training. Of the critiques a Bloom filter is written:
an n-gram of words can be looked up in it, and none be read from it.
"""

import logging
import random
from pathlib import Path

import pandas as pd

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.evaluation.token_ratings import visual_tokens
from aesthetic_mllm.inference.mean_visual_tokens import MEAN_VISUAL_TOKENS, mean_photo
from aesthetic_mllm.processing.checkpoint_side_files import SideFile
from aesthetic_mllm.tasks.ngram_overlap import TRAINING_NGRAMS, TrainingNgrams

from .language import CRITIQUES
from .rated_photos import read_quality, split

logger = logging.getLogger(__name__)


def add_comment_side_files(assessor: AestheticAssessor, data: Path, photos: int, seed: int) -> None:
    """Puts both into a checkpoint's processor.

    Args:
        photos: to take the mean of.
    """
    known = TrainingNgrams.of_texts(pd.read_parquet(data / CRITIQUES)["comment"].astype(str))
    trained, _ = split(read_quality(data, assessor.processor.rating_scale))
    chosen = random.Random(seed).sample(trained, min(photos, len(trained)))
    mean = mean_photo([visual_tokens(assessor, [photo.path for photo in chosen])])
    assessor.processor.side_files |= {TRAINING_NGRAMS: known.to_side_file(), MEAN_VISUAL_TOKENS: SideFile(mean)}
    logger.info("%s: %.1f MB; %s: of %d photos", TRAINING_NGRAMS, len(known.bits) / 1e6, MEAN_VISUAL_TOKENS, len(chosen))
