"""Any photo a user has, as an upright 8-bit RGB image; or an error that says what is wrong with it."""

import base64
import io
import os
import re
import stat
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageCms

from .image_arrays import array_name, array_to_image, is_array
from .image_errors import ImageError, ImageNotFoundError, UnreadableImageError, UnsuitableImageError
from .image_formats import MAX_PIXELS, TRANSPOSITIONS, check_size, decode, orientation, quiet_pillow

__all__ = [
    "ImageError",
    "ImageNotFoundError",
    "ImageSource",
    "MAX_PIXELS",
    "UnreadableImageError",
    "UnsuitableImageError",
    "is_photo",
    "load_image",
    "missing_file",
    "source_name",
]


class ArrayLike(Protocol):
    """A NumPy array, or a tensor of PyTorch or another library; what can be reshaped is no column of a table."""

    @property
    def shape(self) -> Any: ...

    def reshape(self, *args: Any, **kwargs: Any) -> Any: ...

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


ImageSource = str | os.PathLike | bytes | Image.Image | ArrayLike

# How chats hold a photo within their text.
_DATA_URL = "data:image/"

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def is_photo(value: Any) -> bool:
    """Whether a value is one photo, and not many of them: of arrays, one of two or three dimensions is."""
    if isinstance(value, str | os.PathLike | bytes | bytearray | memoryview | Image.Image) or hasattr(value, "read"):
        return True
    return is_array(value) and len(value.shape) in (2, 3)


def source_name(source: Any) -> str:
    """What to call a photo in messages."""
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or "<image>")
    if is_array(source):
        return array_name(source)
    if _is_data_url(source):
        return "<data URL>"
    return str(os.fspath(source)) if isinstance(source, str | os.PathLike) else f"<{type(source).__name__}>"


def load_image(
    source: ImageSource,
    *,
    min_size: tuple[int, int] | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
) -> Image.Image:
    """Reads a photo as an upright RGB image.

    EXIF orientation is applied, transparency laid over `background`, 16-bit grey scaled to 8 bits, another colour space
    converted to sRGB, of an animation the first frame taken. Metadata that cannot be read does not matter.

    Args:
        source: path, bytes of a file, data URL of one ("data:image/png;base64,..."), Pillow image (which is not changed), or
            array or tensor as of [`array_to_image`].
        min_size: width and height that are needed. A much larger JPEG is then decoded at a fraction of its size, which still
            is at least twice as large.
        background: RGB, 0 to 255.

    Raises:
        ImageNotFoundError: there is no such file.
        UnreadableImageError: it cannot be opened, is not an image, empty, truncated or damaged, or of a format that is not read.
        UnsuitableImageError: it has no pixels, more than `MAX_PIXELS`, or values, shape or dtype whose meaning is unclear.
        These hold no files, pixels or frames of decoders, so any number of them can be kept.
    """
    photo = _image_or_error(source, min_size, background)
    if isinstance(photo, Image.Image):
        return photo
    try:
        raise photo
    finally:
        del photo, source  # else the error would hold this frame, and the frame the error and what was given


def missing_file(name: str) -> ImageNotFoundError:
    """The error of a path where there is nothing."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", name):
        return ImageNotFoundError(name, "an address, not a file; download the photo first and give the file.")
    return ImageNotFoundError(name, "no such file or folder.")


def _image_or_error(source: Any, min_size: tuple[int, int] | None, background: tuple[int, int, int]) -> Image.Image | ImageError:
    """What `load_image` returns or raises; no exception of a decoder leaves this function, and no reference to one."""
    name = source_name(source)
    try:
        with quiet_pillow():
            if isinstance(source, Image.Image):
                check_size(name, source.size)
                source.load()
                return _upright_rgb(source, name, background)
            if isinstance(source, bytes | bytearray | memoryview):
                return _read(io.BytesIO(source), name, "", min_size, background)
            if _is_data_url(source):
                return _read(io.BytesIO(base64.b64decode(source.partition(",")[2])), name, "", min_size, background)
            if isinstance(source, str | os.PathLike):
                return _read_path(os.fspath(source), name, min_size, background)
            if is_array(source):
                return _upright_rgb(array_to_image(source), name, background)
            kind = type(source).__name__
            return UnreadableImageError(name, f"a {kind}; give a path, the bytes of a file, a Pillow image or an array.")
    except ImageError as error:
        return type(error)(error.source, error.reason)
    except Image.DecompressionBombError:
        return UnsuitableImageError(name, f"more than {MAX_PIXELS:,} pixels.")
    except MemoryError:
        return UnsuitableImageError(name, "needs more memory than there is; it is too large, or damaged.")
    except Exception as error:  # decoders of broken files raise anything
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not a decoder's
            return UnreadableImageError(name, f"cannot be read ({error.strerror}).")
        return UnreadableImageError(name, f"damaged or truncated ({str(error) or type(error).__name__}).")


def _is_data_url(source: Any) -> bool:
    return isinstance(source, str) and source.startswith(_DATA_URL)


def _read_path(
    path: str | bytes, name: str, min_size: tuple[int, int] | None, background: tuple[int, int, int]
) -> Image.Image | ImageError:
    try:
        kind = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: characters that no name has
        return missing_file(name)
    if stat.S_ISDIR(kind):
        return UnreadableImageError(name, "a folder, not a photo.")
    if not stat.S_ISREG(kind):
        return UnreadableImageError(name, "not a file, but a device or a pipe.")
    with open(path, "rb") as file:
        return _read(file, name, os.path.splitext(name)[1], min_size, background)


def _read(
    file: Any, name: str, suffix: str, min_size: tuple[int, int] | None, background: tuple[int, int, int]
) -> Image.Image | ImageError:
    if not file.read(1):
        return UnreadableImageError(name, "empty.")
    file.seek(0)
    return _upright_rgb(decode(file, name, suffix, min_size), name, background)


def _upright_rgb(image: Image.Image, name: str, background: tuple[int, int, int]) -> Image.Image:
    profile = image.info.get("icc_profile")
    turn = TRANSPOSITIONS.get(orientation(image))  # before conversions, which may lose it
    if turn is not None:
        image = image.transpose(turn)
        for key in ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"):
            image.info.pop(key, None)  # which say that it is not upright
    return _to_srgb(_flatten(image, name, background), profile)


def _flatten(image: Image.Image, name: str, background: tuple[int, int, int]) -> Image.Image:
    """Any mode to RGB, L or CMYK (what a colour profile may be about), transparency over the background."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, np.float64)
        if image.mode == "F" or values.min() < 0 or values.max() > 65_535:
            raise UnsuitableImageError(
                name,
                f"its pixel values go from {values.min():g} to {values.max():g}, and what is white is not said; save it "
                "with 8 or 16 bits a channel.",
            )
        return Image.fromarray((values / 257).round().astype(np.uint8))
    if image.mode == "La":  # Pillow converts it to no other mode
        image = image.convert("LA")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, (*background, 255))
        canvas.alpha_composite(rgba)
        return canvas.convert("RGB")
    return image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")


def _to_srgb(flat: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB; a profile that cannot be read is ignored, as viewers do."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                converted = ImageCms.profileToProfile(flat, source, _SRGB, outputMode="RGB")
                if converted is not None:
                    return converted
        except Exception:  # whatever a broken profile gives rise to
            pass
    return flat.convert("RGB")
