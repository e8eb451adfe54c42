"""Good pixels are read whatever is said beside them, and upright where that can be read."""

import io
import os
import random
import struct
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.image_metadata import exif_orientation, without_metadata
from photo_files import jpeg_bytes, odd_exif, png_bytes, scene, with_odd_tags

TURNED = 6  # stored a quarter turn to the left of upright


def encoded(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    scene().save(buffer, form, **options)
    return buffer.getvalue()


def png_with(kind: bytes, content: bytes, checksum: int | None = None, last: bool = False) -> bytes:
    """A turned PNG with one more chunk, behind the header or at the end."""
    data = encoded("PNG", exif=odd_exif(random.Random(0), TURNED))
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    place = len(data) - 12 if last else 33
    return data[:place] + chunk + data[place:]


def jpeg_with(marker: int, content: bytes) -> bytes:
    """A turned JPEG with one more segment."""
    data = encoded("JPEG", exif=odd_exif(random.Random(0), TURNED))
    return data[:2] + struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content + data[2:]


def long_text() -> bytes:
    return b"workflow\0\0" + zlib.compress(b"{}" * 550_000)


def long_profile() -> bytes:
    return b"profile\0\0" + zlib.compress(os.urandom(1 << 16) + bytes(1 << 21))


# What is wrong beside good pixels; all are stored turned.
ODD: dict[str, Callable[[], bytes]] = {
    "png: long compressed text": lambda: png_with(b"zTXt", long_text()),
    "png: long compressed text at the end": lambda: png_with(b"zTXt", long_text(), last=True),
    "png: long compressed international text": lambda: png_with(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"{}" * 550_000)),
    "png: text that is not compressed": lambda: png_with(b"zTXt", b"workflow\0\0nonsense"),
    "png: large colour profile": lambda: png_with(b"iCCP", long_profile()),
    "png: checksum of a text": lambda: png_with(b"tEXt", b"a\0b", checksum=1),
    "png: resolution cut short": lambda: png_with(b"pHYs", b"\0"),
    "jpeg: Photoshop data cut short": lambda: jpeg_with(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04"),
    "jpeg: index of further photos": lambda: jpeg_with(0xE2, b"MPF\0II*\0\xff\xff\xff\0"),
    "jpeg: index of further photos that are not there": lambda: jpeg_with(
        0xE2, b"MPF\0II*\0\x08\0\0\0" + struct.pack("<HHHIIHHIII", 2, 0xB001, 4, 1, 2, 0xB002, 7, 9, 0, 0)
    ),
    "jpeg: profile of missing parts": lambda: jpeg_with(0xE2, b"ICC_PROFILE\0\x02\x09nonsense"),
}


@pytest.mark.parametrize("name", ODD)
def test_pixels_are_read_without_what_is_wrong_beside_them(name: str) -> None:
    """Not an error, not a warning, and upright."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = load_image(ODD[name]())
    upright = scene().transpose(Image.Transpose.ROTATE_270)
    assert image.size == upright.size
    assert np.abs(np.asarray(image, np.int16) - np.asarray(upright, np.int16)).mean() < 12


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_tags_of_wrong_types_do_not_matter(form: str) -> None:
    """Of a hundred files with random tags each is read as the file without them, turned as the one readable tag says."""
    plain = np.asarray(load_image(encoded(form)).transpose(Image.Transpose.ROTATE_270))
    for seed in range(100):
        chance = random.Random(seed)
        if form == "TIFF":
            data = with_odd_tags(encoded(form), chance, TURNED)
        else:
            data = encoded(form, exif=odd_exif(chance, TURNED))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.array_equal(np.asarray(load_image(data)), plain), seed


def test_orientation_is_found_behind_broken_tags() -> None:
    for seed in range(100):
        assert exif_orientation(odd_exif(random.Random(seed), 8)) == 8
    for nothing in (b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"nonsense" * 9):
        assert exif_orientation(nothing) is None


def test_files_without_metadata_are_left_alone() -> None:
    """There is nothing to leave out, so nothing is read twice."""
    assert without_metadata(png_bytes(scene())) is None
    assert without_metadata(jpeg_bytes(scene())) is None
    assert without_metadata(encoded("WEBP")) is None
    assert without_metadata(b"") is None


def test_orientation_profile_and_opacity_stay() -> None:
    """What a photo looks like does not change by leaving out the rest."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("title", "light")
    exif = odd_exif(random.Random(1), TURNED)
    for data in (
        jpeg_bytes(scene(), exif=exif, icc_profile=profile, comment=b"light"),
        encoded("PNG", exif=exif, icc_profile=profile, pnginfo=text),
    ):
        plain = without_metadata(data)
        assert plain is not None and len(plain) < len(data)
        assert np.array_equal(np.asarray(load_image(plain)), np.asarray(load_image(data)))
        with Image.open(io.BytesIO(plain)) as image:
            assert image.info["icc_profile"] == profile and dict(image.getexif()) == {0x0112: TURNED}
    buffer = io.BytesIO()
    scene().quantize(16).save(buffer, "PNG", transparency=0, pnginfo=text)
    plain = without_metadata(buffer.getvalue())
    assert plain is not None
    assert np.array_equal(np.asarray(load_image(plain)), np.asarray(load_image(buffer.getvalue())))
