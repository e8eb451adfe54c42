"""Files without the metadata that keeps Pillow from reading their pixels."""

import struct
import zlib
from collections.abc import Iterator

# Tags of a TIFF that its pixels need, and those that a photo is shown by: orientation and colour profile.
_TIFF_PIXELS = frozenset(
    [254, *range(256, 260), 262, 266, 273, 274, *range(277, 281), 284, 292, 293, 317, 320, 321, *range(322, 326)]
    + [*range(330, 340), 347, *range(512, 522), 529, 530, 531, 532, 34675]
)
_ORIENTATION = 0x0112
_EXIF = b"Exif\0\0"
_JPEG_START, _PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def without_metadata(data: bytes) -> bytes | None:
    """A JPEG, PNG or TIFF file without what is said about its pixels; of that, orientation and colour profile alone stay.

    Returns:
        None where nothing was left out, or the file is of another format.
    """
    if data.startswith(_JPEG_START):
        kept = data[:2] + b"".join(_jpeg_parts(data))
    elif data.startswith(_PNG_START):
        kept = _PNG_START + b"".join(_png_parts(data))
    elif data.startswith((b"II*\0", b"MM\0*")):
        kept = _plain_tiff(data)
    else:
        return None
    return None if kept == data else kept


def exif_orientation(exif: bytes) -> int | None:
    """The orientation in EXIF data, whatever is wrong with the rest of it."""
    exif = exif.removeprefix(_EXIF)
    try:
        order, _, entries = _directory(exif)
        found = (struct.unpack(f"{order}HHIH2x", entry) for entry in entries)
        return next((value for tag, _, _, value in found if tag == _ORIENTATION), None)
    except struct.error:
        return None


def _directory(tiff: bytes) -> tuple[str, int, list[bytes]]:
    """Byte order, place and entries of the first directory of a TIFF, which EXIF data is too; `struct.error` if there is none."""
    order = "<" if tiff.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    return order, start, [tiff[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]


def _exif_of(orientation: int) -> bytes:
    """EXIF data that says this alone."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, _ORIENTATION, 3, 1, orientation, 0, 0)


def _jpeg_parts(data: bytes) -> Iterator[bytes]:
    """The segments up to the first scan, without comments and application data other than JFIF, orientation, ICC and Adobe's."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        marker, (length,) = data[place + 1], struct.unpack_from(">H", data, place + 2)
        segment = data[place : place + 2 + length]
        if marker == 0xE1 and (orientation := exif_orientation(segment[4:])) is not None:
            content = _EXIF + _exif_of(orientation)
            yield struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE) or segment[4:].startswith((b"JFIF\0", b"ICC_PROFILE\0", b"Adobe")):
            yield segment
        place += 2 + length
    yield data[place:]


def _png_parts(data: bytes) -> Iterator[bytes]:
    """The critical chunks, and of the others opacity, orientation and a colour profile that Pillow can unpack."""
    place = len(_PNG_START)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, content = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        chunk = data[place : place + 12 + length]
        whole = len(chunk) == 12 + length and chunk[-4:] == struct.pack(">I", zlib.crc32(kind + content))
        if kind == b"eXIf" and (orientation := exif_orientation(content)) is not None:
            exif = kind + _exif_of(orientation)
            yield struct.pack(">I", len(exif) - 4) + exif + struct.pack(">I", zlib.crc32(exif))
        elif kind[0] & 32 == 0 or (whole and (kind == b"tRNS" or (kind == b"iCCP" and _unpacks(content)))):
            yield chunk
        place += 12 + length
    yield data[place:]


def _unpacks(content: bytes, limit: int = 1 << 20) -> bool:
    """Whether a profile chunk is at most as large as Pillow lets compressed text be."""
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(content[content.find(b"\0") + 2 :], limit)
    except zlib.error:
        return False
    return not unpacker.unconsumed_tail


def _plain_tiff(data: bytes) -> bytes:
    """The same file whose first directory lists the pixels' tags alone; nothing else in it moves."""
    try:
        order, start, entries = _directory(data)
        kept = [entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] in _TIFF_PIXELS]
    except struct.error:
        return data
    if len(kept) == len(entries):
        return data
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)  # and no further directory
    return data[:start] + directory + data[start + len(directory) :]
