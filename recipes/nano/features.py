"""Caches what a tower sees in each photo, so that training need not run it again.

    python recipes/nano/features.py --data DATA --work build/nano pooled    # of the public tower
    python recipes/nano/features.py --data DATA --work build/nano views     # of the tower that `train.py warm` tuned

Pooled features, of six stages, are what the ridge baseline is fitted on. Views are the whole photo and crops of random shape,
some mirrored: more of OASIS, whose few photos are seen often.
"""

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Dataset
from transformers.modeling_outputs import BackboneOutput

from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.augmentation import random_aspect_crop
from data import RatedPhoto, read_beauty, read_quality
from weights import VISION, convert_vision, fetch

CANVAS = 288
VIEWS = {"biq2021": 2, "oasis_beauty": 6}  # by the photo's folder
TOWER_FILE = "tower.safetensors"
LAYERS = (2, 4, 6)  # the stages the alignment module reads: strides 8, 16 and 32
SHAPES = ((36, 36, 48), (18, 18, 120), (9, 9, 352))
POOLED_LAYERS = range(1, 7)
SIZE = sum(int(np.prod(shape)) for shape in SHAPES)
# A photo's features travel as an image of the canvas's size, so that trainer and model need not know of the cache.
PLANES = -(-SIZE // CANVAS**2)


class PhotoViews(Dataset):
    """Views of photos: `pixel_values`, `image_sizes`. View 0 is the whole photo, any other number a crop of its own."""

    def __init__(self, photos: list[RatedPhoto], views: list[int]):
        self.photos, self.views = photos, views
        self.image_processor = AestheticMLLMImageProcessor(canvas_size=CANVAS)

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        path, view = self.photos[index].path, self.views[index]
        photo = load_image(path)
        if view:
            photo = random_aspect_crop(photo, random.Random(f"{path.parent.name}/{path.name}:{view}"))
        inputs = self.image_processor(photo, return_tensors="pt")
        return inputs["pixel_values"][0], inputs["image_sizes"][0]


class PhotoReader:
    """Reads the rows' photos from disk for a tower that runs; a row names a photo (`image`) and a `view`."""

    def __init__(self, photos: list[RatedPhoto]):
        self.photos = {photo.name: photo for photo in photos}

    def pixels(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """`pixel_values` [B, 3, CANVAS, CANVAS] and `image_sizes` [B, 2]."""
        views = PhotoViews([self.photos[row["image"]] for row in rows], [row["view"] for row in rows])
        pixel_values, image_sizes = zip(*(views[index] for index in range(len(views))), strict=True)
        return {"pixel_values": torch.stack(pixel_values), "image_sizes": torch.stack(image_sizes)}


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


class PooledFeatures:
    """What the public tower sees in all photos, pooled."""

    def __init__(self, work: Path, names: list[str]):
        self.index = {name: index for index, name in enumerate(names)}
        self.pooled = np.load(work / "features" / "pooled.npy")

    def of(self, photos: list[RatedPhoto]) -> np.ndarray:
        """Of the whole photos, [N, F]."""
        return self.pooled[[self.index[photo.name] for photo in photos]]


class FeatureCache:
    """The cached views of all photos, read from disk as they are asked for."""

    def __init__(self, work: Path, photos: list[RatedPhoto]):
        folder = work / "features"
        views = range(max(VIEWS.values()))
        self.index = [{photo.name: index for index, photo in enumerate(with_view(photos, view))} for view in views]
        self.features = [np.load(folder / f"view{view}.npy", mmap_mode="r") for view in views]
        self.sizes = [np.load(folder / f"sizes{view}.npy") for view in views]

    def pixels(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """The rows' `pixel_values` for [`CachedTower`] and `image_sizes`; a row names a photo (`image`) and a `view`."""
        pixels = torch.zeros(len(rows), PLANES * CANVAS**2)
        sizes = []
        for index, row in enumerate(rows):
            number = self.index[row["view"]][row["image"]]
            pixels[index, :SIZE] = torch.from_numpy(self.features[row["view"]][number].astype(np.float32))
            sizes.append(self.sizes[row["view"]][number])
        return {
            "pixel_values": pixels.view(len(rows), PLANES, CANVAS, CANVAS),
            "image_sizes": torch.from_numpy(np.stack(sizes).astype(np.int64)),
        }


def views_of(photo: RatedPhoto) -> int:
    """How many views of the photo are cached."""
    return VIEWS[photo.path.parent.name]


def with_view(photos: list[RatedPhoto], view: int) -> list[RatedPhoto]:
    """Those of the photos that have this view."""
    return [photo for photo in photos if view < views_of(photo)]


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
def seen(tower: torch.nn.Module, photos: list[RatedPhoto], view: int) -> Iterator[tuple[tuple[torch.Tensor, ...], torch.Tensor]]:
    """Feature maps and image sizes of one view of all photos, batch by batch."""
    start = time.monotonic()
    for pixel_values, image_sizes in DataLoader(PhotoViews(photos, [view] * len(photos)), batch_size=16, num_workers=1):
        yield tower(pixel_values, image_sizes).feature_maps, image_sizes
    print(f"view {view}: {len(photos)} photos in {time.monotonic() - start:.0f} s", flush=True)


def cache_view(tower: torch.nn.Module, photos: list[RatedPhoto], view: int, folder: Path) -> None:
    """Writes one view's features and sizes."""
    out = np.lib.format.open_memmap(folder / f"view{view}.npy", mode="w+", dtype=np.float16, shape=(len(photos), SIZE))
    sizes: list[np.ndarray] = []
    for maps, image_sizes in seen(tower, photos, view):
        flat = torch.cat([maps[layer].permute(0, 2, 3, 1).flatten(1) for layer in LAYERS], dim=1)
        done = sum(len(part) for part in sizes)
        out[done : done + len(flat)] = flat.half().numpy()
        sizes.append(image_sizes.numpy())
    np.save(folder / f"sizes{view}.npy", np.concatenate(sizes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("what", choices=("pooled", "views"))
    arguments = parser.parse_args()
    tower = convert_vision(fetch(VISION, arguments.work), CANVAS)
    scale = RatingScale()
    photos = read_quality(arguments.data, scale) + read_beauty(arguments.data, scale)
    folder = arguments.work / "features"
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.what == "pooled":
        tower.to(memory_format=torch.channels_last)
        np.save(folder / "pooled.npy", torch.cat([pool_stages(*batch) for batch in seen(tower, photos, 0)]).numpy())
        return
    tower.load_state_dict(load_file(arguments.work / TOWER_FILE))
    tower.to(memory_format=torch.channels_last)
    for view in range(max(VIEWS.values())):
        cache_view(tower, with_view(photos, view), view, folder)


if __name__ == "__main__":
    main()
