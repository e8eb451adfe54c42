"""Arrays and tensors: what is one photo, with its values as they are meant, and what is refused by name."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from aesthetic_mllm.processing.image_loading import ImageNotFoundError, UnsuitableImageError, is_photo, load_image, source_name
from photo_files import scene

PIXELS = np.asarray(scene())
GREY = np.asarray(scene().convert("L"))
OPAQUE = np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)])

# How one photo may be given, and the photo that is meant.
SAME: dict[str, tuple[Any, np.ndarray]] = {
    "channels last": (PIXELS, PIXELS),
    "channels first": (PIXELS.transpose(2, 0, 1), PIXELS),
    "opacity": (OPAQUE, PIXELS),
    "grey": (GREY, np.dstack([GREY] * 3)),
    "grey with a channel": (GREY[None], np.dstack([GREY] * 3)),
    "16 bits": (PIXELS.astype(np.uint16) * 257, PIXELS),
    "float64": (PIXELS / 255, PIXELS),
    "float32": ((PIXELS / 255).astype(np.float32), PIXELS),
    "tensor": (torch.from_numpy(PIXELS.copy()).permute(2, 0, 1), PIXELS),
    "float tensor with a gradient": ((torch.from_numpy(PIXELS.copy()).permute(2, 0, 1) / 255).requires_grad_(), PIXELS),
    "16-bit tensor": (torch.from_numpy(PIXELS.astype(np.uint16) * 257), PIXELS),
    "overshoot of a filter": ((PIXELS / 255 * 1.002 - 0.001), PIXELS),
}

REFUSED: dict[str, tuple[Any, str]] = {
    "floats to 255": (PIXELS.astype(np.float32), "from 0 to 255"),
    "negative floats": (PIXELS / 127.5 - 1, "from -1 to 1"),
    "not a number": (np.full((40, 40, 3), np.nan), "nan"),
    "int64": (PIXELS.astype(np.int64), "int64"),
    "bool": (GREY > 100, "bool"),
    "two channels": (PIXELS[..., :2], "[64, 96, 2]"),
    "grey batch": (np.zeros((8, 40, 50), np.uint8), "[8, 40, 50]"),
    "either end": (np.zeros((3, 50, 3), np.uint8), "[3, 50, 3]"),
    "batch": (PIXELS[None], "one photo of it"),
    "row": (GREY[0], "[96]"),
    "empty": (np.zeros((0, 40, 3), np.uint8), "[0, 40, 3]"),
    "objects": (np.full((40, 40, 3), None), "object"),
}


@pytest.mark.parametrize("name", SAME)
def test_an_array_is_the_photo_that_it_says(name: str) -> None:
    given, meant = SAME[name]
    assert is_photo(given)
    image = load_image(given)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image, np.int16) - meant).max() <= ("overshoot" in name)


def test_bfloat16_is_read_within_its_precision() -> None:
    given = (torch.from_numpy(PIXELS.copy()).permute(2, 0, 1) / 255).bfloat16()
    assert np.abs(np.asarray(load_image(given), np.int16) - PIXELS).max() <= 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_unclear_is_refused_by_name(name: str) -> None:
    """The message holds shape and dtype of what was given, and what is expected."""
    given, reason = REFUSED[name]
    with pytest.raises(UnsuitableImageError, match=re.escape(reason)) as caught:
        load_image(given)
    assert str(list(given.shape)) in caught.value.source and str(given.dtype) in caught.value.source
    assert "[H, W, C]" in caught.value.reason and "uint8" in caught.value.reason


def test_transparency_of_an_array_shows_the_background() -> None:
    clear = OPAQUE.copy()
    clear[..., 3] = 0
    assert np.all(np.asarray(load_image(clear, background=(10, 20, 30))) == (10, 20, 30))


def test_one_photo_is_told_from_many() -> None:
    """One: paths, bytes, images, arrays of two or three dimensions. Many: lists, batches, columns of paths."""
    for one in ("a.jpg", b"bytes", scene(), PIXELS, torch.zeros(3, 40, 40), GREY):
        assert is_photo(one), source_name(one)
    for many in (["a.jpg"], PIXELS[None], torch.zeros(2, 3, 40, 40), np.array(["a.jpg", "b.jpg"]), iter([scene()]), {}):
        assert not is_photo(many)


def test_what_is_no_photo_is_named() -> None:
    """Other objects are an error that names their type, so that one of them does not end the run of a whole list."""
    for given, kind in ((None, "NoneType"), (7, "int"), ({"path": "a.jpg"}, "dict"), (open(__file__, "rb"), "BufferedReader")):
        with pytest.raises(ValueError, match=kind):
            load_image(given)  # type: ignore[arg-type]
    given.close()  # type: ignore[union-attr]
    assert load_image(bytearray(_png())).size == load_image(memoryview(_png())).size == (96, 64)


def test_a_table_is_refused_by_name() -> None:
    """A data frame has a shape, as arrays do, but a dtype for each column."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.zeros((20, 30), np.int64))
    assert source_name(frame) == "<array [20, 30] DataFrame>"
    with pytest.raises(UnsuitableImageError, match="its dtype is int64"):
        load_image(frame)


def _png() -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_text_of_numpy_is_a_path() -> None:
    """As it stands in an array of paths."""
    (path,) = np.array(["missing.jpg"])
    with pytest.raises(ImageNotFoundError, match="^missing.jpg: no such file"):
        load_image(path)
