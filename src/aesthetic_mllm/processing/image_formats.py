"""From a file to pixels: which formats are read, by Pillow and where they are installed by pillow-heif and rawpy."""

import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from .image_errors import ImageError, UnreadableImageError, UnsuitableImageError
from .image_metadata import exif_orientation, without_metadata

# As many pixels as Pillow lets through before it speaks of a decompression bomb.
MAX_PIXELS = 178_956_970
# What photos are kept in, the usual ones first. Pillow knows more: documents, which it hands to Ghostscript (EPS) or Windows
# (WMF), films, fonts, data of science. Of those nothing is a photo, and each is a way in for a broken file.
PILLOW_FORMATS = (
    "JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "PPM", "PSD", "QOI", "DIB", "ICO", "DDS", "PCX", "SGI",
    "TGA",
)  # fmt: skip
HEIF_SUFFIXES = frozenset(".heic .heif .hif".split())
RAW_SUFFIXES = frozenset(
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl .sr2 .srf "
    ".srw .x3f".split()
)
REMEDY = "install the readers with: pip install 'aesthetic-mllm[formats]'"

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
# JPEG, PNG, WebP and GIF, which are none of those; phones and programs rename them so.
_PLAIN_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8")
_RAW_STARTS = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM")
_DNG_VERSION, _SUBFILE_TYPE, _SUB_IFDS = 50706, 254, 330
# A preview with a shorter long side hides what is to be judged.
_MIN_PREVIEW = 600
# LibRaw's codes of how the camera was held, as EXIF has them.
_RAW_FLIPS = {3: 3, 5: 8, 6: 6}
# What makes a photo of each EXIF orientation upright.
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_readers = 0
_readers_lock = threading.Lock()
# An entry of `warnings.filters`: action, message, category, module, line.
_QUIET: Any = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


def decode(file: BinaryIO, name: str, suffix: str = "", min_size: tuple[int, int] | None = None) -> Image.Image:
    """The first image of a file, its pixels read. Where metadata is in the way of them, they are read without it.

    Args:
        file: positioned at its start; it must stay open while EXIF data is read from the image.
        name: for messages.
        suffix: of the file's name, such as ".dng", where it has one; by content alone not every camera raw file is known.
        min_size: width and height that are needed; a much larger JPEG is decoded at a fraction of its size.

    Raises:
        UnreadableImageError: not an image, or of a format that is not read.
        UnsuitableImageError: more than `MAX_PIXELS` pixels.
        Exception: whatever a decoder raises for a broken file.
    """
    try:
        return _decode(file, name, suffix.lower(), min_size)
    except UnsuitableImageError:
        raise
    except Exception as error:
        file.seek(0)
        plain = without_metadata(file.read())
        if plain is None:
            raise
        try:
            return _decode(io.BytesIO(plain), name, "", min_size)
        except UnsuitableImageError:
            raise
        except Exception:
            raise error from None


def orientation(image: Image.Image) -> int:
    """How the photo was held, 1 to 8 as EXIF has it; 1 where nothing readable says so."""
    try:
        value = image.getexif().get(0x0112)
    except Exception:  # whatever broken EXIF data gives rise to; pixels are good without it
        value = None
    exif = image.info.get("exif")
    if value is None and isinstance(exif, bytes):
        value = exif_orientation(exif)  # Pillow stops at the first broken tag
    return int(value) if isinstance(value, int | float) and value in TRANSPOSITIONS else 1


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keeps Pillow's warnings about a file (corrupt EXIF data, large pictures) from the user, who did not write the file.

    `warnings.catch_warnings` is not for threads: filters of one would outlive it in another. Here one filter, of Pillow's modules
    alone, is there while any thread reads.
    """
    global _readers
    with _readers_lock:
        _readers += 1
        if _QUIET not in warnings.filters:
            warnings.filters.insert(0, _QUIET)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        with _readers_lock:
            _readers -= 1
            if not _readers and _QUIET in warnings.filters:
                warnings.filters.remove(_QUIET)  # type: ignore[attr-defined]


def _decode(file: BinaryIO, name: str, suffix: str, min_size: tuple[int, int] | None) -> Image.Image:
    head = file.read(64)
    file.seek(0)
    is_plain = head.startswith(_PLAIN_STARTS) or head[4:12] == b"ftypavif"  # whatever its name says
    if _is_heif(head) or (suffix in HEIF_SUFFIXES and not is_plain):
        return _decode_heif(file, name)
    if _is_raw(head) or (suffix in RAW_SUFFIXES and not is_plain):
        return _decode_raw(file, name, min_size)
    try:
        image = Image.open(file, formats=PILLOW_FORMATS)
    except UnidentifiedImageError:
        raise UnreadableImageError(name, "not an image, or of a format that is not read.") from None
    if image.format == "TIFF" and _is_raw_tiff(image):
        file.seek(0)
        return _decode_raw(file, name, min_size)
    _load(image, name, min_size)
    return image


def _load(image: Image.Image, name: str, min_size: tuple[int, int] | None) -> None:
    check_size(name, image.size)
    if min_size is not None and image.format == "JPEG":
        image.draft(None, (2 * min_size[0], 2 * min_size[1]))
    image.load()
    check_size(name, image.size)  # an icon may hold a larger picture than it says


def check_size(name: str, size: tuple[int, int]) -> None:
    """Raises an `UnsuitableImageError` for a picture without pixels, or of more than `MAX_PIXELS`."""
    if not size[0] * size[1]:
        raise UnsuitableImageError(name, f"{size[0]} x {size[1]} pixels; there is nothing to see.")
    if size[0] * size[1] > MAX_PIXELS:
        raise UnsuitableImageError(name, f"{size[0]} x {size[1]} pixels are more than {MAX_PIXELS:,}.")


def _is_heif(head: bytes) -> bool:
    brands = head[8 : int.from_bytes(head[:4], "big")]
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and b"avif" not in brands


def _is_raw(head: bytes) -> bool:
    return head.startswith(_RAW_STARTS) or head[8:10] == b"CR" and head[:2] == b"II" or head[4:12] == b"ftypcrx "


def _is_raw_tiff(image: Any) -> bool:
    """Of NEF, ARW, DNG and others Pillow sees a TIFF with a thumbnail, which must not be taken for the photo."""
    tags = image.tag_v2
    return _DNG_VERSION in tags or (_SUB_IFDS in tags and tags.get(_SUBFILE_TYPE) == 1)


def _decode_heif(file: BinaryIO, name: str) -> Image.Image:
    try:
        import pillow_heif
    except ImportError:
        raise UnreadableImageError(name, f"HEIC photos need pillow-heif; {REMEDY}.") from None
    heif = pillow_heif.open_heif(file)
    check_size(name, heif.size)
    return heif.to_pillow()  # upright already, and its EXIF data says so


def _decode_raw(file: BinaryIO, name: str, min_size: tuple[int, int] | None) -> Image.Image:
    """The camera's own picture, or where there is none of a useful size one made from the sensor's data; upright."""
    try:
        import rawpy
    except ImportError:
        raise UnreadableImageError(name, f"camera raw files need rawpy; {REMEDY}.") from None
    with rawpy.imread(file) as raw:
        try:
            preview: Any = raw.extract_thumb()
            if preview.format == rawpy.ThumbFormat.JPEG:
                image: Image.Image = Image.open(io.BytesIO(preview.data), formats=("JPEG",))
                large_enough = max(image.size) >= _MIN_PREVIEW
                if large_enough:
                    _load(image, name, min_size)
            else:
                image = Image.fromarray(preview.data)
                large_enough = max(image.size) >= _MIN_PREVIEW
            if large_enough:
                return _upright_preview(image, raw.sizes)
        except ImageError:
            raise
        except Exception:
            pass  # no preview, or a broken one
        check_size(name, (raw.sizes.width, raw.sizes.height))
        return Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))


def _upright_preview(image: Image.Image, sizes: Any) -> Image.Image:
    turn = orientation(image)
    turn = turn if turn != 1 else _RAW_FLIPS.get(sizes.flip, 1)
    is_turned = turn in (5, 6, 7, 8) and (image.width > image.height) != (sizes.width > sizes.height)
    profile = image.info.get("icc_profile")
    upright = image.copy() if turn == 1 or is_turned else image.transpose(TRANSPOSITIONS[turn])
    upright.info = {"icc_profile": profile} if profile else {}  # and no orientation
    return upright
