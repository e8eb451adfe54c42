"""Reading photos: what can be read is read right, the rest is an error that names file and reason."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from aesthetic_mllm.processing.image_loading import (
    ImageError,
    ImageNotFoundError,
    UnreadableImageError,
    UnsuitableImageError,
    load_image,
)
from photo_files import BAD, GOOD, jpeg_bytes, png_bytes, scene


@pytest.mark.parametrize("name", GOOD)
def test_every_readable_kind_becomes_rgb(name: str) -> None:
    """Whatever its mode, a readable photo is 8-bit RGB, and path-free bytes will do."""
    image = load_image(GOOD[name]())
    assert image.mode == "RGB"
    assert sorted(image.size) == [64, 96]


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("one_pixel.png", "line.png", "long.png")])
def test_unreadable_files_name_file_and_reason(name: str, tmp_path: Path) -> None:
    """An unreadable file is an ImageError whose text holds its path and what is wrong, and Pillow's warnings stay inside."""
    write, reason = BAD[name]
    path = tmp_path / name
    path.write_bytes(write())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError) as caught:
            load_image(path)
    assert str(path) in str(caught.value)
    assert reason in caught.value.reason
    assert caught.value.source == str(path)


def test_kinds_of_errors_are_told_apart(tmp_path: Path) -> None:
    """Missing, unreadable and unsuitable are different types."""
    with pytest.raises(ImageNotFoundError):
        load_image(tmp_path / "nothing.jpg")
    with pytest.raises(UnreadableImageError):
        load_image(tmp_path)
    with pytest.raises(UnsuitableImageError):
        load_image(BAD["bomb.png"][0]())


def test_pillows_limit_stays_as_it_was() -> None:
    """Guarding against bombs does not change Pillow for the rest of the program."""
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError):
        load_image(BAD["bomb.png"][0]())
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_show_the_same_upright_photo(orientation: int) -> None:
    """A photo stored turned or mirrored, with the EXIF tag that says so, loads as the upright one."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = scene() if orientation == 1 else scene().transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif.tobytes())
    assert np.array_equal(np.asarray(load_image(buffer.getvalue())), np.asarray(scene()))


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    """A 16-bit ramp keeps all its steps: from black to white, never falling, hardly a plateau."""
    row = np.asarray(load_image(GOOD["sixteen_bit.png"]()))[0, :, 0].astype(int)
    assert row[0] == 0 and row[-1] == 255
    assert np.all(np.diff(row) >= 0)
    assert len(np.unique(row)) > 90


def test_transparency_shows_the_background() -> None:
    """A fully transparent photo is the background, an opaque one is itself."""
    clear = scene().convert("RGBA")
    clear.putalpha(0)
    assert np.all(np.asarray(load_image(png_bytes(clear), background=(10, 20, 30))) == (10, 20, 30))
    opaque = png_bytes(scene().convert("RGBA"))
    assert np.array_equal(np.asarray(load_image(opaque)), np.asarray(scene()))


def test_first_frame_of_an_animation() -> None:
    """Of an animation the first frame counts, not the last."""
    image = np.asarray(load_image(GOOD["animation.gif"]()), np.int16)
    first, last = (np.asarray(frame, np.int16) for frame in (scene(), scene().transpose(Image.Transpose.ROTATE_180)))
    assert np.abs(image - first).mean() < 10 < np.abs(image - last).mean()


def test_cmyk_and_rgb_look_alike() -> None:
    """A CMYK photo has the colours of its RGB original, not their negative."""
    image = np.asarray(load_image(GOOD["cmyk.jpg"]()), np.int16)
    assert np.abs(image - np.asarray(scene(), np.int16)).mean() < 8


def test_foreign_colour_space_is_converted() -> None:
    """The same numbers in a wider colour space are other colours, so a profile must change them; a broken one must not."""
    photo = Image.new("RGB", (64, 64), (200, 80, 60))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(np.asarray(load_image(jpeg_bytes(photo, icc_profile=lab))), np.asarray(load_image(jpeg_bytes(photo))))
    assert np.array_equal(
        np.asarray(load_image(jpeg_bytes(photo, icc_profile=b"broken" * 40))), np.asarray(load_image(jpeg_bytes(photo)))
    )
    rocket = Path(__file__).parents[2] / "examples" / "photos" / "rocket.jpg"  # Adobe RGB
    with Image.open(rocket) as stored:
        plain = np.asarray(stored.convert("RGB"), np.int16)
    assert np.abs(np.asarray(load_image(rocket), np.int16) - plain).max() > 4


def test_path_bytes_and_image_are_the_same_photo(tmp_path: Path) -> None:
    """However a photo is handed over, its pixels are the same, and a Pillow image is left as it was."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(GOOD["turned.jpg"]())
    with Image.open(path) as given:
        loaded = [np.asarray(load_image(source)) for source in (path, str(path), path.read_bytes(), given)]
        assert given.getexif()[0x0112] == 6
    assert all(np.array_equal(loaded[0], other) for other in loaded[1:])


def test_large_jpegs_are_decoded_small_but_large_enough() -> None:
    """With a size that is needed, a JPEG shrinks while decoding, to no less than twice that size."""
    data = jpeg_bytes(scene(4000, 3000))
    image = load_image(data, min_size=(288, 288))
    assert 576 <= min(image.size) < 3000
    assert load_image(data).size == (4000, 3000)
