"""Which files a path of a user means."""

import os
from collections.abc import Iterator
from pathlib import Path

from ..processing.image_loading import ImageNotFoundError, UnreadableImageError

# What cameras and phones write and Pillow reads.
PHOTO_SUFFIXES = frozenset(".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .gif .avif .jp2".split())


def photos_of(path: str | os.PathLike[str]) -> Iterator[Path | UnreadableImageError | ImageNotFoundError]:
    """The photos a path stands for: itself, or those in a folder and below, sorted, without hidden ones.

    A folder without photos, and a path that does not exist, come out as the error that says so.
    """
    path = Path(path)
    if not path.exists():
        yield ImageNotFoundError(str(path), "no such file or folder.")
        return
    if not path.is_dir():
        yield path
        return
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in PHOTO_SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not found:
        yield UnreadableImageError(str(path), f"a folder without photos ({', '.join(sorted(PHOTO_SUFFIXES))}).")
    yield from found
