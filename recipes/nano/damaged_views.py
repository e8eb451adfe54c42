"""Photos damaged by one known edit each, and what the public tower's lower stages see in them, cached.

From these nano learns flaws and what they take from the attributes of a photo; nobody rated them. Edits that are kept out of
pretext samples are kept out here too. Large photos are damaged at their full size, as a user's photos are, before they are
shrunk to what the tower sees; there are few of them, so each has a view for every damage.
"""

import random
from pathlib import Path

import torch

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.evaluation.damages import DAMAGES, Damage
from aesthetic_mllm.pretext.pretext_dataset import load_photo
from aesthetic_mllm.pretext.pretext_samples import draw_amount
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.rating_scale import RatingScale

from .devices import device
from .features import (
    CANVAS,
    DAMAGED_VIEWS,
    FEATURES,
    LARGE_DAMAGED_VIEWS,
    LOWER_STAGES,
    PhotoViews,
    cache_view,
    with_view,
)
from .rated_photos import LARGE, read_all
from .weights import VISION, convert_vision, fetch

LEAST_STRONG, MOST_STRONG = 0.6, 1.25  # of the strong amount, in the view that is strongly damaged


def draw_damage(name: str, view: int) -> tuple[int, float, int]:
    """Of a photo's damaged view: number into [`DAMAGES`], amount, and the edit's seed; always the same."""
    rng = random.Random(f"{name}:{view}")
    number = LARGE_DAMAGED_VIEWS.index(view) if view in LARGE_DAMAGED_VIEWS else rng.randrange(len(DAMAGES))
    edit = EDITS[DAMAGES[number].edit]
    strong = view != DAMAGED_VIEWS[0]
    size = rng.uniform(LEAST_STRONG, MOST_STRONG) * edit.strong if strong else abs(draw_amount(edit, rng))
    low, high = edit.range
    return number, min(max(DAMAGES[number].sign * size, low), high), rng.randrange(2**31)


class DamagedViews(PhotoViews):
    """As [`PhotoViews`], but each photo is whole and damaged."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        photo = self.photos[index]
        number, amount, seed = draw_damage(photo.name, self.view)
        whole = load_image(photo.path) if photo.source == LARGE else load_photo(str(photo.path))
        _, after = EDITS[DAMAGES[number].edit].pair(whole, amount, seed)
        inputs = self.image_processor(after, return_tensors="pt")
        return inputs["pixel_values"][0], inputs["image_sizes"][0]


def damage_strength(name: str, view: int) -> tuple[Damage, float]:
    """What was done to a view, and how much: 1 is strong."""
    number, amount, _ = draw_damage(name, view)
    return DAMAGES[number], abs(amount) / EDITS[DAMAGES[number].edit].strong


def cache_damaged_features(data: Path, work: Path) -> None:
    """The damaged views of all photos, into WORK/features."""
    tower = convert_vision(fetch(VISION, work), CANVAS).to(device(), memory_format=torch.channels_last)
    tower.stages = tower.stages[:LOWER_STAGES]
    photos = read_all(data, RatingScale())
    for view in (*DAMAGED_VIEWS, *LARGE_DAMAGED_VIEWS):
        cache_view(tower, DamagedViews(with_view(photos, view), view), view, work / FEATURES)
