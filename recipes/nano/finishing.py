"""The finished checkpoint: language model, cut points, personal prior, side files, operating points of flaws, references."""

import hashlib
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.flaw_operating_points import learn_operating_points
from aesthetic_mllm.evaluation.flaw_ratings import FlawRatings, rate_flaws
from aesthetic_mllm.modeling.checkpoint_documents import CARD_FACTS

from .comment_side_files import add_comment_side_files
from .devices import device
from .episodes import PERSONAL
from .measuring import STATISTICS
from .rated_photos import LARGE, RatedPhoto, read_large, read_quality, split
from .tastes import fit_rater_prior

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint"
FACTS = Path(__file__).with_name(CARD_FACTS)
FLAW_RATINGS = "flaw_ratings"  # folder below WORK, a file for each pool
UNSPLASH = "ss03"  # names of BIQ2021's photos that are undamaged as far as is known
LARGE_PHOTOS = LARGE  # below DATA, undamaged ones of 1,600 pixels, most of which the alignment has seen smaller, without labels


def finish_checkpoint(data: Path, work: Path, average_photos: int, flaw_pools: Mapping[str, int], seed: int) -> None:
    """From WORK/personal to WORK/checkpoint.

    Args:
        average_photos: that the average photo is the mean of.
        flaw_pools: of each pool of [`flaw_photos`] how many photos are damaged.
    """
    assessor = AestheticAssessor.from_pretrained(work / PERSONAL, device=device())
    cuts = PoolStatistics.load(work / STATISTICS).cuts
    assessor.processor.measurement_cuts = {name: [round(cut, 6) for cut in cuts[name]] for name in cuts}
    fit_rater_prior(assessor, data, work, PERSONAL)
    add_comment_side_files(assessor, data, average_photos, seed)
    _, held_out = split(read_quality(data, assessor.processor.rating_scale))
    ratings = rate_pools(assessor, data, work, held_out, flaw_pools)
    points = learn_operating_points(ratings["learning"], [ratings["large"]], held_out=ratings["reporting"])
    scale = replace(assessor.processor.rating_scale, operating_points=points)
    # flaws have operating points instead
    questions = [question for question in scale.questions if not question.startswith("flaw_")]
    rated = assessor.ratings([photo.path for photo in held_out], questions)
    references = {
        question: np.quantile([ratings[question].mean for ratings in rated], np.linspace(0, 1, 101)).round(4).tolist()
        for question in questions
    }
    assessor.processor.rating_scale = replace(scale, references=references)
    assessor.model.config.text_config._name_or_path = ""  # a folder of whoever trained it
    assessor.model.to(torch.bfloat16).save_pretrained(work / CHECKPOINT)
    assessor.processor.save_pretrained(work / CHECKPOINT)
    shutil.copy(FACTS, work / CHECKPOINT / CARD_FACTS)
    size = sum(path.stat().st_size for path in (work / CHECKPOINT).rglob("*") if path.is_file())
    logger.info("%s: %.1f MB", CHECKPOINT, size / 1e6)


def flaw_photos(data: Path, held_out: list[RatedPhoto]) -> dict[str, list[Path]]:
    """Photos whose flaws are rated as they are and damaged, by pool.

    Thresholds are learned from "learning", and figures are of the others. A flaw is asked by default only where it is told apart
    in "large" too: in photos of 288 pixels, what a damage of the frame does by the way, to resample them and to blur the traces
    of encoding, tells more of it than the frame does.
    """
    paths = [photo.path for photo in held_out if photo.name.startswith(UNSPLASH)]
    paths.sort(key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())
    half = len(paths) // 2
    return {
        "learning": paths[:half],
        "reporting": paths[half:],
        "large": [photo.path for photo in read_large(data) if not photo.may_teach],
    }


def flaw_ratings_file(work: Path, pool: str) -> Path:
    """Of the ratings that [`rate_pools`] keeps of a pool."""
    return work / FLAW_RATINGS / f"{pool}.npz"


def rate_pools(
    assessor: AestheticAssessor, data: Path, work: Path, held_out: list[RatedPhoto], damaged: Mapping[str, int]
) -> dict[str, FlawRatings]:
    """Ratings of flaws by pool, kept in WORK; about 2,500 views, a quarter of an hour on a core."""
    found = {}
    for pool, photos in flaw_photos(data, held_out).items():
        path = flaw_ratings_file(work, pool)
        if not path.exists():
            rate_flaws(assessor, photos, damaged[pool]).save(path)
        found[pool] = FlawRatings.load(path)
    return found
