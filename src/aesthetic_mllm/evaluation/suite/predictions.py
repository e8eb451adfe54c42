"""What systems predict of the ratings of one question, on the source's range, and the file that the report's pages draw from."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...data.record import Record
from ...processing.rating_scale import Rating, RatingScale
from ..distribution_metrics import on_steps
from .evaluated_data import EvaluatedData


@dataclass(frozen=True)
class Predictions:
    """A system's predictions of n photos.

    Args:
        data, question, system: of what, and whose.
        records: of the photos.
        means: [n].
        stds: [n], or `None` where the system has none.
        percentiles: [n], or `None`.
        histograms: over the source's steps, one a photo, or `None`.
        ranks: whether it knows photos apart. A mean that is taken of other photos for each varies a little, and says nothing.
    """

    data: EvaluatedData
    question: str
    system: str
    records: Sequence[Record]
    means: np.ndarray
    stds: np.ndarray | None = None
    percentiles: Sequence[float | None] | None = None
    histograms: Sequence[np.ndarray] | None = None
    ranks: bool = True

    @property
    def labels(self) -> np.ndarray:
        """People's means, [n]."""
        return np.array([record.mean for record in self.records], dtype=np.float64)

    @property
    def range(self) -> tuple[float, float]:
        """Of the source's ratings."""
        low, high = self.records[0].range_low, self.records[0].range_high
        assert low is not None and high is not None  # read_source left out records without
        return low, high

    @classmethod
    def of_ratings(
        cls,
        data: EvaluatedData,
        question: str,
        system: str,
        records: Sequence[Record],
        ratings: Sequence[Rating],
        scale: RatingScale,
    ) -> "Predictions":
        """A checkpoint's, taken linearly from its own range to the source's."""
        low, high = records[0].range_low, records[0].range_high
        assert low is not None and high is not None
        worst, best = scale.score_range
        unit = (high - low) / (best - worst)
        stds = [rating.std for rating in ratings]
        shares = [rating.distribution for rating in ratings]
        steps = {len(record.histogram) for record in records}
        histograms = None
        if len(steps) == 1 and 0 not in steps and None not in shares:
            (count,) = steps
            histograms = [
                on_steps(list(share.values()), scale.level_scores, scale.score_range, count) for share in shares if share
            ]
        return cls(
            data,
            question,
            system,
            records,
            low + unit * (np.array([rating.mean for rating in ratings]) - worst),
            None if None in stds else unit * np.array(stds, dtype=np.float64),
            [rating.percentile for rating in ratings],
            histograms,
        )

    def rows(self) -> Iterable[dict[str, object]]:
        """For `predictions.jsonl`."""
        for place, record in enumerate(self.records):
            yield {
                "data": self.data.name,
                "photo": self.data.path_of(record),
                "file": self.data.file_elsewhere(record),
                "category": record.category,
                "question": self.question,
                "system": self.system,
                "mean": float(self.means[place]),
                "std": None if self.stds is None else float(self.stds[place]),
                "percentile": None if self.percentiles is None else self.percentiles[place],
                "label": record.mean,
                "label_std": record.spread,
                "range": list(self.range),
            }


def save_predictions(predictions: Iterable[Predictions], path: Path) -> None:
    """Writes a line of JSON for each photo, question and system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for each in predictions:
            for row in each.rows():
                file.write(json.dumps(row) + "\n")
