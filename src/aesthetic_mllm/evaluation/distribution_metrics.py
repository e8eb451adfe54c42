"""How well predicted distributions of ratings agree with how people's ratings are spread.

Each figure is a function of arrays alone, and can be used without a checkpoint or a photo.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

CENTRAL = 0.8  # nominal share of votes within the interval whose coverage is told


def on_steps(
    distribution: Sequence[float],
    level_scores: Sequence[float],
    score_range: tuple[float, float],
    steps: int,
) -> np.ndarray:
    """A distribution over levels as one over the steps of a source's histogram, [steps], with the same mean.

    The level's score is taken linearly from its own range to the source's; its share is split between the two nearest steps, the
    nearer one getting more.

    Args:
        distribution: share of each level.
        level_scores: the levels' scores, rising.
        score_range: worst and best score.
        steps: of the histogram, evenly from the source's lowest to its highest value.
    """
    low, high = score_range
    places = (np.asarray(level_scores, dtype=np.float64) - low) / (high - low) * (steps - 1)
    below = np.clip(np.floor(places).astype(int), 0, max(steps - 2, 0))
    upper = places - below
    found = np.zeros(steps)
    shares = np.asarray(distribution, dtype=np.float64)
    np.add.at(found, below, shares * (1 - upper))
    np.add.at(found, np.minimum(below + 1, steps - 1), shares * upper)
    return found


def earth_movers_distance(predicted: Sequence[float], wanted: Sequence[float], power: int = 2) -> float:
    """Earth mover's distance of two histograms of the same steps, 0 to 1: ((1/N) sum |CDF_p - CDF_q|^r)^(1/r).

    With r = 2 it is the loss of Hou et al. (2016) that NIMA reports (Talebi and Milanfar 2018).

    Args:
        predicted, wanted: shares or counts of each step; both are normalised.

    Raises:
        ValueError: histograms of different lengths, or without votes.
    """
    first, second = (np.asarray(each, dtype=np.float64) for each in (predicted, wanted))
    if first.shape != second.shape or not first.sum() > 0 or not second.sum() > 0:
        raise ValueError(f"Histograms of {first.shape} and {second.shape} with {first.sum():g} and {second.sum():g} votes.")
    apart = np.abs(np.cumsum(first / first.sum()) - np.cumsum(second / second.sum()))
    return float(np.mean(apart**power) ** (1 / power))


def votes_covered(
    mean: float, std: float, histogram: Sequence[float], value_range: tuple[float, float], central: float = CENTRAL
) -> float:
    """Share of people's votes within the central interval of a predicted normal distribution, 0 to 1.

    Over many photos it should be `central` (interval coverage, Gneiting and Raftery 2007). More: the spread is predicted too
    wide. A step's votes lie evenly over its width, because people could not say more exactly.

    Args:
        mean, std: predicted, on the source's range.
        histogram: votes for each step, evenly from the lowest to the highest value of the range.
    """
    votes = np.asarray(histogram, dtype=np.float64)
    low, high = value_range
    centres = np.linspace(low, high, len(votes))
    half = (high - low) / (len(votes) - 1) / 2
    reach = float(norm.ppf(0.5 + central / 2)) * std
    inside = np.minimum(centres + half, mean + reach) - np.maximum(centres - half, mean - reach)
    return float((votes * np.clip(inside / (2 * half), 0, 1)).sum() / votes.sum())
