"""AGIQA-3K: 2,982 images that six generators made from 300 prompts, rated in quality from 0 to 5 (Li et al. 2023).

Two layouts are read. That of the release: data.csv of its repository, with the images in images/ or beside it. And that of an
image folder: metadata.csv beside the images.

No split is official. Ours leaves about a fifth of the prompts for validation (`data/splits.py`); all images of a prompt stay
together. The embedded checkpoint learned from none of them.
"""

from collections.abc import Iterator
from pathlib import Path

from ..record import Record
from ..source import Source
from ..splits import is_agiqa3k_validation
from ..tables import number, read_csv

LOW, HIGH = 0, 5
METADATA = "metadata.csv"  # of the image folder
DATA, IMAGES = "data.csv", "images"  # of the release
MEAN, SPREAD = "mos_quality", "std_quality"


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the table: quality from 0 to 5, with the generator as the category.

    How well an image shows its prompt (`mos_align`) is not read: nobody can tell without the prompt.
    """
    is_folder = (root / METADATA).is_file()
    path, name = (root / METADATA, "file_name") if is_folder else (root / DATA, "name")
    images = root if is_folder or not (root / IMAGES).is_dir() else root / IMAGES
    for line, row in read_csv(path, (name, "prompt", MEAN, SPREAD, *(["generator"] if is_folder else []))):
        if is_agiqa3k_validation(row["prompt"]) != (split == "validation"):
            continue
        yield Record(
            image=images / row[name],
            data_set="agiqa3k",
            split=split,
            question="quality",
            mean=number(path, line, MEAN, row[MEAN]),
            spread=number(path, line, SPREAD, row[SPREAD]),
            range_low=LOW,
            range_high=HIGH,
            category=row["generator"] if is_folder else generator(row[name]),
        )


def generator(name: str) -> str:
    """Of "sd1.5_lowstep_012.jpg" sd1.5, as the release names its images."""
    return name.partition("_")[0]


SOURCE = Source(
    name="agiqa3k",
    url="https://github.com/lcysyzxdxc/AGIQA-3k-Database",
    licence="MIT",
    splits=("train", "validation"),
    layout=f"{DATA} and {IMAGES}/NAME.jpg, or {METADATA} beside the images",
    read=read,
)
