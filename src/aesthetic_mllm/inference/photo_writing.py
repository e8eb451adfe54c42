"""Writing an edited photo beside the original: with its EXIF data and its colour profile, and never over it."""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageCms

from ..processing.image_errors import ImageError
from ..processing.image_formats import decode, quiet_pillow

# How each format is written; all of them hold EXIF data and a colour profile.
_JPEG: dict[str, Any] = {"format": "JPEG", "quality": 95, "subsampling": 0}
FORMATS: dict[str, dict[str, Any]] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jpe": _JPEG,
    ".jfif": _JPEG,
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "quality": 95},
    ".tif": {"format": "TIFF"},
    ".tiff": {"format": "TIFF"},
}
# Directories of EXIF data below the first.
_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop)
# EXIF tags that say how the original's own pixels are stored, or hold small copies of them. TIFF has them among the others.
_STORAGE_TAGS = (
    *range(254, 260),  # width, height, bits, compression
    262, 263, 266, 273, *range(277, 285), 288, 289, 292, 293, 297, 301, *range(317, 334), *range(336, 348),
    *range(512, 522), *range(529, 533), 700, 33723, 34377, 34675,
)  # fmt: skip


class PhotoWritingError(ValueError):
    """An edited photo that cannot be written, or must not be written there."""


def write_photo(
    photo: Image.Image, original: str | os.PathLike[str], target: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Writes an edited photo, with EXIF data and colour profile of the file it was made from.

    The orientation in the EXIF data becomes "upright", because the pixels have been turned; its sizes become the new ones, its
    thumbnail is left out, and so is what cannot be written, such as a tag of the wrong type.

    Pixels are taken to be sRGB, to which [`load_image`] converts. So an sRGB profile is kept as it is; for another RGB profile,
    such as Adobe RGB or Display P3, the pixels are converted back to it and it is kept; a photo that was grey, CMYK, or of a
    profile that cannot be converted to gets an sRGB profile; a photo without a profile gets none.

    Args:
        photo: RGB, in sRGB, of whatever size. To edit a photo at its full size, load it with `load_image(original)`.
        original: the file it was made from.
        target: the file to write; its suffix, of [`FORMATS`], says the format. JPEG has quality 95 and full colour resolution.
        overwrite: whether a file that is there may be replaced. The original never is, by whatever name or link.

    Returns:
        The file that was written.

    Raises:
        PhotoWritingError: the target is the original, exists, is of a format without EXIF data, or cannot be written; or the
            original cannot be read. Nothing is written then.
    """
    original, target = Path(original), Path(target)
    options = FORMATS.get(target.suffix.lower())
    if options is None:
        raise PhotoWritingError(f"{target}: photos are written as {', '.join(FORMATS)}; choose a name that ends in one of them.")
    try:
        if not target.absolute().parent.is_dir():
            raise PhotoWritingError(f"{target}: its folder does not exist; make it first.")
        if target.exists() and original.exists() and os.path.samefile(original, target):
            raise PhotoWritingError(f"{target} is the original, which is never written over; choose another name.")
    except OSError as error:  # such as a name that is too long
        raise PhotoWritingError(f"{target} cannot be written ({error.strerror}).") from error
    photo, metadata = _with_metadata_of(original, photo.convert("RGB"))
    encoded = io.BytesIO()  # so that a photo that cannot be encoded leaves no broken file
    try:
        photo.save(encoded, **options, **metadata)
        with open(target, "wb" if overwrite else "xb") as file:
            file.write(encoded.getbuffer())
    except FileExistsError as error:
        raise PhotoWritingError(f"{target} exists; choose another name, or allow to overwrite it.") from error
    except Exception as error:  # encoders raise anything for what they cannot hold
        raise PhotoWritingError(f"{target} cannot be written ({error}).") from error
    return target


def _with_metadata_of(original: Path, photo: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
    """The photo in the original's colour space, and what of the original's metadata is to be saved with it."""
    name = str(original)
    try:
        with quiet_pillow(), open(original, "rb") as file:
            source = decode(file, name, original.suffix, min_size=(1, 1))  # a JPEG's pixels are not needed
            profile = source.info.get("icc_profile")
            coloured = source.mode not in ("L", "LA", "1", "F", "CMYK") and not source.mode.startswith("I")
            saved: dict[str, Any] = {}
            if exif := _exif_bytes(source, photo.size):  # while the file is open: parts are read as they are asked for
                saved["exif"] = exif
    except Exception as error:  # decoders of broken files raise anything
        reason = error.reason if isinstance(error, ImageError) else error
        raise PhotoWritingError(f"The original {original} cannot be read ({reason}).") from error
    if profile:
        photo, saved["icc_profile"] = _to_profile(photo, profile, coloured)
    return photo, saved


def _exif_bytes(source: Image.Image, size: tuple[int, int]) -> bytes:
    """The photo's EXIF data, true of an upright photo of this size; empty where there is none, or none that can be written."""
    try:
        exif = source.getexif()
        _adapt(exif, size)
        return exif.tobytes() if len(exif) else b""
    except Exception:  # tags of the wrong type and broken directories raise anything
        pass
    kept = Image.Exif()
    for directory in (None, *_DIRECTORIES):
        for tag, value in _tags(source, directory):
            if (directory is None and tag in (*_STORAGE_TAGS, *_DIRECTORIES)) or not _can_be_written(tag, value, directory):
                continue
            _put(kept, tag, value, directory)
    try:
        _adapt(kept, size)
        return kept.tobytes() if len(kept) else b""
    except Exception:
        return b""


def _tags(source: Image.Image, directory: ExifTags.IFD | None) -> list[tuple[int, Any]]:
    """The tags of one directory that can be read; the first one is `None`."""
    tags = []
    try:
        values = source.getexif() if directory is None else source.getexif().get_ifd(directory)
        for tag in list(values):
            with contextlib.suppress(Exception):
                tags.append((tag, values[tag]))
    except Exception:  # a directory that is none
        pass
    return tags


def _put(exif: Image.Exif, tag: int, value: Any, directory: ExifTags.IFD | None) -> None:
    if directory is None:
        exif[tag] = value
    else:
        exif.get_ifd(directory)[tag] = value


def _can_be_written(tag: int, value: Any, directory: ExifTags.IFD | None) -> bool:
    try:
        alone = Image.Exif()
        _put(alone, tag, value, directory)
        Image.Exif().load(alone.tobytes())
    except Exception:
        return False
    return True


def _adapt(exif: Image.Exif, size: tuple[int, int]) -> None:
    """Makes EXIF data true of an upright photo of this size, in place."""
    for tag in _STORAGE_TAGS:
        exif.pop(tag, None)
    if ExifTags.Base.Orientation in exif:
        exif[ExifTags.Base.Orientation] = 1
    details = exif.get_ifd(ExifTags.IFD.Exif) if ExifTags.IFD.Exif in exif else {}
    for tag, pixels in zip((ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight), size, strict=True):
        if tag in details:
            details[tag] = pixels


def _to_profile(photo: Image.Image, profile: bytes, coloured: bool) -> tuple[Image.Image, bytes]:
    """The sRGB photo as the original's profile has it, and the profile that it then has."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    try:
        kept = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # as `load_image` decides: such a photo was not converted
        if "sRGB" in ImageCms.getProfileDescription(kept):
            return photo, profile
        if coloured and kept.profile.xcolor_space.strip() == "RGB":
            converted = ImageCms.profileToProfile(photo, srgb, kept)
            assert converted is not None  # it is not done in place
            return converted, profile
    except Exception:
        pass  # a profile that cannot be read, or not be converted to
    return photo, srgb.tobytes()
