"""What checkpoints see in the photos of pretext items, read once and asked about often."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..modeling.vision_tower import map_statistics, tower_feature_maps
from ..pretext.pretext_samples import LEVELS


@dataclass(frozen=True)
class PretextFeatures:
    """What a tower and an alignment module see in the items' photos, in the order of the items.

    Args:
        tokens: [N, T, D] of each group, of all items' photos one after the other.
        pooled: [N, 2 C], mean and standard deviation over the photo's cells of the feature map that each group reads.
    """

    tokens: dict[str, torch.Tensor]
    pooled: dict[str, np.ndarray]


@torch.inference_mode()
def read_pretext_features(
    models: Sequence[Any], processor: Any, images: Sequence[Image.Image], batch_size: int = 16
) -> list[PretextFeatures]:
    """Runs the tower once a photo, and each model's Q-Formers on it; models of another tower run their own.

    The same object among the images is seen once.

    Args:
        models: checkpoints; none gives an empty list.
        processor: of all of them.
        images: N photos.
        batch_size: photos at a time.
    """
    tokens: list[dict[str, list[torch.Tensor]]] = [defaultdict(list) for _ in models]
    pooled: list[dict[str, list[np.ndarray]]] = [defaultdict(list) for _ in models]
    shares = [number > 0 and _same_tower(model, models[0]) for number, model in enumerate(models)]
    once = {id(image): image for image in images}
    places = {key: place for place, key in enumerate(once)}
    index = [places[id(image)] for image in images]
    different = list(once.values())
    for start in range(0, len(different), batch_size):
        pixels = processor.image_processor(different[start : start + batch_size], return_tensors="pt")
        first: dict[str, torch.Tensor] = {}
        for number, model in enumerate(models):
            sizes = pixels["image_sizes"].to(model.device)
            maps = first if shares[number] else _level_maps(model.model, pixels["pixel_values"].to(model.device), sizes)
            first = first or maps
            dtype = next(model.model.multi_modal_projector.parameters()).dtype
            canvas = tuple(pixels["pixel_values"].shape[-2:])
            seen = model.model.multi_modal_projector({level: map.to(dtype) for level, map in maps.items()}, sizes, canvas)
            for level in LEVELS:
                tokens[number][level].append(seen[level].cpu())
                if not shares[number]:
                    pooled[number][level].append(map_statistics(maps[level], sizes, canvas[0]).cpu().numpy())
    joined = [{level: np.concatenate(parts)[index] for level, parts in of_model.items()} for of_model in pooled]
    return [
        PretextFeatures(
            {level: torch.cat(parts)[index] for level, parts in tokens[number].items()},
            joined[0] if shares[number] else joined[number],
        )
        for number in range(len(models))
    ]


def _level_maps(model: Any, pixel_values: torch.Tensor, image_sizes: torch.Tensor) -> dict[str, torch.Tensor]:
    layers = sorted({model.feature_layers[level] for level in LEVELS})
    maps = tower_feature_maps(model.vision_tower, pixel_values.to(model.vision_tower.dtype), image_sizes, layers)
    return {level: maps[layers.index(model.feature_layers[level])] for level in LEVELS}


def _same_tower(model: Any, other: Any) -> bool:
    ours, theirs = model.model.vision_tower.state_dict(), other.model.vision_tower.state_dict()
    return (
        model.model.feature_layers == other.model.feature_layers
        and ours.keys() == theirs.keys()
        and all(torch.equal(value, theirs[name]) for name, value in ours.items())
    )
