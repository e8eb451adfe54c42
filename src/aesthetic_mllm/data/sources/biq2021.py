"""BIQ2021: 12,000 photos, each with the mean of 30 people's judgements of its technical quality (Ahmed and Asif 2022).

Official are the lists for training (10,000 photos) and for testing (2,000). A tenth of the training photos is for validation,
which is our choice (`data/splits.py`): the embedded checkpoint learned nothing of them. Two layouts are read: the release's, and
that of an image folder, with metadata.csv beside the photos, which holds training photos only. Both give a photo to the same
split.

The release's Train.csv and Test.csv are the same lists with unscaled values, some below 0; the lists with scaled values are read.
Standard deviations are not in its text tables, so there is no spread. A photo's category is the authors' subset: ss01 and ss02
are their own photos, ss03 is of Unsplash.
"""

from collections.abc import Iterator
from pathlib import Path

from ..record import DataError, Record
from ..source import Source
from ..splits import is_biq2021_validation
from ..tables import number, read_csv

LOW, HIGH = 0, 1
SUBSETS = ("ss01", "ss02", "ss03")
METADATA = "metadata.csv"  # of the image folder
TRAIN, TEST = "Train (Images and MOS).csv", "Test (Images and MOS).csv"  # of the release


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the table: mean opinion scores of quality, from 0, very bad, to 1, excellent."""
    if (root / METADATA).is_file():
        path, name_column, mean_column, photos = root / METADATA, "file_name", "mos", root
        if split == "test":
            raise DataError(f"{path}: holds training photos only; to test, have {TEST} and Images/ of the release in a folder.")
    else:
        path, name_column, mean_column, photos = root / (TEST if split == "test" else TRAIN), "Image Name", "MOS", root / "Images"
    for line, row in read_csv(path, (name_column, mean_column)):
        file_name = row[name_column]
        if split != "test" and is_biq2021_validation(file_name) != (split == "validation"):
            continue
        yield Record(
            image=photos / file_name,
            data_set="biq2021",
            split=split,
            question="quality",
            mean=number(path, line, mean_column, row[mean_column]),
            range_low=LOW,
            range_high=HIGH,
            category=subset_of(file_name),
        )


def subset_of(file_name: str) -> str:
    """The authors' subset that a photo's name begins with: "ss01", "ss02" or "ss03"; "" where it begins otherwise."""
    start = file_name[:4].lower()
    return start if start in SUBSETS else ""


SOURCE = Source(
    name="biq2021",
    url="https://github.com/nisarahmedrana/BIQ2021",
    licence="no licence is given; subset ss03 is of Unsplash, ss01 and ss02 are the authors' own photos",
    splits=("train", "validation", "test"),
    layout=f"{TRAIN}, {TEST}, Images/NAME.jpg; or {METADATA} beside the training photos",
    read=read,
)
