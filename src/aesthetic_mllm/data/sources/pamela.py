"""PAMELA: about 5,000 images by two generators, with 70,000 ratings by 199 people, about 15 of each image (Maerten et al. 2026).

The release is one archive with annotations/pamela_train.json and its like, and images/. A file is a list of ratings: who
(`participant_id`), what (`image_path`), `original_score` from 1 to 5, and `image_metadata` with a group such as "landscape".

Official are its five files. `_seen` ones hold new images rated by people of the training file, `_unseen` ones other people. Our
choice is how they become splits of images: an image that the training file names is for training, with the training file's votes
alone; one that the validation files name is for validation, with the votes of both; the rest are for the test. So no image is in
two splits, and what people who are held out gave to training images is not read.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from ..record import DataError, Record, Vote
from ..source import Source
from ..tables import read_json

LOW, HIGH = 1, 5
ANNOTATIONS = "annotations"
FILES = {
    "train": ("pamela_train",),
    "validation": ("pamela_val_seen", "pamela_val_unseen"),
    "test": ("pamela_test_seen", "pamela_test_unseen"),
}
KEYS = ("participant_id", "image_path", "original_score")


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order in which the files name their images: aesthetics from 1 to 5, with the group as the category.

    Mean and standard deviation are those of the votes. Of two votes of a person on an image the first counts.
    """
    taken: set[str] = set()
    for earlier in FILES:
        votes: dict[str, dict[str, float]] = {}
        groups: dict[str, str] = {}
        for image, person, score, group in _ratings(root, FILES[earlier]):
            if image not in taken:
                votes.setdefault(image, {}).setdefault(person, score)
                groups[image] = group
        if earlier == split:
            break
        taken |= votes.keys()
    for image, given in votes.items():
        yield Record(
            image=root / image,
            data_set="pamela",
            split=split,
            question="aesthetic",
            mean=fmean(given.values()),
            spread=pstdev(given.values()),
            range_low=LOW,
            range_high=HIGH,
            votes=[Vote(person, score) for person, score in given.items()],
            category=groups[image],
        )


def _ratings(root: Path, names: tuple[str, ...]) -> Iterator[tuple[str, str, float, str]]:
    """Image below the root, person, score and group of each rating."""
    for name in names:
        path = root / ANNOTATIONS / f"{name}.json"
        rows = read_json(path)
        if not isinstance(rows, list):
            raise DataError(f"{path}: expected a list of ratings.")
        for place, row in enumerate(rows, start=1):
            yield _rating(path, place, row)


def _rating(path: Path, place: int, row: Any) -> tuple[str, str, float, str]:
    missing = [key for key in KEYS if row.get(key) is None] if isinstance(row, dict) else list(KEYS)
    if missing:
        raise DataError(f"{path}, rating {place}: no {', '.join(missing)}.")
    try:
        score = float(row["original_score"])
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}, rating {place}: original_score is {row['original_score']!r}, expected a number.") from error
    image = str(row["image_path"]).removeprefix("./").removeprefix("PAMELA/")  # of the archive, which is the root here
    group = (row.get("image_metadata") or {}).get("group")
    return image, str(row["participant_id"]), score, "" if group is None else str(group)


SOURCE = Source(
    name="pamela",
    url="https://huggingface.co/datasets/bethgelab/PAMELA",
    licence="CC BY 4.0",
    splits=("train", "validation", "test"),
    layout=f"{ANNOTATIONS}/pamela_train.json, _val_seen, _val_unseen, _test_seen and _test_unseen, images/NAME.png",
    read=read,
)
