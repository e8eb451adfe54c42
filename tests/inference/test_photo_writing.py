"""An edited photo is written with what the original's file says of it, and never over the original."""

import io
import os
import random
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from aesthetic_mllm.inference.photo_writing import FORMATS, PhotoWritingError, write_photo
from aesthetic_mllm.processing.image_loading import load_image
from photo_files import heic_bytes, jpeg_bytes, odd_exif, scene, with_odd_tags

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ROCKET = Path(__file__).parents[2] / "examples" / "photos" / "rocket.jpg"  # Adobe RGB


def adobe_rgb() -> bytes:
    with Image.open(ROCKET) as photo:
        return photo.info["icc_profile"]


def camera_exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Acme"
    exif[ExifTags.Base.Copyright] = "A. Photographer"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ISOSpeedRatings] = 400
    details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight] = 96, 64
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return exif


def difference(first: Image.Image, second: Image.Image) -> float:
    return float(np.abs(np.asarray(first, np.float32) - np.asarray(second, np.float32)).mean())


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A turned JPEG with EXIF data and an sRGB profile."""
    path = tmp_path / "original.jpg"
    path.write_bytes(jpeg_bytes(scene(), exif=camera_exif().tobytes(), icc_profile=SRGB))
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_exif_and_profile_are_kept_in_every_format(original: Path, tmp_path: Path, suffix: str) -> None:
    """Camera, copyright, details and place stay; the photo is upright by its pixels alone, and its sizes are the written ones."""
    photo = load_image(original)
    edited = photo.crop((0, 0, 60, 70))
    written = write_photo(edited, original, tmp_path / f"edited{suffix}")
    with Image.open(written) as found:
        exif = found.getexif()
        assert exif.get(ExifTags.Base.Orientation, 1) == 1
        assert exif[ExifTags.Base.Make] == "Acme" and exif[ExifTags.Base.Copyright] == "A. Photographer"
        details = exif.get_ifd(ExifTags.IFD.Exif)
        assert details[ExifTags.Base.ISOSpeedRatings] == 400
        assert (details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight]) == (60, 70)
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        assert found.info["icc_profile"] == SRGB
    assert load_image(written).size == (60, 70)
    assert difference(load_image(written), edited) < 2


def test_jpegs_are_good(original: Path, tmp_path: Path) -> None:
    """Colour keeps its resolution: a photo with one-pixel colour detail comes back nearly as it was."""
    stripes = Image.fromarray(np.tile(np.array([[200, 60, 60], [60, 60, 200]], np.uint8), (64, 32, 1)))
    assert difference(load_image(write_photo(stripes, original, tmp_path / "edited.jpg")), stripes) < 3


def test_another_rgb_profile_is_kept_and_right(tmp_path: Path) -> None:
    """A photo in Adobe RGB is written in Adobe RGB, with the colours that were handed over as sRGB."""
    photo = load_image(ROCKET).resize((120, 80))
    written = write_photo(photo, ROCKET, tmp_path / "edited.png")
    with Image.open(written) as found:
        assert found.info["icc_profile"] == adobe_rgb()
        assert difference(found, photo) > 2
    assert difference(load_image(written), photo) < 1


@pytest.mark.parametrize(("mode", "profile"), [("CMYK", "adobe"), ("L", "adobe"), ("RGB", "broken")])
def test_what_a_profile_cannot_describe_is_srgb(tmp_path: Path, mode: str, profile: str) -> None:
    """A profile that is not one of RGB photos, or cannot be read, is not put on pixels that it is wrong for."""
    data = adobe_rgb() if profile == "adobe" else b"broken" * 40
    original = tmp_path / "original.jpg"
    original.write_bytes(jpeg_bytes(scene().convert(mode), icc_profile=data))
    photo = load_image(original)
    written = write_photo(photo, original, tmp_path / "edited.png")
    with Image.open(written) as found:
        kept = ImageCms.ImageCmsProfile(io.BytesIO(found.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(kept)
    assert difference(load_image(written), photo) == 0


def test_a_photo_without_metadata_gets_none(tmp_path: Path) -> None:
    original = tmp_path / "original.png"
    scene().save(original)
    with Image.open(write_photo(scene(), original, tmp_path / "edited.png")) as found:
        assert "icc_profile" not in found.info and len(found.getexif()) == 0


def test_how_a_tiff_stores_its_pixels_is_not_told_of_a_jpeg(tmp_path: Path) -> None:
    """Of a TIFF's tags those that describe the photo are kept, and those that describe the file are not."""
    original = tmp_path / "original.tif"
    scene().save(original, exif=camera_exif(1).tobytes())
    with Image.open(write_photo(scene(50, 30), original, tmp_path / "edited.jpg")) as found:
        assert set(found.getexif()) == {*camera_exif(1), ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}


def test_the_original_is_never_written_over(original: Path, tmp_path: Path) -> None:
    """Not by its name, by another way to it, by a symbolic or a hard link, and not when overwriting is allowed."""
    before = original.read_bytes()
    symbolic, hard = tmp_path / "symbolic.jpg", tmp_path / "hard.jpg"
    symbolic.symlink_to(original)
    os.link(original, hard)
    (tmp_path / "folder").mkdir()
    for target in (original, tmp_path / "folder" / ".." / original.name, symbolic, hard):
        with pytest.raises(PhotoWritingError, match="never written over"):
            write_photo(scene(), original, target, overwrite=True)
    with pytest.raises(PhotoWritingError, match="never written over"):
        write_photo(scene(), symbolic, original, overwrite=True)
    assert original.read_bytes() == before


def test_an_existing_file_is_replaced_only_when_told(original: Path, tmp_path: Path) -> None:
    target = tmp_path / "edited.png"
    target.write_bytes(b"mine")
    with pytest.raises(PhotoWritingError, match="exists"):
        write_photo(scene(), original, target)
    assert target.read_bytes() == b"mine"
    write_photo(scene(), original, target, overwrite=True)
    assert difference(load_image(target), scene()) == 0


def test_what_cannot_be_written_is_said_and_leaves_nothing(original: Path, tmp_path: Path) -> None:
    """A format without EXIF data, a missing folder, a missing original and a size that the format cannot hold."""
    with pytest.raises(PhotoWritingError, match=r"\.jpg.*\.png"):
        write_photo(scene(), original, tmp_path / "edited.bmp")
    with pytest.raises(PhotoWritingError, match="folder does not exist"):
        write_photo(scene(), original, tmp_path / "missing" / "edited.jpg")
    with pytest.raises(PhotoWritingError, match="original .*missing.jpg cannot be read"):
        write_photo(scene(), tmp_path / "missing.jpg", tmp_path / "edited.jpg")
    with pytest.raises(PhotoWritingError, match="cannot be written"):
        write_photo(Image.new("RGB", (20_000, 8)), original, tmp_path / "edited.webp")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["original.jpg"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_odd_exif_is_left_out_and_the_rest_is_kept(tmp_path: Path, kind: str, suffix: str) -> None:
    """Tags of wrong types do not keep a photo from being written; no warning comes out, and it is upright by its pixels."""
    original = tmp_path / f"original.{kind}"
    for seed in range(25):
        chance = random.Random(seed)
        if kind == "jpg":
            original.write_bytes(jpeg_bytes(scene(), exif=odd_exif(chance, 6)))
        else:
            buffer = io.BytesIO()
            scene().save(buffer, "TIFF")
            original.write_bytes(with_odd_tags(buffer.getvalue(), chance, 6))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            photo = load_image(original)
            written = write_photo(photo, original, tmp_path / f"edited{suffix}", overwrite=True)
            assert load_image(written).size == photo.size == (64, 96)


@pytest.mark.parametrize("odd", [(0x128, 2, 2, b"2\0\0\0"), (0x11A, 2, 3, b"72\0\0"), (0x131, 11, 1, struct.pack("<f", 1.5))])
def test_what_can_be_written_is_written(tmp_path: Path, odd: tuple[int, int, int, bytes]) -> None:
    """One tag of the wrong type takes none of the others with it, neither the camera nor the place."""
    whole = camera_exif(6).tobytes()
    start = len(b"Exif\0\0")
    order = "<" if whole[start : start + 2] == b"II" else ">"
    (count,) = struct.unpack_from(f"{order}H", whole, start + 8)
    entries = whole[start + 10 : start + 10 + 12 * count]
    # behind the rest, so that no offset moves
    tag, kind, number, value = odd
    odd_entry = struct.pack(f"{order}HHI", tag, kind, number) + value
    directory = struct.pack(f"{order}H", count + 1) + entries + odd_entry + bytes(4)
    exif = whole[: start + 4] + struct.pack(f"{order}I", len(whole) - start) + whole[start + 8 :] + directory
    original = tmp_path / "original.jpg"
    original.write_bytes(jpeg_bytes(scene(), exif=exif))
    with Image.open(write_photo(load_image(original), original, tmp_path / "edited.jpg")) as found:
        kept = found.getexif()
        assert kept[ExifTags.Base.Make] == "Acme" and kept[ExifTags.Base.Copyright] == "A. Photographer"
        assert kept[ExifTags.Base.Orientation] == 1
        assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 400
        assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


def test_of_a_heic_photo_exif_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    original = tmp_path / "original.heic"
    original.write_bytes(heic_bytes(scene(), exif=camera_exif().tobytes()))
    photo = load_image(original)
    with Image.open(write_photo(photo, original, tmp_path / "edited.jpg")) as found:
        assert found.getexif()[ExifTags.Base.Make] == "Acme" and found.getexif()[ExifTags.Base.Orientation] == 1
        assert found.size == photo.size == (64, 96)


def test_what_cannot_be_written_is_this_photos_error(tmp_path: Path) -> None:
    """A name that is too long, EXIF data that is too long for a JPEG, an original that is none: one typed error, and no file."""
    original = tmp_path / "original.jpg"
    original.write_bytes(jpeg_bytes(scene()))
    with pytest.raises(PhotoWritingError, match="too long"):
        write_photo(scene(), original, tmp_path / f"{'a' * 300}.jpg")
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "a" * 70_000
    scene().save(tmp_path / "long.png", exif=exif.tobytes())
    with pytest.raises(PhotoWritingError, match="too long"):
        write_photo(scene(), tmp_path / "long.png", tmp_path / "edited.jpg")
    (tmp_path / "broken.avif").write_bytes(b"\0\0\0\x1cftypavif" + bytes(99))
    with pytest.raises(PhotoWritingError, match="cannot be read"):
        write_photo(scene(), tmp_path / "broken.avif", tmp_path / "edited.jpg")
    assert not (tmp_path / "edited.jpg").exists()
