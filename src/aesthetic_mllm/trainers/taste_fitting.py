"""Fits other people's tastes, the prior of personal ratings, from many raters' votes. No gradients: some ridge regressions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..personalization.rater_prior import RaterPrior, Spreads
from ..personalization.ridge import KernelRidge

# Chosen on training people and training photos of OASIS.
SHRINKAGE = 0.3  # of each rater's ridge regression, for each number of the embedding
DIRECTIONS = 64
TASTE = 1.0  # variance of tastes, of `Spreads`
LEAST_SPREAD = 0.5  # points that are added to each rater's own spread: some hardly vary
LEAST_RATED = 10  # photos of a rater


class Votes(NamedTuple):
    """Single ratings on the score range: number of the rater, number of the photo, value; all [V]."""

    rater: np.ndarray
    photo: np.ndarray
    value: np.ndarray


def fit_tastes(
    embeddings: np.ndarray, votes: Votes, general: np.ndarray, shrinkage: float = SHRINKAGE, taste: float = TASTE
) -> RaterPrior:
    """What tastes there are: the principal directions of what each rater's votes say beside everybody's.

    Every rater's votes are set to one mean and spread, and what all raters give the photo on average is taken off. A ridge
    regression on the embeddings tells the rest; its weights, of all raters, span the space of tastes.

    Args:
        embeddings: of the photos, [P, F].
        votes: of many raters; nobody of them may be one who is tested.
        general: the photos' ratings by the checkpoint, [P]; how far people differ from them is told too.
    """
    centre, scale = embeddings.mean(0), embeddings.std(0) + 1e-6
    standard = (embeddings - centre) / scale
    by_rater = [rows for rows in _rows_of_each(votes.rater) if len(rows) >= LEAST_RATED]
    level = np.array([votes.value[rows].mean() for rows in by_rater])
    spread = np.array([votes.value[rows].std() for rows in by_rater]) + LEAST_SPREAD
    alike = np.full(len(votes.value), np.nan)
    for rows, own_level, own_spread in zip(by_rater, level, spread, strict=True):
        alike[rows] = (votes.value[rows] - own_level) / own_spread * spread.mean()
    used = np.concatenate(by_rater)
    sums = np.bincount(votes.photo[used], alike[used], len(embeddings))
    shared = sums / np.maximum(np.bincount(votes.photo[used], minlength=len(embeddings)), 1)
    weights = []
    for rows in by_rater:
        own, seen = alike[rows] - shared[votes.photo[rows]], standard[votes.photo[rows]]
        weights.append(seen.T @ KernelRidge(seen @ seen.T, own - own.mean(), shrinkage * seen.shape[1]).weights)
    told = np.array(weights)  # [raters, F]
    turned, sizes, _ = np.linalg.svd(told @ standard.T, full_matrices=False)
    directions = turned[:, :DIRECTIONS].T @ told * np.sqrt(len(embeddings) / (sizes[:DIRECTIONS] ** 2).sum())
    return RaterPrior(centre, scale, directions, _spreads(votes, by_rater, general, taste))


def _spreads(votes: Votes, by_rater: Sequence[np.ndarray], general: np.ndarray, taste: float) -> Spreads:
    """Variances of level and slope over raters (less what chance adds to them), and of what is left."""
    levels, slopes, slope_errors, left = [], [], [], []
    for rows in by_rater:
        beside = votes.value[rows] - general[votes.photo[rows]]
        centred = general[votes.photo[rows]] - general.mean()
        power = float(((centred - centred.mean()) ** 2).sum())
        slope = float((centred - centred.mean()) @ beside) / power
        rest = beside - beside.mean() - slope * (centred - centred.mean())
        levels.append(beside.mean())
        slopes.append(slope)
        left.append(rest @ rest / (len(rows) - 2))
        slope_errors.append(left[-1] / power)
    return Spreads(
        level=float(np.var(levels)),
        slope=float(max(np.var(slopes) - np.mean(slope_errors), 0.0)),
        taste=taste,
        chance=float(max(np.mean(left) - taste, taste)),
    )


def _rows_of_each(rater: np.ndarray) -> list[np.ndarray]:
    """The rows of each rater's votes."""
    order = np.argsort(rater, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(rater[order])) + 1)
