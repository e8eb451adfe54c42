"""When and how a photo was taken, from its EXIF data."""

import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from ..processing.image_formats import HEIF_SUFFIXES
from ..processing.image_loading import ImageSource

AUTO_BRACKET = 2
_TAGS = ExifTags.Base


@dataclass(frozen=True)
class Capture:
    """What a camera noted of a shot; `None` where it did not.

    Args:
        time: with fractions of a second and time zone as far as they are known.
        camera: make, model and serial number.
        exposure: of the sensor in stops, log2 of time times ISO over aperture squared: a longer exposure has more.
        bias: exposure compensation in stops.
        is_bracketed: whether the camera says that it was bracketing.
    """

    time: datetime | None = None
    camera: str = ""
    exposure: float | None = None
    bias: float | None = None
    is_bracketed: bool = False


def read_capture(source: ImageSource) -> Capture:
    """Of a path, the bytes of a file or a Pillow image; empty of anything else, and where there is no EXIF data to be read."""
    try:
        exif = _exif_of(source)
        return Capture() if exif is None else capture_of(exif)
    except Exception:  # EXIF data can be broken in any way; then it says nothing
        return Capture()


def capture_of(exif: Image.Exif) -> Capture:
    """What EXIF data says of the shot."""
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    camera = (exif.get(_TAGS.Make), exif.get(_TAGS.Model), inner.get(_TAGS.BodySerialNumber))
    return Capture(
        time=_time(inner),
        camera=" ".join(str(part).strip("\0 ") for part in camera if part),
        exposure=_exposure(inner),
        bias=_number(inner.get(_TAGS.ExposureBiasValue)),
        is_bracketed=inner.get(_TAGS.ExposureMode) == AUTO_BRACKET,
    )


def seconds_between(first: Capture, second: Capture) -> float | None:
    """From the first shot to the second; `None` where a time is missing. Without time zones for both, by the clocks' faces."""
    if first.time is None or second.time is None:
        return None
    if first.time.tzinfo is None or second.time.tzinfo is None:
        return (second.time.replace(tzinfo=None) - first.time.replace(tzinfo=None)).total_seconds()
    return (second.time - first.time).total_seconds()


def _exif_of(source: ImageSource) -> Image.Exif | None:
    if isinstance(source, Image.Image):
        return source.getexif()
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.suffix.lower() in HEIF_SUFFIXES:
            import pillow_heif

            exif = Image.Exif()
            exif.load(pillow_heif.open_heif(path, convert_hdr_to_8bit=False).info["exif"])
            return exif
        with Image.open(path) as image:
            return image.getexif()
    if isinstance(source, bytes):
        with Image.open(io.BytesIO(source)) as image:
            return image.getexif()
    return None


def _time(inner: Mapping[int, Any]) -> datetime | None:
    text = str(inner.get(_TAGS.DateTimeOriginal, "")).strip("\0 ")
    try:
        time = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    fraction = str(inner.get(_TAGS.SubsecTimeOriginal, "")).strip("\0 ")
    if fraction.isdigit():
        time += timedelta(seconds=float(f"0.{fraction}"))
    offset = str(inner.get(_TAGS.OffsetTimeOriginal, "")).strip("\0 ")
    try:
        sign, hours, minutes = offset[0], int(offset[1:3]), int(offset[4:6])
    except (IndexError, ValueError):
        return time
    try:
        return time.replace(tzinfo=timezone(timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1)))
    except ValueError:  # there are no such zones
        return time


def _exposure(inner: Mapping[int, Any]) -> float | None:
    seconds, aperture = _number(inner.get(_TAGS.ExposureTime)), _number(inner.get(_TAGS.FNumber))
    speed = inner.get(_TAGS.ISOSpeedRatings)
    iso = _number(speed[0] if isinstance(speed, tuple) and speed else speed)
    if not seconds or seconds < 0:
        return None
    return math.log2(seconds * (iso or 100) / 100 / (aperture or 1) ** 2)


def _number(value: Any) -> float | None:
    """A finite number; `None` for anything else, such as a fraction over nothing."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None
