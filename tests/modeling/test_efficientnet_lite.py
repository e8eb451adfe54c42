"""The embedded vision tower: sizes, strides, and blindness to the canvas around a photo."""

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aesthetic_mllm.modeling.configuration_efficientnet_lite import EfficientNetLiteConfig
from aesthetic_mllm.modeling.modeling_efficientnet_lite import EfficientNetLiteBackbone
from tiny_models import TOWERS


@pytest.fixture(scope="module")
def tower() -> EfficientNetLiteBackbone:
    torch.manual_seed(0)
    tower = EfficientNetLiteBackbone(TOWERS["efficientnet_lite"]).eval()
    for name, weight in tower.named_parameters():  # a bias is what would leak from the padding into the photo
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    return tower


def letterboxed(photo: torch.Tensor, canvas: int) -> torch.Tensor:
    pixels = torch.zeros(1, 3, canvas, canvas)
    pixels[:, :, : photo.shape[1], : photo.shape[2]] = photo
    return pixels


def masked(tower: EfficientNetLiteBackbone, pixels: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What a compiled tower gives, which cannot cut photos out of their canvas and masks it instead."""
    with mock.patch.object(torch.compiler, "is_compiling", return_value=True):
        return tower(pixels, image_sizes=sizes).feature_maps


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 64), width=st.integers(1, 64))
def test_a_larger_canvas_changes_nothing_inside_the_photo(tower: EfficientNetLiteBackbone, height: int, width: int) -> None:
    """A photo of any size has the same features cut out of a canvas of 64 pixels as with all else masked on one of 128."""
    photo = torch.randn(3, height, width, generator=torch.Generator().manual_seed(height * 100 + width))
    sizes = torch.tensor([[height, width]])
    with torch.inference_mode():
        small = tower(letterboxed(photo, 64), image_sizes=sizes).feature_maps
        large = masked(tower, letterboxed(photo, 128), sizes)
        assert [each.shape for each in small] == [each.shape for each in masked(tower, letterboxed(photo, 64), sizes)]
    for near, far, stride in zip(small, large, tower.config.feature_strides, strict=True):
        rows, columns = -(-height // stride), -(-width // stride)
        assert torch.allclose(near[..., :rows, :columns], far[..., :rows, :columns], atol=1e-4, rtol=1e-4)


def test_a_photo_without_padding_needs_no_size(tower: EfficientNetLiteBackbone) -> None:
    """Whole strides of pixels on a canvas of their own give what they give on a larger canvas, so zeros there are no content."""
    photo = torch.randn(3, 64, 32)
    with torch.inference_mode():
        alone = tower(photo[None]).feature_maps
        padded = masked(tower, letterboxed(photo, 96), torch.tensor([[64, 32]]))
        unmasked = tower(letterboxed(photo, 96)).feature_maps
    for near, far in zip(alone, padded, strict=True):
        assert torch.allclose(near, far[..., : near.shape[2], : near.shape[3]], atol=1e-4, rtol=1e-4)
    # without the photo's size the padding does show, so the mask above is what hides it
    deepest = alone[-1].shape
    assert not torch.allclose(alone[-1], unmasked[-1][..., : deepest[2], : deepest[3]], atol=1e-2)


def test_photos_of_all_shapes_may_share_a_batch(tower: EfficientNetLiteBackbone) -> None:
    """Each has the features that it has alone, to the last bit."""
    shapes = [(64, 64), (37, 50), (64, 21)]
    pixels = torch.cat([letterboxed(torch.randn(3, *shape), 64) for shape in shapes])
    with torch.inference_mode():
        together = tower(pixels, image_sizes=torch.tensor(shapes)).feature_maps
        for place, (height, width) in enumerate(shapes):
            alone = tower(pixels[place : place + 1, :, :height, :width]).feature_maps
            for near, far in zip(alone, together, strict=True):
                rows, columns = (min(one, other) for one, other in zip(near.shape[-2:], far.shape[-2:], strict=True))
                assert rows and torch.equal(near[0, :, :rows, :columns], far[place, :, :rows, :columns])


def test_feature_maps_have_the_stated_strides_and_channels(tower: EfficientNetLiteBackbone) -> None:
    """One map a stage: the canvas divided by its stride, with the stage's channels."""
    with torch.inference_mode():
        maps = tower(torch.randn(2, 3, 64, 96)).feature_maps
    expected = [
        (2, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(tower.config.stage_channels, tower.config.feature_strides, strict=True)
    ]
    assert [tuple(features.shape) for features in maps] == expected


def test_stages_that_nobody_reads_need_not_run(tower: EfficientNetLiteBackbone) -> None:
    """With a deepest stage, the maps up to it are the same, and no others are there."""
    photo = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        whole, part = tower(photo).feature_maps, tower(photo, deepest=2).feature_maps
    assert len(part) == 3 < len(whole)
    assert all(torch.equal(one, other) for one, other in zip(part, whole, strict=False))


def test_default_configuration_is_lite2() -> None:
    """Strides 2 to 32, 21 blocks, and as many weights as EfficientNet-Lite2 has without its last convolution and classifier."""
    config = EfficientNetLiteConfig()
    assert config.feature_strides == [2, 4, 8, 16, 16, 32, 32]
    assert sum(config.stage_depths) == 21
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in EfficientNetLiteBackbone(config).parameters())
    assert 4.0e6 < weights < 4.9e6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage_depths": [1, 2]}, "stage_depths.*2"),
        ({"image_size": 300}, "image_size=300.*32.*use 288"),
    ],
)
def test_impossible_configurations_are_refused(options: dict, message: str) -> None:
    """The message names the field, its value and, for a size, the nearest one that works."""
    with pytest.raises(ValueError, match=message):
        EfficientNetLiteConfig(**options)


def test_configuration_survives_saving(tmp_path: str) -> None:
    """What is saved is what is loaded."""
    config = TOWERS["efficientnet_lite"]
    config.save_pretrained(tmp_path)
    assert EfficientNetLiteConfig.from_pretrained(tmp_path).to_diff_dict() == config.to_diff_dict()
