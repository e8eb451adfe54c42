"""The photos nano learns from, and those it is validated on (`aesthetic_mllm.data.splits`).

Expected below the data folder, each with a metadata.csv:
    biq2021/       file_name, mos (0 to 1): the training list of BIQ2021, technical quality, the mean of 30 observers
    oasis_beauty/  file_name, category, beauty_mean, beauty_sd (1 to 7), n_1 to n_7: OASIS photos with beauty ratings
    agiqa3k/       file_name, generator, prompt, mos_quality, std_quality, mos_align (0 to 5): generated images of AGIQA-3K
    photos_large/  file_name: good, undamaged photos of 1,600 pixels, which nobody rated
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aesthetic_mllm.data.data_error import DataError
from aesthetic_mllm.data.splits import hash_bucket, is_agiqa3k_validation, is_biq2021_validation, is_oasis_validation
from aesthetic_mllm.processing.rating_scale import RatingScale

QUALITY, BEAUTY, GENERATED, LARGE = "biq2021", "oasis_beauty", "agiqa3k", "photos_large"  # folders
ASKED = {QUALITY: "quality", BEAUTY: "beauty", GENERATED: "quality"}  # what the people of a source rated


@dataclass(frozen=True)
class Photo:
    """A photo by the name of its file, which no other source has."""

    path: Path
    name: str

    @property
    def source(self) -> str:
        """The photo's folder."""
        return self.path.parent.name

    @property
    def may_teach(self) -> bool:
        """Whether anything may be learned from the photo; if not, it is for validation."""
        return {
            QUALITY: lambda: not is_biq2021_validation(self.name),
            BEAUTY: lambda: not is_oasis_validation(int(self.path.stem.rpartition("_")[2])),
            LARGE: lambda: hash_bucket(self.name, 2) == 0,
        }[self.source]()


@dataclass(frozen=True)
class RatedPhoto(Photo):
    """A photo with the mean, and where the source gives it the spread, of its ratings on the rating scale."""

    mean: float
    std: float | None


@dataclass(frozen=True)
class GeneratedPhoto(RatedPhoto):
    """A generated image, what it was to show, and how well it does, on the rating scale."""

    prompt: str
    fit: float

    @property
    def may_teach(self) -> bool:
        return not is_agiqa3k_validation(self.prompt)


AnyPhoto = TypeVar("AnyPhoto", bound=Photo)


def read_quality(data: Path, scale: RatingScale) -> list[RatedPhoto]:
    """BIQ2021's photos; the source gives no spread."""
    return [
        RatedPhoto(data / QUALITY / row["file_name"], row["file_name"], scale.from_range(float(row["mos"]), (0, 1)), None)
        for row in _rows(data / QUALITY, "mos")
    ]


def read_beauty(data: Path, scale: RatingScale) -> list[RatedPhoto]:
    """OASIS photos with the mean and standard deviation of their beauty ratings."""
    return [
        RatedPhoto(
            data / BEAUTY / row["file_name"],
            row["file_name"],
            scale.from_range(float(row["beauty_mean"]), (1, 7)),
            float(row["beauty_sd"]) * _unit(scale, 1, 7),
        )
        for row in _rows(data / BEAUTY, "beauty_mean", "beauty_sd")
    ]


def read_generated(data: Path, scale: RatingScale) -> list[GeneratedPhoto]:
    """AGIQA-3K's images with the mean and standard deviation of their quality ratings."""
    return [
        GeneratedPhoto(
            data / GENERATED / row["file_name"],
            row["file_name"],
            scale.from_range(float(row["mos_quality"]), (0, 5)),
            float(row["std_quality"]) * _unit(scale, 0, 5),
            row["prompt"],
            scale.from_range(float(row["mos_align"]), (0, 5)),
        )
        for row in _rows(data / GENERATED, "mos_quality", "std_quality", "mos_align", words=("file_name", "prompt"))
    ]


def read_large(data: Path) -> list[Photo]:
    """Good photos of 1,600 pixels, which nobody rated."""
    return [Photo(data / LARGE / row["file_name"], row["file_name"]) for row in _rows(data / LARGE)]


def read_all(data: Path, scale: RatingScale) -> list[Photo]:
    """The photos of every source, in the order in which what is seen of them is cached."""
    return [*read_quality(data, scale), *read_beauty(data, scale), *read_generated(data, scale), *read_large(data)]


def split(photos: Sequence[AnyPhoto]) -> tuple[list[AnyPhoto], list[AnyPhoto]]:
    """Photos that may be learned from, and those that are never trained on."""
    return [photo for photo in photos if photo.may_teach], [photo for photo in photos if not photo.may_teach]


def photo_key(photo: Photo) -> str:
    """As pools of folders name it."""
    return f"{photo.source}/{photo.name}"


def _unit(scale: RatingScale, low: float, high: float) -> float:
    return (scale.score_range[1] - scale.score_range[0]) / (high - low)


def _rows(folder: Path, *numbers: str, words: Sequence[str] = ("file_name",)) -> list[dict[str, str]]:
    """A folder's metadata.csv; raises a [`DataError`] where columns of numbers or words are not what they should be."""
    path = folder / "metadata.csv"
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # spreadsheets begin UTF-8 with a mark
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable CSV table in UTF-8 ({error}).") from error
    if numbers and not rows:
        raise DataError(f"{path}: there are no photos in this table.")
    for line, row in enumerate(rows, 2):
        for name in (*words, *numbers):
            if not row.get(name):
                raise DataError(
                    f"{path}, line {line}: nothing in the column {name!r}; the columns are {', '.join(map(str, row))}."
                )
        for name in numbers:
            try:
                finite = math.isfinite(float(row[name]))
            except ValueError:
                finite = False
            if not finite:
                raise DataError(f"{path}, line {line}: {name} is {row[name]!r}, not a number.")
    return rows
