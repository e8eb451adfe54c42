"""ICAA17K: 17,726 photos of Flickr in folders by their colours, with aesthetic scores of the whole and of its colour, 0 to 10.

Official: 1train.csv and 1test.csv of the authors' code say which photos are trained and tested on. Our choice: they lie beside
the colour folders that they name; about a twentieth of the training photos, by a checksum of their names, is for validation; and
since a photo may lie in two colour folders, one that the test table names by any folder is in no other split. The column
`probability`, which the authors do not explain, is not read.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zlib import crc32

from ..record import AttributeRating, Record
from ..source import Source
from ..tables import number, read_csv

LOW, HIGH = 0, 10
TABLES = {"train": "1train.csv", "validation": "1train.csv", "test": "1test.csv"}
VALIDATION_OF = 20  # one in so many training photos, since the source has no validation table


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the split's table.

    The column ID is the file below the root, such as complementary/orange_blue/NAME.jpg; MOS is the score of the whole photo and
    color that of its colour.
    """
    tested = set() if split == "test" else {photo.name for _, photo, _ in rows(root / TABLES["test"])}
    path = root / TABLES[split]
    for line, photo, cells in rows(path):
        if photo.name in tested or (split != "test" and validates(photo.name) != (split == "validation")):
            continue
        yield Record(
            image=root / photo,
            data_set="icaa17k",
            split=split,
            question="aesthetic",
            mean=number(path, line, "MOS", cells["MOS"]),
            range_low=LOW,
            range_high=HIGH,
            attributes=[AttributeRating("color", number(path, line, "color", cells["color"]), LOW, HIGH)],
            category=str(photo.parent),
        )


def rows(path: Path) -> Iterator[tuple[int, PurePosixPath, dict[str, str]]]:
    """Line number, file below the root and cells of each row."""
    for line, cells in read_csv(path, ("ID", "color", "MOS")):
        yield line, PurePosixPath(cells["ID"]), cells


def validates(name: str) -> bool:
    """Whether a photo of the training table is for validation: the same for all its copies."""
    return crc32(name.encode()) % VALIDATION_OF == 0


SOURCE = Source(
    name="icaa17k",
    url="https://github.com/woshidandan/Image-Color-Aesthetics-and-Quality-Assessment",
    licence="terms of the labels not stated; photos of Flickr belong to their authors; research use",
    splits=("train", "validation", "test"),
    layout="1train.csv, 1test.csv, and beside them the colour folders that they name, such as complementary/orange_blue/NAME.jpg",
    read=read,
)
