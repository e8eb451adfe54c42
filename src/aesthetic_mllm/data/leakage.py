"""Whether a photo that is tested on is also trained on: the same file, or one that looks the same."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, Image

from ..editing.perceptual_hash import BITS, hash_distance, perceptual_hash
from ..pretext.photo_pool import photo_source
from ..processing.image_loading import ImageError, load_image

logger = logging.getLogger(__name__)

# Bits in which the hashes of one photo may differ after scaling and re-encoding; chance pairs differ in 32.
MAX_DISTANCE = 4


@dataclass(frozen=True)
class Leak:
    """A training photo that is also tested on.

    Args:
        train, test: the photos' names.
        row: index of the training photo in its data set.
        distance: bits in which their perceptual hashes differ; `None` where it is the same file.
    """

    train: str
    test: str
    row: int
    distance: int | None


@dataclass(frozen=True)
class UnreadablePhoto:
    """A photo of a data set that cannot be trained on.

    Args:
        dataset: the set that it is in.
        row: its index there.
        error: why.
    """

    dataset: Dataset
    row: int
    error: ImageError


def find_leaks(
    train: Iterable[Dataset],
    test: Iterable[Dataset],
    max_distance: int = MAX_DISTANCE,
    unreadable: list[UnreadablePhoto] | None = None,
) -> list[list[Leak]]:
    """The leaks of each training set from all test sets together, each training photo at most once.

    Photos are read one at a time. Those that cannot be read are compared by file alone.

    Args:
        train, test: with a column `image`.
        max_distance: bits in which perceptual hashes may differ, 0 to 15.
        unreadable: takes the photos that cannot be read.
    """
    unreadable = [] if unreadable is None else unreadable
    if not 0 <= max_distance < BITS // 4:
        raise ValueError(f"max_distance must be from 0 to {BITS // 4 - 1}, got {max_distance}.")
    files: dict[str, str] = {}
    bands: list[dict[int, list[tuple[int, str]]]] = [defaultdict(list) for _ in range(max_distance + 1)]
    for dataset in test:
        for row, image in enumerate(_images(dataset)):
            name = _name(image)
            files[_file(image)] = name
            value = _hash(dataset, row, image, unreadable)
            if value is not None:
                for band, key in enumerate(_band_keys(value, len(bands))):
                    bands[band][key].append((value, name))
    return [list(_leaks(dataset, files, bands, max_distance, unreadable)) for dataset in train]


def without_rows(dataset: Dataset, rows: Iterable[int]) -> Dataset:
    """The data set without these rows, such as those that leak."""
    unwanted = set(rows)
    return dataset.select([row for row in range(len(dataset)) if row not in unwanted]) if unwanted else dataset


def photo_hash(image: Any) -> int:
    """The perceptual hash of a data set's photo, in any form that `photo_source` knows.

    Raises:
        ImageError: it cannot be read.
    """
    return perceptual_hash(load_image(photo_source(image)))


def _hash(dataset: Dataset, row: int, image: Any, unreadable: list[UnreadablePhoto]) -> int | None:
    try:
        return photo_hash(image)
    except ImageError as error:
        unreadable.append(UnreadablePhoto(dataset, row, error))
        return None


def _leaks(
    dataset: Dataset,
    files: dict[str, str],
    bands: list[dict[int, list[tuple[int, str]]]],
    max_distance: int,
    unreadable: list[UnreadablePhoto],
) -> Iterator[Leak]:
    for row, image in enumerate(_images(dataset)):
        if _file(image) in files:
            yield Leak(_name(image), files[_file(image)], row, None)
            continue
        value = _hash(dataset, row, image, unreadable)
        if value is None:
            continue
        # of max_distance + 1 bands one must be equal
        keys = _band_keys(value, len(bands))
        near = {other for band, key in enumerate(keys) for other in bands[band].get(key, ())}
        distance, name = min(((hash_distance(value, other), name) for other, name in near), default=(BITS, ""))
        if distance <= max_distance:
            yield Leak(_name(image), name, row, distance)


def _band_keys(value: int, count: int) -> list[int]:
    width = -(-BITS // count)
    return [(value >> (band * width)) & ((1 << width) - 1) for band in range(count)]


def _images(dataset: Dataset) -> Iterator[dict[str, Any]]:
    yield from dataset.select_columns("image").cast_column("image", Image(decode=False))["image"]


def _file(image: dict[str, Any]) -> str:
    path = image.get("path")
    return str(Path(path).resolve()) if path and not image.get("bytes") else f"bytes:{hash(image.get('bytes'))}"


def _name(image: dict[str, Any]) -> str:
    path = image.get("path")
    return Path(path).name if path else "a photo without a name"
