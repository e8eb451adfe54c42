"""Statistics of the tower's feature maps: of the photo alone, whatever the canvas."""

import pytest
import torch

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.modeling.vision_tower import map_statistics
from photo_files import scene
from tiny_models import TOWERS, tiny_model


def test_padding_counts_for_nothing() -> None:
    """Mean and standard deviation are those of the cells that begin inside the photo."""
    features = torch.randn(2, 4, 4, 3)
    found = map_statistics(features, torch.tensor([[64, 33], [16, 64]]), height=64)
    for row, cells in enumerate((features[0, :, :3], features[1, :1])):
        flat = cells.flatten(0, 1)
        assert torch.allclose(found[row], torch.cat([flat.mean(0), flat.std(0, correction=0)]), atol=1e-5)
    whole = map_statistics(features, None, height=64)
    assert torch.allclose(whole[:, :3], features.mean((1, 2)), atol=1e-5)


@pytest.mark.parametrize("tower", TOWERS)
def test_every_tower_has_them(tower: str, processor: AestheticMLLMProcessor) -> None:
    """[N, 2 * channels] where they are asked for, and none otherwise."""
    model = tiny_model(tower, "llama", processor)
    photos = processor.image_processor([scene(90, 40), scene(33, 80)], return_tensors="pt")
    with torch.inference_mode():
        seen = model.get_image_features(**photos, statistics=True)
        assert model.get_image_features(**photos).map_statistics is None
    assert seen.map_statistics.shape[0] == 2 and seen.map_statistics.shape[1] % 2 == 0
    assert torch.isfinite(seen.map_statistics).all()
