"""The canvas: photos keep their shape, padding is zero, and only Pillow has a hand in it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoImageProcessor, CLIPImageProcessorPil
from transformers.models.auto import image_processing_auto

from aesthetic_mllm import AestheticMLLMConfig, AestheticMLLMImageProcessor, ImageError
from photo_files import GOOD, scene


@settings(max_examples=40, deadline=None)
@given(width=st.integers(16, 700), height=st.integers(16, 700))
def test_photo_keeps_its_shape_and_padding_is_zero(width: int, height: int) -> None:
    """The long side is the canvas's, the short side follows within rounding, all outside the rectangle is exactly zero."""
    if max(width, height) > 20 * min(width, height):
        return
    pixels = AestheticMLLMImageProcessor(canvas_size=96)(Image.new("RGB", (width, height), (255, 0, 0)), return_tensors="np")
    rows, columns = pixels["image_sizes"][0]
    assert max(rows, columns) == 96
    assert abs(rows / columns - height / width) <= (1 + height / width) / columns
    values = pixels["pixel_values"][0]
    assert np.all(values[:, rows:] == 0) and np.all(values[:, :, columns:] == 0)
    assert np.all(values[0, :rows, :columns] != 0)


def test_values_are_normalised_as_stated() -> None:
    """A pixel x of 0 to 255 becomes (x / 255 - mean) / std; the default is (x - 127) / 128."""
    values = AestheticMLLMImageProcessor(canvas_size=64)(Image.new("RGB", (64, 64), (0, 127, 255)))["pixel_values"][0]
    assert np.allclose(values[:, 5, 5], [-127 / 128, 0, 1], atol=1e-6)


def test_one_and_many_and_nested_are_the_same() -> None:
    """One photo, a list and the nested list of a chat give the same values in order."""
    processor = AestheticMLLMImageProcessor()
    photos = [scene(), scene(50, 90)]
    flat = processor(photos, return_tensors="pt")
    nested = processor([[photos[0]], [photos[1]]], return_tensors="pt")
    assert flat["pixel_values"].shape == (2, 3, 288, 288) and flat["pixel_values"].dtype == torch.float32
    assert flat["image_sizes"].dtype == torch.int64
    assert torch.equal(flat["pixel_values"], nested["pixel_values"])
    batch = np.stack([np.asarray(scene())] * 2)
    assert np.array_equal(processor(batch, return_tensors="np")["pixel_values"], flat["pixel_values"][[0, 0]].numpy())
    assert [image.size for image in processor.fetch_images(batch)] == [scene().size] * 2
    assert torch.equal(processor(photos[1], return_tensors="pt")["pixel_values"][0], flat["pixel_values"][1])


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (20_000, 10), (2_000, 20)])
def test_photos_that_would_lose_their_shape_are_refused(size: tuple[int, int]) -> None:
    """Too small or too elongated is an error with the size in it, never a squashed photo."""
    with pytest.raises(ImageError, match=f"{size[0]} x {size[1]}"):
        AestheticMLLMImageProcessor()(Image.new("RGB", size))


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    """Saving keeps every setting, and AutoImageProcessor finds the class."""
    processor = AestheticMLLMImageProcessor(canvas_size=128, background_color=[0, 0, 0], max_aspect_ratio=5)
    processor.save_pretrained(tmp_path)
    AestheticMLLMConfig().save_pretrained(tmp_path)
    loaded = AutoImageProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded, AestheticMLLMImageProcessor)
    photo = GOOD["alpha.png"]()
    assert np.array_equal(processor(photo)["pixel_values"], loaded(photo)["pixel_values"])
    assert loaded.max_aspect_ratio == 5


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (333, 500), (64, 64)])
def test_clip_mode_is_clips(size: tuple[int, int]) -> None:
    """For checkpoints grown from a LLaVA the pixels are those of CLIP's own processor."""
    mean, std = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
    ours = AestheticMLLMImageProcessor(canvas_size=112, resize_mode="clip", image_mean=mean, image_std=std)
    theirs = CLIPImageProcessorPil(
        size={"shortest_edge": 112}, crop_size={"height": 112, "width": 112}, image_mean=mean, image_std=std
    )
    photo = scene(*size)
    mine = ours(photo, return_tensors="np")
    assert np.abs(mine["pixel_values"] - theirs(photo, return_tensors="np")["pixel_values"]).max() < 1e-5
    assert mine["image_sizes"].tolist() == [[112, 112]]


def test_torchvision_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where transformers finds a torchvision, and so prefers it, the class and its pixels stay the same."""
    monkeypatch.setattr(image_processing_auto, "is_torchvision_available", lambda: True)
    processor = AestheticMLLMImageProcessor(canvas_size=32)
    processor.save_pretrained(tmp_path)
    AestheticMLLMConfig().save_pretrained(tmp_path)
    loaded = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(loaded) is AestheticMLLMImageProcessor
    assert np.array_equal(loaded(scene())["pixel_values"], processor(scene())["pixel_values"])
    assert "torchvision" not in sys.modules


def test_size_says_the_canvas(tmp_path: Path) -> None:
    """Servers ask for it; it follows the canvas, survives saving, and cannot say anything else."""
    processor = AestheticMLLMImageProcessor(canvas_size=96)
    assert processor.size == {"height": 96, "width": 96}
    processor.save_pretrained(tmp_path)
    assert AestheticMLLMImageProcessor.from_pretrained(tmp_path).size == processor.size
    assert AestheticMLLMImageProcessor(canvas_size=96, size=processor.size).canvas_size == 96
    with pytest.raises(TypeError, match="canvas_size"):
        AestheticMLLMImageProcessor(canvas_size=96, size={"height": 64, "width": 64})


@pytest.mark.parametrize(
    ("option", "value"),
    [("size", {"height": 64, "width": 64}), ("do_resize", False), ("bogus", 1), ("canvas_size", 64), ("image_mean", [0, 0, 0])],
)
def test_an_option_that_cannot_be_honoured_is_an_error_that_names_it(option: str, value: object) -> None:
    """Nothing is ignored in silence; `None` and what is done anyway pass."""
    processor = AestheticMLLMImageProcessor()
    with pytest.raises(TypeError, match=option):
        processor(scene(), **{option: value})
    plain = processor(scene())["pixel_values"]
    same = processor(scene(), do_resize=True, do_pad=None, size=processor.size, image_mean=processor.image_mean)["pixel_values"]
    assert np.array_equal(plain, same)
