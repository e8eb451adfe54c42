"""People who do not exist, with tastes that are known: to teach reading examples, and to test what a profile finds out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

# Of a rating's standard deviation: what everybody sees, the person's own taste, and chance.
SHARED, OWN, CHANCE = 0.5, 1.0, 0.35
LEVEL, SPREAD = 5.5, 2.2  # on the rating scale


@dataclass(frozen=True)
class SyntheticPerson:
    """Somebody who rates by what everybody likes and by tastes of their own.

    Args:
        tastes: weight of each trait; more is liked where it is positive.
    """

    tastes: Mapping[str, float]

    def ratings(self, general: np.ndarray, traits: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Whole ratings from 1 to 10 of n photos: general ratings [n] and traits [n] of the same photos."""
        own = sum(weight * ranks(traits[name]) for name, weight in self.tastes.items())
        own = own / max(float(np.linalg.norm(list(self.tastes.values()))), 1e-9)
        liked = SHARED * ranks(general) + OWN * own + CHANCE * rng.standard_normal(len(general))
        return np.clip(np.rint(LEVEL + SPREAD * liked / np.hypot(SHARED, OWN)), 1, 10)


def ranks(values: np.ndarray) -> np.ndarray:
    """Values as evenly spread standard scores, [n]: traits have long tails, and tastes do not."""
    return (rankdata(values) - (len(values) + 1) / 2) / (len(values) / np.sqrt(12))


def draw_person(traits: Mapping[str, np.ndarray], rng: np.random.Generator, most: int = 3) -> SyntheticPerson:
    """Somebody with one to `most` tastes."""
    names = rng.choice(list(traits), size=rng.integers(1, most + 1), replace=False)
    return SyntheticPerson({str(name): float(rng.choice([-1, 1]) * rng.uniform(0.5, 1)) for name in names})
