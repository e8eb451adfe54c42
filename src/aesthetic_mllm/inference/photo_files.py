"""Which files a path of a user means, and which it does not."""

import importlib.util
import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..processing.image_formats import HEIF_SUFFIXES, RAW_SUFFIXES, REMEDY
from ..processing.image_loading import ImageError, UnreadableImageError, missing_file

# What cameras and phones write and Pillow reads.
PHOTO_SUFFIXES = frozenset(".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .gif .avif .jp2".split())
# What lies beside photos, and nobody takes for one.
BESIDE_PHOTOS = frozenset(
    ".aae .csv .db .html .ini .json .jsonl .log .lrcat .md .parquet .pp3 .profile .py .thm .toml .tsv .txt .xml .xmp .yaml "
    ".yml".split()
)


@dataclass
class FoundPhotos:
    """What paths mean.

    Args:
        photos: files in order; an error stands for a path that means none.
        passed_over: how many files of each ending, such as ".heic", folders hold that are not read; documents do not count.
    """

    photos: list[Path | ImageError] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)

    def remark(self) -> str:
        """One line about the files that were passed over; empty where there are none."""
        if not self.passed_over:
            return ""
        counts = ", ".join(f"{count} {suffix or 'without an ending'}" for suffix, count in sorted(self.passed_over.items()))
        total = self.passed_over.total()
        remedy = (
            f"; to read HEIC and camera raw files, {REMEDY}" if self.passed_over.keys() & (HEIF_SUFFIXES | RAW_SUFFIXES) else ""
        )
        return f"passed over {total} file{'s' * (total != 1)} in folders ({counts}){remedy}"


def find_photos(paths: Iterable[str | os.PathLike[str]]) -> FoundPhotos:
    """The photos that paths stand for: a file for itself, a folder for those in it and below, sorted, without hidden ones.

    A folder without photos, or one that may not be read, and a path that does not exist, come out as the error that says so.
    """
    found = FoundPhotos()
    for path in paths:
        name = os.fspath(path)
        try:
            is_folder = stat.S_ISDIR(os.stat(name).st_mode)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            found.photos.append(missing_file(name))
        except OSError as error:
            found.photos.append(UnreadableImageError(name, f"cannot be read ({error.strerror})."))
        else:
            found.photos += _below(Path(path), found.passed_over) if is_folder else [Path(path)]
    return found


def readable_suffixes() -> frozenset[str]:
    """Endings of the photos that can be read here, in lower case."""
    installed = [
        suffixes
        for reader, suffixes in (("pillow_heif", HEIF_SUFFIXES), ("rawpy", RAW_SUFFIXES))
        if importlib.util.find_spec(reader)
    ]
    return PHOTO_SUFFIXES.union(*installed)


def _below(folder: Path, passed_over: Counter[str]) -> list[Path | ImageError]:
    suffixes = readable_suffixes()
    photos: list[Path] = []
    errors: list[ImageError] = []

    def closed(error: OSError) -> None:
        errors.append(UnreadableImageError(str(error.filename), f"a folder that cannot be read ({error.strerror})."))

    for parent, folders, files in os.walk(folder, onerror=closed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            suffix = os.path.splitext(name)[1].lower()
            if name.startswith(".") or suffix in BESIDE_PHOTOS:
                continue
            if suffix in suffixes:
                photos.append(Path(parent, name))
            else:
                passed_over[suffix] += 1
    if not photos and not errors:
        errors.append(UnreadableImageError(str(folder), f"a folder without photos ({', '.join(sorted(suffixes))})."))
    return [*sorted(photos), *errors]
