"""Caches what the frozen tower sees in each photo, so that training need not run it again.

    python recipes/nano/features.py --data DATA --work build/nano

Four views of each photo: the whole, and three crops of random shape, some mirrored. Beside them the pooled features of six
stages, which the ridge baseline is fitted on.
"""

import argparse
import random
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from transformers.modeling_outputs import BackboneOutput

from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.augmentation import random_aspect_crop
from data import RatedPhoto, read_beauty, read_quality
from weights import VISION, convert_vision, fetch

CANVAS = 288
VIEWS = 4
LAYERS = (2, 4, 6)  # the stages the alignment module reads: strides 8, 16 and 32
SHAPES = ((36, 36, 48), (18, 18, 120), (9, 9, 352))
POOLED_LAYERS = range(1, 7)
SIZE = sum(int(np.prod(shape)) for shape in SHAPES)
# A photo's features travel as an image of the canvas's size, so that trainer and model need not know of the cache.
PLANES = -(-SIZE // CANVAS**2)


class PhotoViews(Dataset):
    """One view of each photo: `pixel_values`, `image_sizes`."""

    def __init__(self, photos: list[RatedPhoto], view: int):
        self.photos, self.view = photos, view
        self.image_processor = AestheticMLLMImageProcessor(canvas_size=CANVAS)

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        path = self.photos[index].path
        photo = load_image(path)
        if self.view:
            photo = random_aspect_crop(photo, random.Random(f"{path.parent.name}/{path.name}:{self.view}"))
        inputs = self.image_processor(photo, return_tensors="pt")
        return inputs["pixel_values"][0], inputs["image_sizes"][0]


class CachedTower(torch.nn.Module):
    """Stands in for the tower during training: its pixel values are cached features, laid out as an image."""

    def __init__(self, config: object):
        super().__init__()
        self.config = config
        self.dtype = torch.float32

    def forward(self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None = None) -> BackboneOutput:
        """[B, PLANES, CANVAS, CANVAS] -> feature maps [B, C, h, w], `None` for stages that nobody reads."""
        flat = pixel_values.flatten(1)[:, :SIZE]
        maps: list[torch.Tensor | None] = [None] * (max(LAYERS) + 1)
        for layer, shape, part in zip(LAYERS, SHAPES, flat.split([int(np.prod(shape)) for shape in SHAPES], dim=1), strict=True):
            maps[layer] = part.unflatten(1, shape).permute(0, 3, 1, 2)
        return BackboneOutput(feature_maps=tuple(maps))


class FeatureCache:
    """The cached features of all photos, read from disk as they are asked for."""

    def __init__(self, work: Path, names: list[str]):
        folder = work / "features"
        self.index = {name: index for index, name in enumerate(names)}
        self.features = [np.load(folder / f"view{view}.npy", mmap_mode="r") for view in range(VIEWS)]
        self.sizes = [np.load(folder / f"sizes{view}.npy") for view in range(VIEWS)]
        self.pooled = np.load(folder / "pooled.npy")

    def pooled_of(self, photos: list[RatedPhoto]) -> np.ndarray:
        """Pooled features of the whole photos, [N, F]."""
        return self.pooled[[self.index[photo.name] for photo in photos]]

    def pixels(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """The rows' `pixel_values` for [`CachedTower`] and `image_sizes`; a row names a photo (`image`) and a `view`."""
        pixels = torch.zeros(len(rows), PLANES * CANVAS**2)
        sizes = []
        for index, row in enumerate(rows):
            number = self.index[row["image"]]
            pixels[index, :SIZE] = torch.from_numpy(self.features[row["view"]][number].astype(np.float32))
            sizes.append(self.sizes[row["view"]][number])
        return {
            "pixel_values": pixels.view(len(rows), PLANES, CANVAS, CANVAS),
            "image_sizes": torch.from_numpy(np.stack(sizes).astype(np.int64)),
        }


def pool_stages(feature_maps: tuple[torch.Tensor, ...], image_sizes: torch.Tensor) -> torch.Tensor:
    """Mean, standard deviation and maximum over the photo's cells of six stages: [B, 3 * channels]."""
    rows = []
    for index, (height, width) in enumerate(image_sizes.tolist()):
        parts = []
        for layer in POOLED_LAYERS:
            stride = CANVAS // feature_maps[layer].shape[-1]
            cells = feature_maps[layer][index, :, : -(-height // stride), : -(-width // stride)].flatten(1)
            parts += [cells.mean(1), cells.std(1), cells.amax(1)]
        rows.append(torch.cat(parts))
    return torch.stack(rows)


@torch.inference_mode()
def cache_view(tower: torch.nn.Module, photos: list[RatedPhoto], view: int, folder: Path) -> None:
    """Writes one view's features, sizes and, of the whole photos, pooled features."""
    out = np.lib.format.open_memmap(folder / f"view{view}.npy", mode="w+", dtype=np.float16, shape=(len(photos), SIZE))
    sizes, pooled, start = [], [], time.monotonic()
    for pixel_values, image_sizes in DataLoader(PhotoViews(photos, view), batch_size=16, num_workers=1):
        maps = tower(pixel_values, image_sizes).feature_maps
        flat = torch.cat([maps[layer].permute(0, 2, 3, 1).flatten(1) for layer in LAYERS], dim=1)
        done = sum(len(part) for part in sizes)
        out[done : done + len(flat)] = flat.half().numpy()
        sizes.append(image_sizes.numpy())
        if view == 0:
            pooled.append(pool_stages(maps, image_sizes))
    np.save(folder / f"sizes{view}.npy", np.concatenate(sizes))
    if view == 0:
        np.save(folder / "pooled.npy", torch.cat(pooled).numpy())
    print(f"view {view}: {len(photos)} photos in {time.monotonic() - start:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    arguments = parser.parse_args()
    tower = convert_vision(fetch(VISION, arguments.work), CANVAS).to(memory_format=torch.channels_last)
    scale = RatingScale()
    photos = read_quality(arguments.data, scale) + read_beauty(arguments.data, scale)
    folder = arguments.work / "features"
    folder.mkdir(parents=True, exist_ok=True)
    for view in range(VIEWS):
        cache_view(tower, photos, view, folder)


if __name__ == "__main__":
    main()
