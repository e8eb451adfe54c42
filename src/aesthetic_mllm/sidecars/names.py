"""What a photo's sidecar is called, and where it lies."""

import os
from collections.abc import Iterable
from pathlib import Path

# Adobe's programs replace the photo's ending; darktable and digiKam append to it, so that photo.jpg and photo.nef have one each.
STYLES = ("adobe", "darktable")


class SidecarError(ValueError):
    """A sidecar that cannot be read, merged or written; it is left as it was. The message names it."""


class SharedSidecarError(SidecarError):
    """A photo whose sidecar is another photo's too, in Adobe's style."""


def sidecar_path(photo: Path, style: str, folder: Path | None = None, root: Path | None = None) -> Path:
    """Where the sidecar of a photo lies.

    Args:
        style: `"adobe"` (photo.xmp) or `"darktable"` (photo.jpg.xmp).
        folder: a folder of their own, in which the tree below `root` is mirrored; default beside the photo.
        root: a folder above the photo; default the photo's own.

    Raises:
        SidecarError: another style, or a photo that does not lie below `root`.
    """
    if style not in STYLES:
        raise SidecarError(f"The style of sidecars must be one of {', '.join(STYLES)}, got {style!r}.")
    beside = photo.with_suffix(".xmp") if style == "adobe" else photo.with_name(f"{photo.name}.xmp")
    if folder is None:
        return beside
    place, top = beside.absolute(), (root or photo.parent).absolute()
    try:
        return folder / place.relative_to(top)
    except ValueError as error:
        raise SidecarError(f"The photo {photo} does not lie below {top}, so its place in {folder} is not known.") from error


def mirrored_root(paths: Iterable[str | os.PathLike[str]]) -> Path:
    """The folder whose tree is mirrored for these photos and folders: the one folder, or what all have in common.

    Raises:
        SidecarError: they have nothing in common, such as paths on two drives.
    """
    folders = [path if (path := Path(each).absolute()).is_dir() else path.parent for each in paths]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:
        raise SidecarError("The photos have no folder in common to be mirrored; name those of one drive at a time.") from error
