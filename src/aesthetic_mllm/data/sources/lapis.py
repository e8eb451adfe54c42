"""LAPIS: 11,723 paintings with 283,860 ratings by 568 people, about 24 of each, from 0 to 100 (Maerten et al. 2025).

The layout is that of the release, as published loaders read it: annotation/LAPIS_GIAA_Trainsplit.csv, _Valsplit.csv and
_Testsplit.csv with a painting and its mean in each row, annotation/LAPIS_PIAA.csv with a vote in each row, and images/. The three
tables are the official splits. Names of artists are in Latin-1 in some copies of the tables, so both encodings are read.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import pstdev

from ..record import DataError, Record, Vote
from ..source import Source
from ..tables import number, read_csv

LOW, HIGH = 0, 100
ANNOTATION = Path("annotation")
TABLES = {
    split: ANNOTATION / f"LAPIS_GIAA_{name}split.csv"
    for split, name in (("train", "Train"), ("validation", "Val"), ("test", "Test"))
}
VOTES = ANNOTATION / "LAPIS_PIAA.csv"
MEAN = "mean_response"


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the split's table: aesthetics from 0 to 100, with the style as the category.

    The mean is the table's, the standard deviation that of the votes. A row of votes without a person or a rating is none. What
    the tables tell of the people (age, nationality and more) is not read.
    """
    path = root / TABLES[split]
    votes = votes_by_painting(root)
    for line, row in read_csv(path, ("image_filename", MEAN, "style"), encoding=_encoding(path)):
        given = votes.get(row["image_filename"], [])
        yield Record(
            image=root / "images" / row["image_filename"],
            data_set="lapis",
            split=split,
            question="aesthetic",
            mean=number(path, line, MEAN, row[MEAN]),
            spread=pstdev(vote.value for vote in given) if given else None,
            range_low=LOW,
            range_high=HIGH,
            votes=given,
            category=row["style"],
        )


def votes_by_painting(root: Path) -> dict[str, list[Vote]]:
    """Votes from 0 to 100, by the painting's file."""
    path = root / VOTES
    votes: dict[str, list[Vote]] = {}
    for line, row in read_csv(path, ("image_filename", "participant_id", "rating"), encoding=_encoding(path)):
        if row["participant_id"] and row["rating"]:
            vote = Vote(row["participant_id"], number(path, line, "rating", row["rating"]))
            votes.setdefault(row["image_filename"], []).append(vote)
    return votes


def _encoding(path: Path) -> str:
    try:
        path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return "latin-1"
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    return "utf-8-sig"


SOURCE = Source(
    name="lapis",
    url="https://github.com/Anne-SofieMaerten/LAPIS",
    licence="on request to the authors, for research; paintings of WikiArt belong to their holders",
    splits=("train", "validation", "test"),
    layout=f"{', '.join(map(str, TABLES.values()))}, {VOTES}, images/NAME.jpg",
    read=read,
)
