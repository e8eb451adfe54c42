"""TAD66K: 66,327 photos of Flickr in 47 themes, with a mean aesthetic score from 0 to 10 by at least 1,200 people each.

Official: labels/merge/train.csv and test.csv say which photos are trained and tested on. Our choice: every twentieth row of the
training table is for validation. The tables of single themes in labels/unmerge, one file for each theme and split, give the
category; where they are not there it is empty. Photos lie in TAD66K, as read by AesMamba's loader of TAD66K.
"""

from collections.abc import Iterator
from pathlib import Path

from ..record import Record
from ..source import Source
from ..tables import number, read_csv

LOW, HIGH = 0, 10
TABLES = {"train": "train.csv", "validation": "train.csv", "test": "test.csv"}
COLUMNS = ("image", "score")
VALIDATION_EVERY = 20  # of the training table, since the source has no validation table


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the split's table, which has a photo's file and its mean score."""
    theme = themes(root)
    path = root / "labels" / "merge" / TABLES[split]
    for index, (line, cells) in enumerate(read_csv(path, COLUMNS)):
        if split != "test" and (index % VALIDATION_EVERY == 0) != (split == "validation"):
            continue
        yield Record(
            image=root / "TAD66K" / cells["image"],
            data_set="tad66k",
            split=split,
            question="aesthetic",
            mean=number(path, line, "score", cells["score"]),
            range_low=LOW,
            range_high=HIGH,
            category=theme.get(cells["image"], ""),
        )


def themes(root: Path) -> dict[str, str]:
    """Theme by the photo's file, from the tables of single themes; where a photo is in several, the first in the alphabet.

    All of these tables are read for all splits: they say what a photo shows, not which split it is in.
    """
    found: dict[str, str] = {}
    for path in sorted((root / "labels" / "unmerge").glob("*/*.csv"), key=lambda path: (path.stem, path)):
        for _, cells in read_csv(path, COLUMNS):
            found.setdefault(cells["image"], path.stem)
    return found


SOURCE = Source(
    name="tad66k",
    url="https://github.com/woshidandan/TANet-image-aesthetics-and-quality-assessment",
    licence="labels Apache-2.0; photos of Flickr belong to their authors; research use",
    splits=("train", "validation", "test"),
    layout="labels/merge/train.csv and test.csv, labels/unmerge/train/THEME.csv and its like, TAD66K/NAME.jpg",
    read=read,
)
