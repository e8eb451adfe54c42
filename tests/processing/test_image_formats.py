"""Which formats are read: Pillow's of photos, HEIC and camera raw where their readers are installed; the rest is named."""

import builtins
import io
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from aesthetic_mllm.processing import image_formats
from aesthetic_mllm.processing.image_loading import UnreadableImageError, UnsuitableImageError, load_image
from photo_files import dng_bytes, heic_bytes, jpeg_bytes, scene

# Quarter turns to the left that make a photo stored with an orientation upright.
TURNS = {1: 0, 3: 2, 6: 3, 8: 1}
PREVIEW = scene(900, 600)


def difference(first: Image.Image, second: Image.Image) -> float:
    assert first.size == second.size
    return float(np.abs(np.asarray(first, np.float32) - np.asarray(second, np.float32)).mean())


def upright(stored: Image.Image, orientation: int) -> Image.Image:
    return Image.fromarray(np.rot90(np.asarray(stored), TURNS[orientation]))


@pytest.mark.parametrize("orientation", TURNS)
def test_heic_is_read_upright(orientation: int, tmp_path: Path) -> None:
    """From bytes and from a file whatever its name; once read it is not turned again."""
    pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = heic_bytes(scene(), exif=exif.tobytes())
    (tmp_path / "photo.heic").write_bytes(data)
    (tmp_path / "photo.jpg").write_bytes(data)
    for source in (data, tmp_path / "photo.heic", tmp_path / "photo.jpg"):
        image = load_image(source)
        assert difference(image, upright(scene(), orientation)) < 6
        assert load_image(image).size == image.size


@pytest.mark.parametrize("orientation", TURNS)
def test_the_preview_of_a_camera_raw_file_is_read_upright(orientation: int, tmp_path: Path) -> None:
    """Also where the file is known by its content alone, and not once more when it is read again."""
    pytest.importorskip("rawpy")
    data = dng_bytes(PREVIEW, scene(960, 640), orientation)
    (tmp_path / "photo.DNG").write_bytes(data)
    for source in (data, tmp_path / "photo.DNG"):
        image = load_image(source)
        assert difference(image, upright(PREVIEW, orientation)) < 4
        assert load_image(image).size == image.size


def test_a_preview_that_is_upright_already_stays_so() -> None:
    pytest.importorskip("rawpy")
    tall = upright(PREVIEW, 6)
    assert difference(load_image(dng_bytes(tall, scene(960, 640), 6)), tall) < 4


@pytest.mark.parametrize("preview", [None, (160, 120)], ids=["none", "small"])
def test_without_a_useful_preview_the_sensor_is_read(preview: tuple[int, int] | None, tmp_path: Path) -> None:
    """At half its size, which is enough; upright too."""
    pytest.importorskip("rawpy")
    path = tmp_path / "photo.dng"
    path.write_bytes(dng_bytes(scene(*preview) if preview else None, scene(960, 640), 6))
    assert load_image(path).size == (320, 480)


@pytest.mark.parametrize(("module", "suffix"), [("pillow_heif", ".HEIC"), ("rawpy", ".NEF")])
def test_without_its_reader_a_format_is_named_with_the_remedy(
    module: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name and by its content. The thumbnail in a raw file, which Pillow would find, is not taken for the photo."""
    monkeypatch.setitem(sys.modules, module, None)
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(b"x" * 99)
    sources: list[Any] = [path]
    if module == "rawpy":
        sources.append(dng_bytes(PREVIEW, scene(960, 640)))
    else:
        sources.append(b"\0\0\0\x18ftypheic" + bytes(200))
    for source in sources:
        with pytest.raises(UnreadableImageError, match=r"pip install 'aesthetic-mllm\[formats\]'"):
            load_image(source)


@pytest.mark.parametrize("suffix", [".heic", ".nef", ".dng"])
def test_damaged_files_of_those_formats_are_image_errors(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    pytest.importorskip("rawpy")
    whole = heic_bytes(scene()) if suffix == ".heic" else dng_bytes(PREVIEW, scene(960, 640))
    for content in (b"x" * 99, whole[: len(whole) // 2], whole[:100]):
        path = tmp_path / f"photo{suffix}"
        path.write_bytes(content)
        with pytest.raises((UnreadableImageError, UnsuitableImageError)) as caught:
            load_image(path)
        assert "pip install" not in caught.value.reason


def test_a_jpeg_with_another_ending_is_a_jpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Phones and programs rename; no reader is needed for it."""
    for suffix, module in ((".heic", "pillow_heif"), (".nef", "rawpy")):
        monkeypatch.setitem(sys.modules, module, None)
        path = tmp_path / f"photo{suffix}"
        path.write_bytes(jpeg_bytes(scene()))
        assert load_image(path).size == (96, 64)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "AVIF"])
@pytest.mark.parametrize("suffix", [".heic", ".dng", ".raw"])
def test_content_goes_before_the_ending(form: str, suffix: str, tmp_path: Path) -> None:
    """A renamed file of an ordinary format is read as what it is, not given to the reader that its name asks for."""
    path = tmp_path / f"photo{suffix}"
    scene().save(path, form)
    assert load_image(path).size == (96, 64)


def test_no_other_program_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """EPS is not read: Pillow would give it to Ghostscript."""
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **kwargs: pytest.fail("Ghostscript was run"))
    buffer = io.BytesIO()
    scene().save(buffer, "EPS")
    with pytest.raises(UnreadableImageError, match="not an image, or of a format that is not read"):
        load_image(buffer.getvalue())


def test_readers_are_imported_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary photo imports neither."""
    real = builtins.__import__

    def importing(name: str, *args: Any, **kwargs: Any) -> Any:
        assert name not in ("pillow_heif", "rawpy")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)
    assert load_image(jpeg_bytes(scene())).size == (96, 64)


def test_quiet_in_many_threads_and_never_longer() -> None:
    """Threads read files that Pillow warns of; no warning comes out, and afterwards the filters are what they were."""
    buffer = io.BytesIO()
    scene().save(buffer, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0" + bytes(20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        failed: list[BaseException] = []

        def read() -> None:
            try:
                for _ in range(20):
                    load_image(buffer.getvalue())
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == [] and list(warnings.filters) == before
        with image_formats.quiet_pillow(), pytest.raises(UserWarning):
            warnings.warn("of somebody else", stacklevel=1)
