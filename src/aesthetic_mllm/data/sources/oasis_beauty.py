"""OASIS (Kurdi et al. 2017): 900 photos, with the ratings of beauty that Brielmann and Pelli (2019) asked for, from 1 to 7.

Two layouts are read. That of the two releases in one folder: OASIS.csv and images/ of OASIS, means_per_image.csv and, for single
votes, depthDat.csv of the beauty ratings. And that of an image folder: metadata.csv beside the photos and, for single votes,
votes.csv.

No split is official. Ours leaves 120 photos for validation (`data/splits.py`), which taught the embedded checkpoint nothing; all
others are for training. Both layouts give a photo to the same split, by its number in OASIS.
"""

from collections.abc import Iterator
from pathlib import Path

from ..record import AttributeRating, DataError, Record, Vote
from ..source import Source
from ..splits import is_oasis_validation
from ..tables import number, read_csv

LOW, HIGH = 1, 7
METADATA, VOTES = "metadata.csv", "votes.csv"  # of the image folder
THEMES, MEANS, RAW = "OASIS.csv", "means_per_image.csv", "depthDat.csv"  # of the releases
STEPS = [f"n_{step}" for step in range(LOW, HIGH + 1)]
ATTRIBUTES = {"Valence_mean": "valence", "Arousal_mean": "arousal"}
UNRATED = {"", "na", "nan"}


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the table of means: beauty from 1 to 7.

    Mean and standard deviation are the table's. The releases also give the means of valence (1 very negative, 7 very positive)
    and arousal (1 low, 7 high), the image folder how many votes each value got. Votes are there where the file with them is.
    """
    return _image_folder(root, split) if (root / METADATA).is_file() else _releases(root, split)


def split_of(number: int) -> str:
    """The split of a photo by its number in OASIS."""
    return "validation" if is_oasis_validation(number) else "train"


def _image_folder(root: Path, split: str) -> Iterator[Record]:
    path = root / METADATA
    votes = _votes(root / VOTES, "rater_id", "file_name", "beauty")
    for line, row in read_csv(path, ("file_name", "category", "beauty_mean", "beauty_sd", *STEPS)):
        if split_of(_number_of(path, line, row["file_name"])) != split:
            continue
        yield Record(
            image=root / row["file_name"],
            data_set="oasis_beauty",
            split=split,
            question="beauty",
            mean=number(path, line, "beauty_mean", row["beauty_mean"]),
            spread=number(path, line, "beauty_sd", row["beauty_sd"]),
            histogram=[number(path, line, step, row[step]) for step in STEPS],
            range_low=LOW,
            range_high=HIGH,
            votes=votes.get(row["file_name"], ()),
            category=row["category"],
        )


def _releases(root: Path, split: str) -> Iterator[Record]:
    """The beauty ratings write a theme such as "Angry pose 1" without spaces; a photo is named as OASIS.csv writes it."""
    path = root / MEANS
    votes = _votes(root / RAW, "subjID", "item", "beauty")
    themes = {_without_spaces(row["Theme"]): row["Theme"] for _, row in read_csv(root / THEMES, ("Theme",))}
    for line, row in read_csv(path, ("item", "Theme", "Category", "beauty_mean", "beauty_SD", *ATTRIBUTES)):
        if split_of(int(number(path, line, "item", row["item"]))) != split:
            continue
        yield Record(
            image=root / "images" / f"{themes.get(_without_spaces(row['Theme']), row['Theme'])}.jpg",
            data_set="oasis_beauty",
            split=split,
            question="beauty",
            mean=number(path, line, "beauty_mean", row["beauty_mean"]),
            spread=number(path, line, "beauty_SD", row["beauty_SD"]),
            range_low=LOW,
            range_high=HIGH,
            votes=votes.get(row["item"], ()),
            attributes=[
                AttributeRating(name, number(path, line, column, row[column]), LOW, HIGH) for column, name in ATTRIBUTES.items()
            ],
            category=row["Category"],
        )


def _number_of(path: Path, line: int, file_name: str) -> int:
    """Of "oasis_0012.webp" 12."""
    digits = Path(file_name).stem.rpartition("_")[2]
    if not digits.isdecimal():
        raise DataError(
            f"{path}, line {line}: file_name is {file_name!r}, expected a number in OASIS at its end, as oasis_0012.webp."
        )
    return int(digits)


def _votes(path: Path, rater: str, photo: str, value: str) -> dict[str, list[Vote]]:
    """Votes by photo from a table with such columns; none if there is no such table. Not every rater saw every photo."""
    votes: dict[str, list[Vote]] = {}
    if path.is_file():
        for line, row in read_csv(path, (rater, photo, value)):
            if row[value].lower() not in UNRATED:
                votes.setdefault(row[photo], []).append(Vote(row[rater], number(path, line, value, row[value])))
    return votes


def _without_spaces(theme: str) -> str:
    return theme.replace(" ", "").lower()


SOURCE = Source(
    name="oasis_beauty",
    url="https://github.com/aenneb/OASIS-beauty",
    licence="OASIS: photos free for research, many of Pixabay, Wikipedia and Flickr",
    splits=("train", "validation"),
    layout=f"{MEANS}, {THEMES}, images/THEME.jpg and {RAW} if at hand; or {METADATA} beside the photos and {VOTES} if at hand",
    read=read,
)
