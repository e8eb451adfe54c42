"""What EXIF data say of a shot."""

import io
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from aesthetic_mllm.inference.capture import Capture, read_capture, seconds_between
from photo_files import heic_bytes, jpeg_bytes, scene

TAGS = ExifTags.Base


def exif(**tags: object) -> Image.Exif:
    """EXIF data with these tags of the shot, and a camera."""
    data = Image.Exif()
    data[TAGS.Make], data[TAGS.Model] = "Maker", "X1"
    data.get_ifd(ExifTags.IFD.Exif).update({TAGS[name]: value for name, value in tags.items()})
    return data


FULL = {
    "DateTimeOriginal": "2026:05:01 12:30:05", "SubsecTimeOriginal": "25", "OffsetTimeOriginal": "+02:00", "ExposureTime": 1 / 64,
    "FNumber": 8.0, "ISOSpeedRatings": 400, "ExposureBiasValue": -1.0, "ExposureMode": 2, "BodySerialNumber": "77",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["path", "bytes", "image"])
def test_everything_is_read_from_any_source(tmp_path: Path, kind: str) -> None:
    """Fractions of a second, time zone, exposure in stops, compensation, bracketing."""
    data = jpeg_bytes(scene(), exif=exif(**FULL))
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    found = read_capture({"path": path, "bytes": data, "image": Image.open(io.BytesIO(data))}[kind])
    zone = timezone(timedelta(hours=2))
    assert found.time == datetime(2026, 5, 1, 12, 30, 5, 250_000, zone) and found.camera == "Maker X1 77"
    assert found.exposure == pytest.approx(-6 + 2 - 6) and found.bias == -1 and found.is_bracketed


def test_heic_photos_have_times(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    path = tmp_path / "a.heic"
    path.write_bytes(heic_bytes(scene(), exif=exif(**FULL).tobytes()))
    assert read_capture(path).time is not None


@pytest.mark.parametrize(
    "tags",
    [{}, {"DateTimeOriginal": "0000:00:00 00:00:00"}, {"DateTimeOriginal": "soon", "ExposureTime": 0.0}],
)
def test_what_is_missing_or_wrong_says_nothing(tags: dict[str, object]) -> None:
    found = read_capture(jpeg_bytes(scene(), exif=exif(**tags)))
    assert found == Capture(camera="Maker X1")


def test_a_time_zone_that_there_is_none_of_says_nothing() -> None:
    """What else is known stays."""
    found = read_capture(jpeg_bytes(scene(), exif=exif(**FULL | {"OffsetTimeOriginal": "+99:99"})))
    assert found.time == datetime(2026, 5, 1, 12, 30, 5, 250_000) and found.camera == "Maker X1 77" and found.bias == -1


def test_what_has_no_exif_data_says_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "a.jpg"
    broken.write_bytes(b"no photo")
    for source in (broken, tmp_path / "missing.jpg", b"", np.zeros((4, 4, 3), np.uint8), jpeg_bytes(scene())):
        assert read_capture(source) == Capture()


def test_gaps_count_time_zones_where_both_have_one() -> None:
    """A camera set to summer time and a phone at UTC; without a zone the clocks' faces count."""
    zone = timezone(timedelta(hours=2))
    here = Capture(datetime(2026, 5, 1, 12, 0, tzinfo=zone))
    there = Capture(datetime(2026, 5, 1, 10, 0, 3, tzinfo=UTC))
    face = Capture(datetime(2026, 5, 1, 12, 0, 5))
    assert seconds_between(here, there) == 3 and seconds_between(here, face) == 5 and seconds_between(here, Capture()) is None
