"""What a rating scale says of its model beside the ratings, and that tuning makes untrue: percentiles and operating points."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from datasets import Dataset

from ..inference.assessor import AestheticAssessor
from .photo_ratings import distinct_photos, read_photos

logger = logging.getLogger(__name__)

LEAST_PHOTOS, MOST_PHOTOS = 100, 1_000  # that percentiles are taken from
QUANTILES = 101


def measure_references(trainer: Any) -> dict[str, Any]:
    """Makes the rating scale of a trainer's processor speak of the model as it is.

    Percentiles are measured again on the photos of the run, training before validation, for the questions that had some or were
    learned; with fewer than [`LEAST_PHOTOS`] there are none. Operating points of flaws are left out: they come from photos that
    nobody damaged, which the photos of a run need not be. All processes must call it.

    Returns:
        `photos`, how many there are; `percentiles`, the questions that have some; `operating_points`, the flaw questions that
        lost theirs.
    """
    scale = trainer.processing_class.rating_scale
    data = trainer.eval_dataset
    parts = [trainer.train_dataset, *(data.values() if isinstance(data, Mapping) else [data])]
    rated = [part for part in parts if isinstance(part, Dataset) and "question" in part.column_names]
    learned = {name for part in rated for name in part["question"]}
    questions = [name for name in scale.people_questions if name in scale.references or name in learned]
    photos = distinct_photos(parts, MOST_PHOTOS)
    references: dict[str, list[float]] = {}
    if len(photos) >= LEAST_PHOTOS and questions:

        def rate(assessor: AestheticAssessor, some: Iterator[Any]) -> Iterator[dict[str, float]]:
            ratings = assessor.ratings_stream(some, questions, batch_size=trainer.args.per_device_eval_batch_size)
            return ({name: rating.mean for name, rating in each.items()} for each in ratings)

        means = read_photos(trainer, photos, rate)
        for name in questions:
            quantiles = np.quantile([each[name] for each in means], np.linspace(0, 1, QUANTILES))
            references[name] = quantiles.round(4).tolist()
        logger.info("Percentiles refer to %d photos of this run, for %s", len(photos), ", ".join(questions))
    elif scale.references:
        logger.warning(
            "Percentiles are left out: they would be the start checkpoint's, and %d photos are too few to measure them again, "
            "which takes %d",
            len(photos),
            LEAST_PHOTOS,
        )
    if scale.operating_points:
        logger.warning(
            "Operating points of %d flaws are left out, because they are the start checkpoint's: suggestions come from trying "
            "edits instead. Measure them on undamaged photos as aesthetic_mllm.evaluation.flaw_operating_points says",
            len(scale.operating_points),
        )
    trainer.processing_class.rating_scale = replace(scale, references=references, operating_points={})
    return {"photos": len(photos), "percentiles": sorted(references), "operating_points": sorted(scale.operating_points)}
