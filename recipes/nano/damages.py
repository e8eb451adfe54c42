"""Damages photos by one known edit each, and caches what the public tower's lower stages see in them.

    python recipes/nano/damages.py --data DATA --work build/nano      # after features.py

From these nano learns flaws and what they take from the attributes of a photo; nobody rated them. Edits that are kept out of
pretext samples are kept out here too.
"""

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import torch

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.pretext.pretext_dataset import load_photo
from aesthetic_mllm.pretext.pretext_samples import draw_amount
from aesthetic_mllm.processing.rating_scale import RatingScale
from data import RatedPhoto, read_beauty, read_quality
from features import CANVAS, DAMAGED_VIEWS, LOWER_STAGES, STRONGLY_DAMAGED, PhotoViews, cache_view
from weights import VISION, convert_vision, fetch


@dataclass(frozen=True)
class Damage:
    """An edit in one direction that makes a photo worse.

    Args:
        edit: its name.
        sign: of its amount.
        flaw: what it makes of the photo, one of `prompts.FLAWS`; `None`: nothing that nano is asked about.
        attributes: how much a strong amount takes from each attribute's rating, 1 for the one that it is about.
    """

    edit: str
    sign: int
    flaw: str | None
    attributes: dict[str, float]


DAMAGES = (
    Damage("exposure", -1, "too_dark", {"light": 1, "mood": 0.3}),
    Damage("exposure", 1, "too_bright", {"light": 1, "mood": 0.3, "colour": 0.3}),
    Damage("contrast", -1, "flat", {"light": 1, "colour": 0.2}),
    Damage("contrast", 1, "harsh", {"light": 1}),
    Damage("saturation", -1, "pale", {"colour": 1, "mood": 0.2}),
    Damage("saturation", 1, "garish", {"colour": 1}),
    Damage("temperature", -1, "too_cool", {"colour": 1}),
    Damage("temperature", 1, "too_warm", {"colour": 1}),
    Damage("hue", 1, None, {"colour": 1, "mood": 0.2}),
    Damage("hue", -1, None, {"colour": 1, "mood": 0.2}),
    Damage("harmony", 1, None, {"colour": 1}),
    Damage("haze", 1, "hazy", {"light": 1, "colour": 0.4, "sharpness": 0.3}),
    Damage("shadows", -1, "blocked_shadows", {"light": 1}),
    Damage("highlights", 1, "blown_highlights", {"light": 1}),
    Damage("sharpness", -1, "soft", {"sharpness": 1}),
    Damage("sharpness", 1, "oversharpened", {"sharpness": 1, "noise": 0.3}),
    Damage("defocus", 1, "out_of_focus", {"sharpness": 1, "subject": 0.3, "depth_of_field": 0.3}),
    Damage("noise", 1, "noisy", {"noise": 1, "sharpness": 0.2}),
    Damage("compression", 1, "compressed", {"noise": 0.4, "sharpness": 0.6}),
    Damage("tilt", 1, "tilted_clockwise", {"composition": 1}),
    Damage("tilt", -1, "tilted_counterclockwise", {"composition": 1}),
    Damage("zoom", 1, "too_tight", {"composition": 1, "subject": 0.3}),
    Damage("off_centre", 1, "off_centre_subject", {"composition": 1, "subject": 0.5}),
)


LEAST_STRONG, MOST_STRONG = 0.6, 1.25  # of the strong amount, in the view that is strongly damaged


def draw_damage(name: str, view: int) -> tuple[int, float, int]:
    """Of a photo's damaged view: number into [`DAMAGES`], amount, and the edit's seed; always the same."""
    rng = random.Random(f"{name}:{view}")
    number = rng.randrange(len(DAMAGES))
    edit = EDITS[DAMAGES[number].edit]
    strong = view == STRONGLY_DAMAGED
    size = rng.uniform(LEAST_STRONG, MOST_STRONG) * edit.strong if strong else abs(draw_amount(edit, rng))
    low, high = edit.range
    return number, min(max(DAMAGES[number].sign * size, low), high), rng.randrange(2**31)


class DamagedViews(PhotoViews):
    """As [`PhotoViews`], but each photo is whole and damaged."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        photo = self.photos[index]
        number, amount, seed = draw_damage(photo.name, self.view)
        _, after = EDITS[DAMAGES[number].edit].pair(load_photo(str(photo.path)), amount, seed)
        inputs = self.image_processor(after, return_tensors="pt")
        return inputs["pixel_values"][0], inputs["image_sizes"][0]


def damage_strength(name: str, view: int) -> tuple[Damage, float]:
    """What was done to a view, and how much: 1 is strong."""
    number, amount, _ = draw_damage(name, view)
    return DAMAGES[number], abs(amount) / EDITS[DAMAGES[number].edit].strong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--views", type=int, nargs="*", default=DAMAGED_VIEWS)
    arguments = parser.parse_args()
    tower = convert_vision(fetch(VISION, arguments.work), CANVAS).to(memory_format=torch.channels_last)
    tower.stages = tower.stages[:LOWER_STAGES]
    scale = RatingScale()
    photos: list[RatedPhoto] = read_quality(arguments.data, scale) + read_beauty(arguments.data, scale)
    for view in arguments.views:
        cache_view(tower, DamagedViews(photos, view), view, arguments.work / "features")


if __name__ == "__main__":
    main()
