"""Every kind of file that a user may take for a photo, written into a folder."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """A colourful picture without symmetry, so that a turn, a flip or a swapped channel shows."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red = 255 * x / max(1, width - 1)
    green = 255 * y / max(1, height - 1)
    blue = 127 + 120 * np.sin(x / 7) * np.cos(y / 11)
    return Image.fromarray(np.stack([red, green, blue], -1).round().astype(np.uint8))


def jpeg_bytes(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def png_bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


# Where a TIFF has its pixels, and how; EXIF data is a TIFF too.
_PIXEL_TAGS = {254, 255, *range(256, 260), 262, 263, 266, 273, 274, *range(277, 281), 284, 317, *range(320, 326), 330, 347}
_PIXEL_TAGS |= {*range(512, 522), 529, 530, 531, 532, 34675, 50706}


def odd_tags(chance: random.Random, orientation: int, count: int = 12) -> dict[int, bytes]:
    """Entries of a little-endian TIFF directory: random tags, types, counts and values, and an orientation that can be read."""
    known = (270, 271, 282, 283, 296, 305, 306, 315, 33432, 33434, 33723, 34665, 34853, 36867, 37500, 40962, 700)
    entries = {0x0112: struct.pack("<HHI4s", 0x0112, 3, 1, bytes([orientation, 0, 0, 0]))}
    while len(entries) < count:
        tag = chance.choice(known) if chance.random() < 0.7 else chance.randrange(65_536)
        if tag not in _PIXEL_TAGS:
            values = chance.choice((0, 1, 1, 1, 2, 4, 100, 70_000))
            entries[tag] = struct.pack("<HHI4s", tag, chance.randrange(15), values, chance.randbytes(4))
    return entries


def directory(entries: dict[int, bytes]) -> bytes:
    return struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)


def odd_exif(chance: random.Random, orientation: int) -> bytes:
    """EXIF data whose tags have the wrong types and sizes."""
    return b"Exif\0\0II*\0\x08\0\0\0" + directory(odd_tags(chance, orientation))


def with_odd_tags(tiff: bytes, chance: random.Random, orientation: int) -> bytes:
    """A little-endian TIFF with such tags beside those of its pixels."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    own = [tiff[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]
    entries = odd_tags(chance, orientation) | {struct.unpack_from("<H", entry)[0]: entry for entry in own}
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory(entries)


def png_header_claiming(width: int, height: int) -> bytes:
    """A few bytes that promise a picture of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def heic_bytes(image: Image.Image, **options: object) -> bytes:
    """A file as phones write them; needs pillow-heif."""
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95, **options)
    return buffer.getvalue()


def dng_bytes(preview: Image.Image | None, sensor: Image.Image, orientation: int = 1) -> bytes:
    """A camera raw file: in the first directory a JPEG preview, if there is one, and a sensor's data (16 bits, RGGB) below it."""
    values = np.asarray(sensor.convert("RGB"), np.uint16) * 64
    mosaic = values[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = values[::2, ::2, 0], values[1::2, 1::2, 2]
    jpeg = b"" if preview is None else jpeg_bytes(preview)
    place_of = {"jpeg": 8, "sensor": 8 + len(jpeg) + len(jpeg) % 2}
    data = bytearray(8) + jpeg + bytes(len(jpeg) % 2) + mosaic.tobytes()

    def ifd(tags: dict[int, tuple[str, tuple]]) -> int:
        """Appends a directory, its longer values before it; where it is."""
        entries = {}
        for tag, (kind, content) in tags.items():
            packed = struct.pack(f"<{len(content)}{kind}", *content) if kind != "r" else struct.pack(f"<{2 * len(content)}i", *(
                part for value in content for part in (round(value * 10_000), 10_000)))  # fmt: skip
            code = {"B": 1, "c": 2, "H": 3, "I": 4, "r": 10}[kind]
            if len(packed) > 4:
                data.extend(packed + bytes(len(packed) % 2))
                packed = struct.pack("<I", len(data) - len(packed) - len(packed) % 2)
            entries[tag] = struct.pack("<HHI4s", tag, code, len(content), packed)
        data.extend(directory(entries))
        return len(data) - len(directory(entries))

    def text(value: str) -> tuple[str, tuple]:
        return "c", tuple(bytes([letter]) for letter in value.encode() + b"\0")

    width, height = sensor.size
    raw = {
        254: ("I", (0,)), 256: ("I", (width,)), 257: ("I", (height,)), 258: ("H", (16,)), 259: ("H", (1,)), 262: ("H", (32803,)),
        273: ("I", (place_of["sensor"],)), 277: ("H", (1,)), 278: ("I", (height,)), 279: ("I", (mosaic.nbytes,)),
        33421: ("H", (2, 2)), 33422: ("B", (0, 1, 1, 2)), 50717: ("I", (255 * 64,)),
    }  # fmt: skip
    camera = {
        271: text("Acme"), 272: text("Acme 1"), 274: ("H", (orientation,)), 50706: ("B", (1, 4, 0, 0)),
        50708: text("Acme 1"), 50721: ("r", (1, 0, 0, 0, 1, 0, 0, 0, 1)), 50728: ("r", (1, 1, 1)),
    }  # fmt: skip
    if preview is None:
        first = ifd(raw | camera)
    else:
        shown = {
            254: ("I", (1,)), 256: ("I", (preview.width,)), 257: ("I", (preview.height,)), 258: ("H", (8, 8, 8)),
            259: ("H", (7,)), 262: ("H", (6,)), 273: ("I", (place_of["jpeg"],)), 277: ("H", (3,)), 278: ("I", (preview.height,)),
            279: ("I", (len(jpeg),)), 330: ("I", (ifd(raw),)),
        }  # fmt: skip
        first = ifd(shown | camera)
    data[:8] = b"II*\0" + struct.pack("<I", first)
    return bytes(data)


def _rotated(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg_bytes(scene(), exif=exif.tobytes())


def _sixteen_bit() -> bytes:
    ramp = np.linspace(0, 65_535, 96).round().astype(np.uint16)
    return png_bytes(Image.fromarray(np.tile(ramp, (64, 1))))


def _animation() -> bytes:
    buffer = io.BytesIO()
    frames = [scene(), scene().transpose(Image.Transpose.ROTATE_180)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=50)
    return buffer.getvalue()


def _half_transparent(mode: str) -> bytes:
    image = scene().convert("RGBA")
    image.putalpha(128)
    return png_bytes(image.convert(mode))


def _transparent_palette() -> bytes:
    buffer = io.BytesIO()
    scene().quantize(16).save(buffer, "PNG", transparency=0)
    return buffer.getvalue()


# What can be read right.
GOOD: dict[str, Callable[[], bytes]] = {
    "plain.jpg": lambda: jpeg_bytes(scene()),
    "cmyk.jpg": lambda: jpeg_bytes(scene().convert("CMYK")),
    "grey.jpg": lambda: jpeg_bytes(scene().convert("L")),
    "sixteen_bit.png": _sixteen_bit,
    "palette.png": lambda: png_bytes(scene().quantize(32)),
    "transparent_palette.png": _transparent_palette,
    "alpha.png": lambda: _half_transparent("RGBA"),
    "grey_alpha.png": lambda: _half_transparent("LA"),
    "one_bit.png": lambda: png_bytes(scene().convert("1")),
    "turned.jpg": lambda: _rotated(6),
    "animation.gif": _animation,
    "profile.jpg": lambda: jpeg_bytes(scene(), icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
}

# What cannot be judged, with a word of the reason.
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", "empty"),
    "text.jpg": (lambda: b"this is no image", "not an image"),
    "truncated.jpg": (lambda: jpeg_bytes(scene(640, 480))[:6000], "truncated"),
    "truncated.png": (lambda: png_bytes(scene(640, 480))[:3000], "truncated"),
    "one_pixel.png": (lambda: png_bytes(scene(1, 1)), "1 x 1"),
    "line.png": (lambda: png_bytes(scene(20_000, 10)), "20000 x 10"),
    "long.png": (lambda: png_bytes(scene(2_000, 20)), "2000 x 20"),
    "bomb.png": (lambda: png_header_claiming(100_000, 100_000), "pixels"),
    "broken.png": (lambda: png_header_claiming(300, 200), "damaged"),
}


def write_photos(folder: Path, writers: dict[str, Callable[[], bytes]]) -> list[Path]:
    """Writes the files and returns their paths in order."""
    paths = []
    for name, write in writers.items():
        paths.append(folder / name)
        paths[-1].write_bytes(write())
    return paths
