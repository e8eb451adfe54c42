"""Any photo a user has, as an upright 8-bit RGB image; or an error that says what is wrong with it."""

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

ImageSource = str | os.PathLike | bytes | Image.Image

# As many pixels as Pillow lets through before it speaks of a decompression bomb.
MAX_PIXELS = 178_956_970
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


class ImageError(ValueError):
    """A photo that cannot be judged.

    Args:
        source: its path, or what it was given as.
        reason: what is wrong, and the remedy where there is one.
    """

    def __init__(self, source: str, reason: str):
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.source, self.reason)


class ImageNotFoundError(ImageError):
    """There is no such file."""


class UnreadableImageError(ImageError):
    """The file is not an image, or a broken one."""


class UnsuitableImageError(ImageError):
    """An image that can be read but not judged: too small, too elongated, too large."""


def source_name(source: ImageSource) -> str:
    """What to call a photo in messages."""
    if isinstance(source, bytes):
        return "<bytes>"
    if isinstance(source, Image.Image):
        return getattr(source, "filename", "") or "<image>"
    return os.fspath(source)


def load_image(
    source: ImageSource,
    *,
    min_size: tuple[int, int] | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
) -> Image.Image:
    """Reads a photo as an upright RGB image.

    EXIF orientation is applied, transparency laid over `background`, 16-bit grey scaled to 8 bits, another colour space
    converted to sRGB, of an animation the first frame taken.

    Args:
        source: path, bytes of a file, or a Pillow image (which is not changed).
        min_size: width and height that are needed. A much larger JPEG is then decoded at a fraction of its size, which still
            is at least twice as large.
        background: RGB, 0 to 255.

    Raises:
        ImageNotFoundError: there is no such file.
        UnreadableImageError: it is not an image, empty, truncated or damaged.
        UnsuitableImageError: it has more than `MAX_PIXELS` pixels.
    """
    name = source_name(source)
    try:
        # a file as large as Pillow warns of is refused below, by our own limit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = source if isinstance(source, Image.Image) else _open(source, name)
        if image.width * image.height > MAX_PIXELS:
            raise UnsuitableImageError(name, f"{image.width} x {image.height} pixels are more than {MAX_PIXELS:,}.")
        if min_size is not None and image.format == "JPEG" and image is not source:
            image.draft(None, (2 * min_size[0], 2 * min_size[1]))
        image.load()
        profile = image.info.get("icc_profile")
        # the orientation must be read from the file's image, conversions may lose it
        image = ImageOps.exif_transpose(image)
        return _to_srgb(_flatten(image, background), image, profile)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnsuitableImageError(name, f"more than {MAX_PIXELS:,} pixels.") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise UnreadableImageError(name, f"damaged or truncated ({error}).") from error


def _open(source: str | os.PathLike | bytes, name: str) -> Image.Image:
    if isinstance(source, bytes):
        if not source:
            raise UnreadableImageError(name, "empty.")
        file: io.BytesIO | Path = io.BytesIO(source)
    else:
        file = Path(source)
        if not file.exists():
            raise ImageNotFoundError(name, "no such file.")
        if file.is_dir():
            raise UnreadableImageError(name, "a folder, not a photo.")
        if file.stat().st_size == 0:
            raise UnreadableImageError(name, "empty.")
    try:
        return Image.open(file)
    except UnidentifiedImageError as error:
        raise UnreadableImageError(name, "not an image, or of a format that Pillow does not read.") from error


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Any mode to RGB, L or CMYK (what a colour profile may be about), transparency over the background."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, np.float64)
        if image.mode == "F" or values.min() < 0 or values.max() > 65_535:
            raise ValueError(f"pixel values {values.min():g} to {values.max():g} of mode {image.mode} have no known range")
        return Image.fromarray((values / 257).round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, (*background, 255))
        canvas.alpha_composite(rgba)
        return canvas.convert("RGB")
    return image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")


def _to_srgb(flat: Image.Image, image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB; a profile that cannot be read is ignored, as viewers do."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                converted = ImageCms.profileToProfile(flat, source, _SRGB, outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return flat.convert("RGB")
