"""Broken files of every format: nothing but an `ImageError` comes out, and nothing stays behind."""

import contextlib
import ctypes
import gc
import importlib.util
import io
import os
import random
import struct
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from aesthetic_mllm.processing.image_formats import PILLOW_FORMATS
from aesthetic_mllm.processing.image_loading import ImageError, load_image
from photo_files import heic_bytes, odd_exif, scene, with_odd_tags

IN_CI, IN_ALL = 2_000, 40_000
# Of 28,000 errors that are kept themselves; with their files and frames they would be hundreds of megabytes.
MEMORY_SLACK = 60_000_000


def encoded(form: str, image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def seeds() -> dict[str, bytes]:
    """Whole files of every format and of the kinds within it that have decoders of their own."""
    photo = scene(48, 36)
    exif = odd_exif(random.Random(0), 6)
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "{}" * 2000, zip=True)
    text.add_itxt("title", "light", "en", "light", zip=True)
    sixteen = Image.fromarray(np.linspace(0, 65_535, 48 * 36).astype(np.uint16).reshape(36, 48))
    clear = photo.convert("RGBA")
    clear.putalpha(100)
    files = {
        "JPEG": encoded("JPEG", photo, exif=exif, comment=b"light"),
        "JPEG progressive": encoded("JPEG", photo, progressive=True, icc_profile=b"profile" * 20),
        "JPEG CMYK": encoded("JPEG", photo.convert("CMYK")),
        "JPEG of two": encoded("MPO", photo, save_all=True, append_images=[photo]),
        "PNG": encoded("PNG", photo, pnginfo=text, exif=exif),
        "PNG palette": encoded("PNG", photo.quantize(16), transparency=0),
        "PNG 16 bit": encoded("PNG", sixteen),
        "PNG animation": encoded("PNG", clear, save_all=True, append_images=[clear.rotate(90)]),
        "WEBP": encoded("WEBP", photo, exif=exif),
        "WEBP lossless": encoded("WEBP", clear, lossless=True),
        "GIF": encoded("GIF", photo, save_all=True, append_images=[photo.rotate(90)]),
        "AVIF": encoded("AVIF", photo, exif=exif),
        "JPEG2000": encoded("JPEG2000", photo),
        "JPEG2000 stream": encoded("JPEG2000", photo, no_jp2=True),
        "PPM": encoded("PPM", photo),
        "PPM grey": encoded("PPM", sixteen),
        "PPM text": b"P3\n48 36\n255\n" + b" ".join(b"%d" % value for value in photo.tobytes()),
        "BMP palette": encoded("BMP", photo.quantize(16)),
        "TGA RLE": encoded("TGA", photo, compression="tga_rle"),
        "PSD": psd(photo),
    }
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        files[f"TIFF {compression}"] = with_odd_tags(encoded("TIFF", photo, compression=compression), random.Random(1), 6)
    files["TIFF group4"] = encoded("TIFF", photo.convert("1"), compression="group4")
    files["TIFF of two"] = encoded("TIFF", photo, save_all=True, append_images=[photo])
    for form in ("BMP", "DIB", "DDS", "ICO", "PCX", "QOI", "SGI", "TGA"):
        files[form] = encoded(form, photo)
    for form in ("DXT1", "DXT5", "BC5"):
        files[f"DDS {form}"] = encoded("DDS", clear if form == "DXT5" else photo, pixel_format=form)
    if importlib.util.find_spec("pillow_heif"):
        files["HEIF"] = heic_bytes(photo)
    # these are refused for what they are, whatever is in them
    for form in ("EPS", "IM", "MSP", "SPIDER", "XBM", "PDF", "ICNS"):
        modes = {"MSP": "1", "XBM": "1", "SPIDER": "F"}
        files[form] = encoded(form, photo.convert(modes.get(form, "RGB")))
    return files


def psd(photo: Image.Image) -> bytes:
    """Pillow reads Photoshop's files and does not write them: one of raw pixels, without layers."""
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, photo.height, photo.width, 8, 3)
    return header + bytes(12) + bytes(2) + b"".join(band.tobytes() for band in photo.split())


def flip_bits(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 3, 10, 100))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def edit_header(data: bytearray, chance: random.Random) -> None:
    """Numbers at the start, where sizes and counts are."""
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(min(len(data), 120))
        value = chance.choice((0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, chance.getrandbits(16)))
        size = chance.choice("BHI")
        packed = struct.pack(chance.choice("<>") + size, value & (2 ** (8 * struct.calcsize(size)) - 1))
        data[place : place + len(packed)] = packed


def truncate(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def splice(data: bytearray, chance: random.Random) -> None:
    """A piece out, in again elsewhere, or doubled."""
    start = chance.randrange(len(data))
    piece = data[start : start + chance.randint(1, 200)]
    if chance.random() < 0.6:
        del data[start : start + len(piece)]
    place = chance.randrange(len(data) + 1)
    data[place:place] = piece if chance.random() < 0.6 else chance.randbytes(len(piece))


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (flip_bits, edit_header, truncate, splice)


def mutated(files: dict[str, bytes], number: int) -> tuple[str, bytes]:
    """The broken file of a number, always the same."""
    chance = random.Random(number)
    names = list(files)
    name = names[number % len(names)]
    data = bytearray(files[name])
    for _ in range(chance.choice((1, 1, 1, 2))):
        if data:
            chance.choice(MUTATIONS)(data, chance)
    if chance.random() < 0.05:  # the end of another file
        other = files[chance.choice(names)]
        data += other[chance.randrange(len(other)) :]
    return name, bytes(data)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def memory() -> int:
    """Bytes of this process in memory, without what the allocator keeps for later; 0 where the system does not say."""
    gc.collect()
    if not os.path.exists("/proc/self/statm"):
        return 0
    with contextlib.suppress(AttributeError, OSError):  # not of glibc
        ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of writing what is odd
        return seeds()


def load_all(files: dict[str, bytes], count: int) -> tuple[Counter[str], list[ImageError], list[tuple[float, int, str]]]:
    """Loads so many broken files: how many of each format were read, the errors, and what took longest, in CPU seconds."""
    assert {name.split()[0] for name in files} >= set(PILLOW_FORMATS)
    for name, data in files.items():
        try:
            assert load_image(data).mode == "RGB"
        except ImageError:
            assert name in ("EPS", "IM", "MSP", "SPIDER", "XBM", "PDF", "ICNS"), name
    read: Counter[str] = Counter()
    slowest: list[tuple[float, int, str]] = []
    errors: list[ImageError] = []
    gc.collect()
    gc.freeze()  # else a collection of the whole session's objects counts for the file that it comes with
    for number in range(count):
        name, data = mutated(files, number)
        start = time.process_time()
        try:
            assert load_image(data).mode == "RGB"
            read[name] += 1
        except ImageError as error:
            assert error.__cause__ is None and error.__context__ is None
            errors.append(error)
        except Exception as error:
            raise AssertionError(f"mutation {number} of {name}: {error!r}") from error
        slowest = sorted([*slowest, (time.process_time() - start, number, name)])[-5:]
    gc.unfreeze()
    return read, errors, slowest


def test_broken_files_are_image_errors_and_leave_nothing(files: dict[str, bytes], capfd: pytest.CaptureFixture[str]) -> None:
    """Of broken files of every format that is read, each is read or an `ImageError`; no file stays open, nothing is printed."""
    before = open_files()
    read, errors, _ = load_all(files, IN_CI)
    assert read.total() + len(errors) == IN_CI
    assert 0.1 * IN_CI < read.total() < 0.9 * IN_CI  # else the mutations break too much, or too little
    assert open_files() == before
    printed = capfd.readouterr()  # libtiff tells C's error stream what is broken, and nobody else
    assert printed.out == "" and "Warning" not in printed.err and "Traceback" not in printed.err


@pytest.mark.slow
def test_many_broken_files_are_image_errors_and_leave_nothing(files: dict[str, bytes], capfd: pytest.CaptureFixture[str]) -> None:
    """The same of many more, and the memory stays flat though all errors are kept."""
    load_all(files, IN_CI)
    before, memory_before = open_files(), memory()
    read, errors, slowest = load_all(files, IN_ALL)
    grown = memory() - memory_before
    printed = capfd.readouterr()
    told = [f"{IN_ALL:,} files, {read.total():,} read; memory {grown / 1e6:+.1f} MB, files {open_files() - before:+d}; slowest:"]
    told += [f"{seconds:8.2f} s of the CPU  mutation {number} of {name}" for seconds, number, name in reversed(slowest)]
    with capfd.disabled():
        sys.stdout.write("\n".join(["", *told, ""]))
    assert open_files() == before
    assert read.total() + len(errors) == IN_ALL and grown < MEMORY_SLACK
    assert printed.out == "" and "Warning" not in printed.err and "Traceback" not in printed.err
