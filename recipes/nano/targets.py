"""What nano is told of a photo beside people's ratings: what photographers call aesthetic, its attributes and its flaws.

Nobody rated them. Aesthetic is beauty and technical quality, half each, as standard scores over the photos: on photos of a third
source the mean of both agrees with photographers' ratings far better than either. People who rate attributes mostly rate their
general impression, and something of the attribute's own; so an attribute is the general impression and half of what was measured
of it. A damage takes from a rating what its strength says.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from aesthetic_mllm.evaluation.damages import Damage
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS

from .prompts import FLAWS

Ratings = dict[str, tuple[float, float | None]]  # mean and spread by question

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
TECHNICAL = ("sharpness", "noise")  # the general impression beside them is the photo's technical quality alone
OWN_PART = 0.5  # of an attribute's own standard score beside that of the general impression
ATTRIBUTE_MEAN, ATTRIBUTE_SPREAD = 5.8, 1.2
DAMAGE_TAKES = 4.5  # from the attribute that a strong damage is about
OVERALL_TAKES = {"aesthetic": 1.2, "quality": 1.6, "beauty": 0.8}
MOST_DAMAGE = 1.3
FLAWLESS, FLAW_TAKES, LEANING = 9.0, 6.5, 1.5
# What a photo may have by itself without being edited: bins that lean to a flaw.
LEANINGS = {
    "too_dark": ("brightness", 0), "too_bright": ("brightness", 4), "flat": ("contrast", 0), "harsh": ("contrast", 4),
    "pale": ("saturation", 0), "garish": ("saturation", 4), "too_cool": ("warmth", 0), "too_warm": ("warmth", 4),
    "hazy": ("haziness", 4),
    "soft": ("sharpness", 0), "noisy": ("noise", 4),
}  # fmt: skip


class Targets:
    """Ratings of all questions for photos and their damaged views.

    Args:
        quality, beauty: ratings 1 to 10 of every photo by its name, given or predicted.
        bins: measured, by photo.
    """

    def __init__(self, quality: Mapping[str, float], beauty: Mapping[str, float], bins: Mapping[str, Mapping[str, int]]):
        names = [name for name in quality if name in bins]
        self.bins = bins
        rated = {"quality": [quality[name] for name in names], "beauty": [beauty[name] for name in names]}
        rated["aesthetic"] = aesthetic(rated["quality"], rated["beauty"]).tolist()
        self.whole = {name: {key: float(values[place]) for key, values in rated.items()} for place, name in enumerate(names)}
        general = {key: standard_scores(values) for key, values in rated.items()}
        self.attributes: dict[str, dict[str, float]] = {name: {} for name in names}
        for key in ATTRIBUTE_QUESTIONS:
            own = standard_scores([goodness(key, bins[name]) for name in names])
            whole = general["quality" if key in TECHNICAL else "aesthetic"]
            means = np.clip(ATTRIBUTE_MEAN + ATTRIBUTE_SPREAD * standard_scores(whole + OWN_PART * own), 1, 10)
            for name, value in zip(names, means, strict=True):
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
    return taken | ({f"flaw_{damage.flaw}": FLAW_TAKES * min(strength, 1.0)} if damage.flaw in FLAWS else {})


def aesthetic(quality: Sequence[float], beauty: Sequence[float]) -> np.ndarray:
    """Beauty and quality, half each, in standard scores; as high, and as widely spread, as they are on average."""
    both = standard_scores(standard_scores(quality) + standard_scores(beauty))
    middle, spread = ((part(quality) + part(beauty)) / 2 for part in (np.mean, np.std))
    return np.clip(middle + spread * both, 1, 10)


def goodness(attribute: str, bins: Mapping[str, int]) -> float:
    """0 to 1, of what is known of the bins."""
    parts = [(values[bins[name]], weight) for name, (values, weight) in GOODNESS[attribute].items() if name in bins]
    return sum(value * weight for value, weight in parts) / sum(weight for _, weight in parts) if parts else 0.5


def standard_scores(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """[N], of mean 0 and variance 1."""
    array = np.asarray(values, dtype=np.float64)
    return (array - array.mean()) / (array.std() + 1e-9)  # what does not vary says nothing
