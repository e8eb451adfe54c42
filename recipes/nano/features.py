"""What the public tower's lower stages see in each photo, cached, so that training need not run them again.

Views are the whole photo and crops of random shape, some mirrored: more of OASIS, whose few photos are seen often. Photos that
are validated on have the whole one alone. Beside them the pooled features of six stages of the whole photos, which the ridge
baseline is fitted on. The lower stages stay as they are; [`UpperTower`] runs the others on what is cached, frozen or learning.
"""

import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers.modeling_outputs import BackboneOutput

from aesthetic_mllm.data.splits import hash_bucket
from aesthetic_mllm.evaluation.damages import DAMAGES
from aesthetic_mllm.modeling.modeling_efficientnet_lite import EfficientNetLiteBackbone, photo_mask
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.augmentation import random_aspect_crop

from .devices import device, half_precision
from .rated_photos import BEAUTY, GENERATED, LARGE, QUALITY, Photo, read_all
from .weights import VISION, convert_vision, fetch

logger = logging.getLogger(__name__)

CANVAS = 288
FEATURES = "features"  # folder below WORK
VIEWS = {QUALITY: 2, BEAUTY: 4, GENERATED: 2, LARGE: 1}  # by the photo's source
STRONGLY_DAMAGED = 11
DAMAGED_VIEWS = (10, STRONGLY_DAMAGED)  # by one edit each (`damaged_views.py`): of any strength, and strongly
DAMAGED_PART = 3  # one in so many of BIQ2021's photos is seen damaged; training draws no more
LARGE_DAMAGED_VIEWS = tuple(range(20, 20 + len(DAMAGES)))  # of the large photos: by each edit, at their full size
ALL_VIEWS = (*range(max(VIEWS.values())), *DAMAGED_VIEWS, *LARGE_DAMAGED_VIEWS)
LOWER_STAGES = 4  # edges, blobs and textures; the alignment module reads the last of each stride: stages 2, 4 and 6
LAYERS = (2, 3)  # what the alignment module and the upper stages read of them: strides 8 and 16
SHAPES = ((36, 36, 48), (18, 18, 88))
POOLED_LAYERS = range(1, 7)
SIZE = sum(int(np.prod(shape)) for shape in SHAPES)
# A photo's features travel as an image of the canvas's size, so that trainer and model need not know of the cache.
PLANES = -(-SIZE // CANVAS**2)
BATCH_SIZE = 16


class PhotoViews(Dataset):
    """Views of photos: `pixel_values`, `image_sizes`. View 0 is the whole photo, any other number a crop of its own."""

    def __init__(self, photos: Sequence[Photo], view: int):
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


class UpperTower(nn.Module):
    """Stands in for a tower during training: its pixel values are cached features, laid out as an image.

    The tower's upper stages run on them, and are the tower's own: what they learn, it has learned.
    """

    def __init__(self, tower: EfficientNetLiteBackbone):
        super().__init__()
        self.config, self.dtype = tower.config, torch.float32
        self.stages = tower.stages[LOWER_STAGES:]

    def forward(self, pixel_values: torch.Tensor, image_sizes: torch.Tensor, deepest: int | None = None) -> BackboneOutput:
        """[B, PLANES, CANVAS, CANVAS] -> feature maps [B, C, h, w], `None` for stages that nobody reads; all stages are run."""
        flat = pixel_values.flatten(1)[:, :SIZE]
        maps: list[torch.Tensor | None] = [None] * LOWER_STAGES
        for layer, shape, part in zip(LAYERS, SHAPES, flat.split([int(np.prod(shape)) for shape in SHAPES], dim=1), strict=True):
            maps[layer] = part.unflatten(1, shape).permute(0, 3, 1, 2)
        x = maps[-1]
        for stage in self.stages:
            for block in stage:
                x = block(x, photo_mask(image_sizes, *x.shape[-2:], CANVAS // x.shape[-1], x))
            maps.append(x)
        return BackboneOutput(feature_maps=tuple(maps))


class FeatureCache:
    """The cached views of all photos, read from disk as they are asked for."""

    def __init__(self, work: Path, photos: Sequence[Photo]):
        folder = work / FEATURES
        views = [view for view in ALL_VIEWS if (folder / f"sizes{view}.npy").exists()]
        self.index = {view: {photo.name: index for index, photo in enumerate(with_view(photos, view))} for view in views}
        self.features = {view: np.load(folder / f"view{view}.npy", mmap_mode="r") for view in views}
        self.sizes = {view: np.load(folder / f"sizes{view}.npy") for view in views}
        self.pooled = np.load(folder / "pooled.npy")

    def pooled_of(self, photos: Sequence[Photo]) -> np.ndarray:
        """Pooled features of the whole photos, [N, F]."""
        return self.pooled[[self.index[0][photo.name] for photo in photos]]

    def pixels(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """The rows' `pixel_values` for [`UpperTower`] and `image_sizes`.

        A row names a photo (`image`) and a `view`; what is seen in a `mirrored` photo is taken to be the mirror image.
        """
        pixels = torch.zeros(len(rows), PLANES * CANVAS**2)
        sizes = []
        for index, row in enumerate(rows):
            number = self.index[row["view"]][row["image"]]
            features, size = self.features[row["view"]][number].astype(np.float32), self.sizes[row["view"]][number]
            pixels[index, :SIZE] = torch.from_numpy(_mirrored(features, size[1]) if row.get("mirrored") else features)
            sizes.append(size)
        return {
            "pixel_values": pixels.view(len(rows), PLANES, CANVAS, CANVAS),
            "image_sizes": torch.from_numpy(np.stack(sizes).astype(np.int64)),
        }


def _mirrored(features: np.ndarray, width: int) -> np.ndarray:
    """[SIZE] of a photo so wide, each row of cells turned round."""
    parts = np.split(features, np.cumsum([int(np.prod(shape)) for shape in SHAPES])[:-1])
    for part, shape in zip(parts, SHAPES, strict=True):
        cells = part.reshape(shape)  # a view
        columns = -(-width // (CANVAS // shape[1]))
        cells[:, :columns] = cells[:, :columns][:, ::-1].copy()
    return np.concatenate(parts)


def views_of(photo: Photo) -> int:
    """How many undamaged views of the photo are cached."""
    return VIEWS[photo.source] if photo.may_teach else 1


def is_damaged(view: int) -> bool:
    """Whether photos are damaged in a view."""
    return view in DAMAGED_VIEWS or view in LARGE_DAMAGED_VIEWS


def has_view(photo: Photo, view: int) -> bool:
    """Whether this view of the photo is cached."""
    if photo.source == LARGE and view:
        return view in LARGE_DAMAGED_VIEWS and photo.may_teach
    if view in DAMAGED_VIEWS:
        drawn = photo.source != QUALITY or hash_bucket(f"damaged {photo.name}", DAMAGED_PART) == 0
        return drawn and (view == STRONGLY_DAMAGED or photo.may_teach)
    return view < views_of(photo)


def is_seen_damaged(photo: Photo) -> bool:
    """Whether any damaged view of the photo is cached."""
    return any(has_view(photo, view) for view in (*DAMAGED_VIEWS, *LARGE_DAMAGED_VIEWS))


def with_view(photos: Sequence[Photo], view: int) -> list[Photo]:
    """Those of the photos that have this view."""
    return [photo for photo in photos if has_view(photo, view)]


def pool_stages(feature_maps: Sequence[torch.Tensor], image_sizes: torch.Tensor) -> torch.Tensor:
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
def cache_view(tower: EfficientNetLiteBackbone, views: PhotoViews, view: int, folder: Path) -> None:
    """Writes one view's features, sizes and, of the whole photos, pooled features; not again what is there already."""
    if (folder / f"sizes{view}.npy").exists():
        return
    out = np.lib.format.open_memmap(folder / f"view{view}.npy", mode="w+", dtype=np.float16, shape=(len(views), SIZE))
    sizes, pooled, start, done = [], [], time.monotonic(), 0
    for pixel_values, image_sizes in DataLoader(views, BATCH_SIZE, num_workers=1):
        # bf16 halves the time; its error, 3% of the features' length, is random, and the upper stages learn beside it
        with half_precision():
            maps = [values.cpu() for values in tower(pixel_values.to(device()), image_sizes.to(device())).feature_maps]
        flat = torch.cat([maps[layer].permute(0, 2, 3, 1).flatten(1) for layer in LAYERS], dim=1)
        out[done : done + len(flat)] = flat.half().numpy()
        sizes.append(image_sizes.numpy())
        if view == 0:
            pooled.append(pool_stages([values.float() for values in maps], image_sizes))
        if done % 1600 == 0:
            logger.info("view %d: %d of %d photos, %.0f s", view, done, len(views), time.monotonic() - start)
        done += len(flat)
    if view == 0:
        np.save(folder / "pooled.npy", torch.cat(pooled).numpy())
    out.flush()
    np.save(folder / f"sizes{view}.npy", np.concatenate(sizes))  # the last: it says that the view is whole


def cache_features(data: Path, work: Path) -> None:
    """All undamaged views of all photos, into WORK/features."""
    tower = convert_vision(fetch(VISION, work), CANVAS).to(device(), memory_format=torch.channels_last)
    photos = read_all(data, RatingScale())
    folder = work / FEATURES
    folder.mkdir(parents=True, exist_ok=True)
    for view in range(max(VIEWS.values())):
        if view == 1:
            tower.stages = tower.stages[:LOWER_STAGES]  # only the baseline reads the others' features
        cache_view(tower, PhotoViews(with_view(photos, view), view), view, folder)
