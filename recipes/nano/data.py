"""The rated photos nano learns from, and the fixed splits it is validated on.

Expected below the data folder, each with a metadata.csv:
    biq2021/       file_name, mos (0 to 1): the training split of BIQ2021, technical quality, the mean of 30 observers
    oasis_beauty/  file_name, beauty_mean, beauty_sd (1 to 7): OASIS photos with beauty ratings
"""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aesthetic_mllm.processing.rating_scale import RatingScale

QUALITY_VALIDATION_PHOTOS = 1_000
BEAUTY_FOLDS = 5


@dataclass(frozen=True)
class RatedPhoto:
    """A photo with the mean, and where the source gives it the spread, of its ratings on the rating scale."""

    path: Path
    name: str
    mean: float
    std: float | None


def read_quality(data: Path, scale: RatingScale) -> list[RatedPhoto]:
    """BIQ2021's photos; the source gives no spread."""
    return [
        RatedPhoto(data / "biq2021" / row["file_name"], row["file_name"], scale.from_range(float(row["mos"]), (0, 1)), None)
        for row in _rows(data / "biq2021")
    ]


def read_beauty(data: Path, scale: RatingScale) -> list[RatedPhoto]:
    """OASIS photos with the mean and standard deviation of their beauty ratings."""
    unit = (scale.score_range[1] - scale.score_range[0]) / (7 - 1)
    return [
        RatedPhoto(
            data / "oasis_beauty" / row["file_name"],
            row["file_name"],
            scale.from_range(float(row["beauty_mean"]), (1, 7)),
            float(row["beauty_sd"]) * unit,
        )
        for row in _rows(data / "oasis_beauty")
    ]


def quality_validation(photos: list[RatedPhoto]) -> set[str]:
    """Names of the BIQ2021 photos that are never trained on: those whose names hash lowest."""
    return set(sorted((photo.name for photo in photos), key=_digest)[:QUALITY_VALIDATION_PHOTOS])


def beauty_fold(photos: list[RatedPhoto]) -> dict[str, int]:
    """The fold, 0 to 4, in which each OASIS photo is validated."""
    ordered = sorted((photo.name for photo in photos), key=_digest)
    return {name: index % BEAUTY_FOLDS for index, name in enumerate(ordered)}


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metadata.csv", newline="") as file:
        return list(csv.DictReader(file))
