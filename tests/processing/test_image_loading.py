"""Reading photos: what can be read is read right, the rest is an error that names file and reason."""

import base64
import builtins
import errno
import gc
import io
import os
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

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


def test_data_urls_are_photos_too() -> None:
    file = jpeg_bytes(scene())
    url = f"data:image/jpeg;base64,{base64.b64encode(file).decode()}"
    assert load_image(url).tobytes() == load_image(file).tobytes()
    for broken in (url[: len(url) // 2], "data:image/png;base64,A", "data:image/png;base64,", "data:image/png"):
        with pytest.raises(UnreadableImageError) as raised:
            load_image(broken)
        assert raised.value.source == "<data URL>" and len(str(raised.value)) < 200


def test_large_jpegs_are_decoded_small_but_large_enough() -> None:
    """With a size that is needed, a JPEG shrinks while decoding, to no less than twice that size."""
    data = jpeg_bytes(scene(4000, 3000))
    image = load_image(data, min_size=(288, 288))
    assert 576 <= min(image.size) < 3000
    assert load_image(data).size == (4000, 3000)


DECODERS_RAISE = [
    RuntimeError, AssertionError, KeyError, OverflowError, ZeroDivisionError, struct.error, TypeError, AttributeError, IndexError,
    NotImplementedError, RecursionError, UnicodeDecodeError("utf-8", b"a", 0, 1, "odd"), OSError("broken data stream"), EOFError,
]  # fmt: skip


@pytest.mark.parametrize("place", ["open", "load"])
@pytest.mark.parametrize("error", DECODERS_RAISE, ids=lambda error: getattr(error, "__name__", type(error).__name__))
def test_whatever_a_decoder_raises_is_an_image_error(
    place: str, error: type[Exception] | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoders of broken files raise anything; the reason is never empty, and the error holds nothing of the decoder's."""

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(*((Image, "open") if place == "open" else (ImageFile.ImageFile, "load")), fail)
    with pytest.raises(UnreadableImageError, match=r"damaged or truncated \(.+\)") as caught:
        load_image(png_bytes(scene()))
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_ends_of_the_program_are_not_errors_of_a_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a photo is decoded is Ctrl-C; too little memory for one is that photo's."""
    for error in (KeyboardInterrupt, SystemExit):
        monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self, error=error: (_ for _ in ()).throw(error()))
        with pytest.raises(error):
            load_image(png_bytes(scene()))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(UnsuitableImageError, match="memory"):
        load_image(png_bytes(scene()))


def test_decoders_that_fail_in_their_own_way() -> None:
    """Real files for it: an AVIF without the place of its pixels, a DDS without a pixel format."""
    files = {}
    for form in ("AVIF", "DDS"):
        buffer = io.BytesIO()
        scene().save(buffer, form)
        files[form] = buffer.getvalue()
    for data in (files["AVIF"].replace(b"iloc", b"xxxx"), files["DDS"][:80] + bytes(4) + files["DDS"][84:]):
        with pytest.raises(ImageError):
            load_image(data)


@pytest.mark.parametrize("name", ["truncated.jpg", "truncated.png", "truncated.tif", "truncated.gif", "text.jpg", "broken.png"])
def test_errors_hold_no_file_and_no_pixels(name: str, tmp_path: Path) -> None:
    """As many errors as one likes can be kept: the file is closed, and nothing that an error leads to is a file or an image."""
    path = tmp_path / name
    if name in BAD:
        path.write_bytes(BAD[name][0]())
    else:
        buffer = io.BytesIO()
        scene(200, 150).save(buffer, {"tif": "TIFF", "gif": "GIF"}[path.suffix[1:]])
        path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    errors = []
    for _ in range(20):
        try:
            load_image(path)
        except ImageError as error:
            errors.append(error)
    assert len(errors) == 20
    assert before == (len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0)
    for error in errors:
        frames = []
        trace = error.__traceback__
        while trace is not None:
            frames.append(trace.tb_frame)
            trace = trace.tb_next
        inner = [value for frame in frames[1:] for value in frame.f_locals.values()]
        assert not any(isinstance(value, io.IOBase | Image.Image | np.ndarray | ImageError | Path) for value in inner)
    gc.collect()
    held = [
        thing
        for thing in gc.get_objects()
        if ImageFile.ImageFile in type(thing).__mro__ and thing.size in ((640, 480), (200, 150))
    ]
    assert held == []


def test_places_are_told_from_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no file can have, a path below a file, a pipe, an address: what is wrong is said, and never "damaged"."""
    (tmp_path / "a.jpg").write_bytes(jpeg_bytes(scene()))
    for source, kind, reason in (
        ("a" * 300, UnreadableImageError, "File name too long"),
        ("a\0b.jpg", ImageNotFoundError, "no such file"),
        (tmp_path / "a.jpg" / "b.jpg", ImageNotFoundError, "no such file"),
        ("", ImageNotFoundError, "no such file"),
        ("https://example.org/a.jpg", ImageNotFoundError, "download the photo first"),
        ("s3://bucket/a.jpg", ImageNotFoundError, "download the photo first"),
    ):
        with pytest.raises(kind, match=reason):
            load_image(source)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(UnreadableImageError, match="device or a pipe"):
            load_image(tmp_path / "pipe.jpg")
    for number in (errno.EACCES, errno.EMFILE, errno.EIO):

        def refuse(*args: object, number: int = number, **kwargs: object) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(builtins, "open", refuse)
            with pytest.raises(UnreadableImageError, match=f"cannot be read .{os.strerror(number)}"):
                load_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_photo_that_was_loaded_is_not_turned_again(form: str) -> None:
    """What `load_image` gives is upright and says so."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    scene().save(buffer, form, exif=exif.tobytes())
    once = load_image(buffer.getvalue())
    assert once.size == (64, 96)
    assert np.array_equal(np.asarray(load_image(once)), np.asarray(once))


def test_bombs_are_refused_before_they_are_unpacked() -> None:
    """Also where the picture is a piece of another: an icon's, and one whose header is the only large thing."""
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 5000, 22) + BAD["bomb.png"][0]()
    for data in (BAD["bomb.png"][0](), icon):
        with pytest.raises(ImageError):
            load_image(data)


def test_a_picture_without_pixels_is_refused() -> None:
    """Pillow makes such ones, by a crop for instance; nothing later could judge them."""
    for size in ((0, 0), (0, 5), (5, 0)):
        with pytest.raises(UnsuitableImageError, match=f"{size[0]} x {size[1]} pixels; there is nothing to see"):
            load_image(Image.new("RGB", size))


@pytest.mark.parametrize("values", [np.zeros((8, 8), np.float32), np.full((8, 8), np.nan, np.float32), np.full((8, 8), 70_000)])
def test_values_without_a_known_range_are_not_called_damaged(values: np.ndarray) -> None:
    """A float picture is whole, but says nowhere what is white; the message names the file and what to do."""
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.float32 if values.dtype == np.float32 else np.int32)).save(buffer, "TIFF")
    for given, name in ((buffer.getvalue(), "<bytes>"), (Image.open(buffer), "<image>")):
        with pytest.raises(UnsuitableImageError, match="save it with 8 or 16 bits") as caught:
            load_image(given)
        assert caught.value.source == name


def test_grey_with_premultiplied_opacity_is_read() -> None:
    """Mode La, which Pillow converts to LA alone."""
    clear = Image.new("LA", (20, 20), (100, 0)).convert("La")
    assert np.all(np.asarray(load_image(clear, background=(10, 20, 30))) == (10, 20, 30))
