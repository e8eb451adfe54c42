"""Confidence intervals of shares and of differences, all of 95%."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

RESAMPLES = 2_000


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Of a share (Wilson 1927), within 0 to 1.

    Args:
        right: successes, 0 to `count`.
        count: trials, at least 1.

    Raises:
        ValueError: no trials, or other successes than trials allow.
    """
    low, high = stats.binomtest(right, count).proportion_ci(method="wilson")
    return float(low), float(high)


def bootstrap_interval(
    statistic: Callable[..., float], columns: Sequence[Sequence[float]], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Of a statistic of paired values, by bootstrap over their rows (percentile method).

    Args:
        statistic: of as many arrays as there are columns.
        columns: [N] each; their rows are drawn together.
    """
    found = stats.bootstrap(
        tuple(map(np.asarray, columns)),
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=resamples,
        method="percentile",
        rng=seed,
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
