"""REAL-CUR: the own albums of 14 people, each photo rated by its owner (Ren et al. 2017).

Official is that the albums are for testing only. The layout is as published loaders read it: a folder for each album, in it a
folder for each rating, in that the photos.
"""

from collections.abc import Iterator
from pathlib import Path

from ..record import DataError, Record, Vote
from ..source import Source

LOW, HIGH = 1, 5
PHOTO_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png"}


def read(root: Path, split: str) -> Iterator[Record]:
    """Records by album, rating and name: aesthetics from 1 to 5.

    The mean is the owner's rating, the only vote; the rater is the album's name. There is no spread. Since the folders are the
    only record of the ratings, a photo that is missing cannot be noticed. Hidden files and folders are passed over, and so are
    files that are no photos by their suffixes.
    """
    for album in _folders(root):
        for folder in _folders(album):
            value = rating(folder)
            for photo in sorted(folder.iterdir()):
                if photo.suffix.lower() in PHOTO_SUFFIXES and not photo.name.startswith("."):
                    yield Record(
                        image=photo,
                        data_set="real_cur",
                        split=split,
                        question="aesthetic",
                        mean=value,
                        range_low=LOW,
                        range_high=HIGH,
                        votes=[Vote(album.name, value)],
                    )


def rating(folder: Path) -> float:
    """What the owner gave the photos in a folder, by its name."""
    try:
        return float(folder.name)
    except ValueError as error:
        raise DataError(f"{folder}: a folder in an album is {folder.name!r}, expected a rating, {LOW} to {HIGH}.") from error


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


SOURCE = Source(
    name="real_cur",
    url="https://github.com/alanspike/personalizedImageAesthetics",
    licence="photos belong to their authors; research use",
    splits=("test",),
    layout="ALBUM/RATING/NAME.jpg",
    read=read,
)
