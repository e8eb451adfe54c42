"""What nano is told of a photo beside people's ratings: its attributes and its flaws.

Nobody rated either. An attribute's rating holds half of the photo's own rating and half of what was measured of the attribute,
both as standard scores over the photos; a damage takes from it what its strength says. That is our choice, and no more than
that: it makes attributes move as they should, and says little about what a photographer would call good.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from aesthetic_mllm.editing.measurements import measure
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.damages import Damage
from aesthetic_mllm.pretext.pretext_dataset import load_photo
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS

from .coded_alignment import MEASURED
from .prompts import FLAWS
from .rated_photos import RatedPhoto, photo_key
from .unaligned import STATISTICS

Ratings = dict[str, tuple[float, float | None]]  # mean and spread by question

BEAUTY_BINS = "measured_beauty.json"
# How good each bin of what was measured is for an attribute, from the lowest to the highest, and how much it counts.
GOODNESS: dict[str, dict[str, tuple[tuple[float, float, float, float, float], float]]] = {
    "light": {
        "brightness": ((0, 0.7, 1, 0.8, 0.2), 1), "contrast": ((0, 0.6, 1, 1, 0.6), 0.7), "haziness": ((1, 1, 0.8, 0.5, 0), 0.5),
    },
    "colour": {"harmony": ((0, 0.3, 0.6, 0.8, 1), 1), "saturation": ((0, 0.4, 0.8, 1, 0.8), 1)},
    "sharpness": {"sharpness": ((0, 0.4, 0.7, 0.9, 1), 1)},
    "noise": {"noise": ((1, 0.9, 0.7, 0.4, 0), 1)},
    "composition": {
        "tilt": ((0.3, 0.8, 1, 0.8, 0.3), 0.7), "balance": ((0, 0.4, 0.7, 0.9, 1), 1), "off_centre": ((0.7, 0.9, 1, 0.7, 0.2), 1),
    },
    "depth_of_field": {"focus_contrast": ((0, 0.3, 0.5, 0.8, 1), 1)},
    "subject": {"subject_size": ((0.2, 0.6, 1, 1, 0.7), 1), "focus_contrast": ((0, 0.3, 0.5, 0.8, 1), 0.5)},
    "mood": {"pleasure": ((0, 0.3, 0.5, 0.8, 1), 1), "arousal": ((0.2, 0.5, 0.7, 1, 1), 0.5)},
}  # fmt: skip
TECHNICAL = ("sharpness", "noise")  # their other half is the photo's technical quality alone
ATTRIBUTE_MEAN, ATTRIBUTE_SPREAD = 5.8, 1.2  # of each half
DAMAGE_TAKES = 4.5  # from the attribute that a strong damage is about
OVERALL_TAKES = {"quality": 1.6, "aesthetic": 1.0}
MOST_DAMAGE = 1.3
FLAWLESS, FLAW_TAKES, LEANING = 9.0, 6.5, 1.5
# What a photo may have by itself without being edited: bins that lean to a flaw.
LEANINGS = {
    "too_dark": ("brightness", 0), "too_bright": ("brightness", 4), "flat": ("contrast", 0), "harsh": ("contrast", 4),
    "pale": ("saturation", 0), "garish": ("saturation", 4), "too_cool": ("warmth", 0), "too_warm": ("warmth", 4),
    "hazy": ("haziness", 4),
    "soft": ("sharpness", 0), "noisy": ("noise", 4), "tilted_clockwise": ("tilt", 4), "tilted_counterclockwise": ("tilt", 0),
    "off_centre_subject": ("off_centre", 4),
}  # fmt: skip


class Targets:
    """Ratings of all questions for photos and their damaged views.

    Args:
        quality, beauty: ratings 1 to 10 of every photo by its name, given or predicted.
        bins: measured, by photo.
    """

    def __init__(self, quality: Mapping[str, float], beauty: Mapping[str, float], bins: Mapping[str, Mapping[str, int]]):
        self.quality, self.beauty, self.bins = quality, beauty, bins
        names = [name for name in quality if name in bins]
        standard = {
            "quality": _standard([quality[name] for name in names]),
            "beauty": _standard([beauty[name] for name in names]),
        }
        both = (standard["quality"] + standard["beauty"]) / np.sqrt(2)
        self.attributes: dict[str, dict[str, float]] = {name: {} for name in names}
        for key in ATTRIBUTE_QUESTIONS:
            own = _standard([goodness(key, bins[name]) for name in names])
            whole = standard["quality"] if key in TECHNICAL else both
            rated = np.clip(ATTRIBUTE_MEAN + ATTRIBUTE_SPREAD * (own + whole) / np.sqrt(2), 1, 10)
            for name, value in zip(names, rated, strict=True):
                self.attributes[name][key] = float(value)

    def of(self, name: str, damage: tuple[Damage, float] | None = None) -> Ratings:
        """Means of attributes and flaws."""
        means = self.attributes[name] | flaws(self.bins[name])
        taken = falls(*damage) if damage else {}
        return {key: (max(1.0, value - taken.get(key, 0.0)), None) for key, value in means.items()}


def flaws(bins: Mapping[str, int]) -> dict[str, float]:
    """Ratings of the flaws of a photo that was not damaged."""
    leaning = {key for key, (attribute, bin) in LEANINGS.items() if bins.get(attribute) == bin}
    return {f"flaw_{key}": FLAWLESS - LEANING * (key in leaning) for key in FLAWS}


def falls(damage: Damage, strength: float) -> dict[str, float]:
    """What a damage takes from ratings, by question."""
    strength = min(strength, MOST_DAMAGE)
    taken = {key: DAMAGE_TAKES * share * strength for key, share in damage.attributes.items()}
    taken |= {key: points * strength for key, points in OVERALL_TAKES.items()}
    return taken | ({f"flaw_{damage.flaw}": FLAW_TAKES * min(strength, 1.0)} if damage.flaw else {})


def goodness(attribute: str, bins: Mapping[str, int]) -> float:
    """0 to 1, of what is known of the bins."""
    parts = [(values[bins[name]], weight) for name, (values, weight) in GOODNESS[attribute].items() if name in bins]
    return sum(value * weight for value, weight in parts) / sum(weight for _, weight in parts) if parts else 0.5


def read_bins(work: Path, quality: Sequence[RatedPhoto], beauty: Sequence[RatedPhoto]) -> dict[str, dict[str, int]]:
    """Bins by photo: of the pool as `coded_alignment.py` measured them, of OASIS measured here and kept."""
    known = json.loads((work / MEASURED).read_text())
    found = {photo.name: known[key] for photo in quality if (key := photo_key(photo)) in known}
    path = work / BEAUTY_BINS
    if not path.exists():
        statistics = PoolStatistics.load(work / STATISTICS)
        names = list(next(iter(known.values())))
        measured = {
            photo.name: {name: statistics.bin(name, value) for name, value in measure(load_photo(str(photo.path)), names).items()}
            for photo in beauty
        }
        path.write_text(json.dumps(measured))
    return found | json.loads(path.read_text())


def _standard(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    return (array - array.mean()) / (array.std() + 1e-9)  # what does not vary says nothing
