"""The rated photos nano learns from, and those it is validated on (`aesthetic_mllm.data.splits`).

Expected below the data folder, each with a metadata.csv:
    biq2021/       file_name, mos (0 to 1): the training list of BIQ2021, technical quality, the mean of 30 observers
    oasis_beauty/  file_name, beauty_mean, beauty_sd (1 to 7): OASIS photos with beauty ratings
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aesthetic_mllm.data.splits import is_biq2021_validation, is_oasis_validation
from aesthetic_mllm.processing.rating_scale import RatingScale


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


def split_quality(photos: Sequence[RatedPhoto]) -> tuple[list[RatedPhoto], list[RatedPhoto]]:
    """BIQ2021's photos that may be learned from, and those that are never trained on."""
    return _split(photos, lambda photo: is_biq2021_validation(photo.name))


def split_beauty(photos: Sequence[RatedPhoto]) -> tuple[list[RatedPhoto], list[RatedPhoto]]:
    """OASIS photos that may be learned from, and those that are never trained on."""
    return _split(photos, lambda photo: is_oasis_validation(int(photo.path.stem.rpartition("_")[2])))


def photo_key(photo: RatedPhoto) -> str:
    """As pools of folders name it."""
    return f"{photo.path.parent.name}/{photo.name}"


def _split(photos: Sequence[RatedPhoto], held_out: Callable[[RatedPhoto], bool]) -> tuple[list[RatedPhoto], list[RatedPhoto]]:
    return [photo for photo in photos if not held_out(photo)], [photo for photo in photos if held_out(photo)]


def _rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metadata.csv", newline="") as file:
        return list(csv.DictReader(file))
