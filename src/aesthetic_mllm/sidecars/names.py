"""What a photo's sidecar is called, and where it lies."""

import os
from collections.abc import Collection, Iterable
from itertools import product
from pathlib import Path

# Adobe's programs replace the photo's ending; darktable and digiKam append to it, so that photo.jpg and photo.nef have one each.
STYLES = ("adobe", "darktable")
# Of sidecars that are there; cameras and older programs write capitals. The first is ours.
_ENDINGS = tuple("." + "".join(letters) for letters in product("xX", "mM", "pP"))


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
    # not `Path.absolute`, which keeps each "..", and so would lead out of the folder
    place, top = Path(os.path.abspath(beside)), Path(os.path.abspath(root or photo.parent))
    try:
        return folder / place.relative_to(top)
    except ValueError as error:
        raise SidecarError(f"The photo {photo} does not lie below {top}, so its place in {folder} is not known.") from error


def sidecars_like(path: Path) -> list[Path]:
    """The sidecars of this name that are there, whatever the case of their ending."""
    return [spelt for ending in _ENDINGS if os.path.exists(spelt := path.with_suffix(ending))]


def named_folders(paths: Iterable[str | os.PathLike[str]]) -> frozenset[Path]:
    """The folders among paths, for [`mirrored_root`]."""
    return frozenset(Path(os.path.abspath(each)) for each in paths if os.path.isdir(each))


def mirrored_root(photo: Path, folders: Collection[Path]) -> Path:
    """The folder whose tree is mirrored for a photo: the outermost of these that it lies in, else its own.

    So where its sidecar goes does not depend on what else was named.

    Args:
        folders: of [`named_folders`].
    """
    above = Path(os.path.abspath(photo)).parents
    return next((folder for folder in reversed(above) if folder in folders), above[0])
