"""`predictions.jsonl`: each photo's rating beside people's, which an evaluation leaves beside its report."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .report import ReportError


@dataclass(frozen=True)
class Prediction:
    """One photo's rating by one system.

    Args:
        photo: path below the data set's folder; of one that lies elsewhere only a name.
        file: where that one lies.
        category: of the photo; empty where the data set has none.
        mean, std: of the rating, on the data set's range.
        label, label_std: people's mean and its spread, on the same range.
        worst, best: the range.
    """

    data: str
    photo: str
    category: str
    question: str
    system: str
    mean: float
    std: float | None
    label: float
    label_std: float | None
    worst: float
    best: float
    file: str | None = None

    @property
    def error(self) -> float:
        """How much better it was rated than people did, as a share of the range."""
        return (self.mean - self.label) / (self.best - self.worst)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        worst, best = found["range"]
        return cls(
            data=str(found["data"]),
            photo=str(found["photo"]),
            category=str(found.get("category") or ""),
            question=str(found["question"]),
            system=str(found["system"]),
            mean=float(found["mean"]),
            std=_number(found.get("std")),
            label=float(found["label"]),
            label_std=_number(found.get("label_std")),
            worst=float(worst),
            best=float(best),
            file=None if found.get("file") is None else str(found["file"]),
        )


def read_predictions(path: Path) -> Iterator[Prediction]:
    """The file's rows.

    Raises:
        ReportError: the file cannot be read, or a line holds no prediction.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _prediction(path, number, line)
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror}).") from error


def _prediction(path: Path, number: int, line: str) -> Prediction:
    try:
        return Prediction.from_json(json.loads(line))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{path}, line {number}: not a prediction ({error!r}).") from error


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
