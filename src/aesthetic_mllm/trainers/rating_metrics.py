"""How well predicted ratings agree with people's."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import pearsonr, spearmanr

from .intervals import bootstrap_interval


def correlations(predicted: Sequence[float], wanted: Sequence[float]) -> dict[str, float]:
    """Spearman's rank correlation (SRCC) and Pearson's linear one (PLCC), -1 to 1.

    Both are 0 where they are not defined, because there are fewer than two ratings or all of one side are equal: such ratings
    tell nothing, and a training run that keeps the best must be able to compare.
    """
    if len(predicted) != len(wanted):
        raise ValueError(f"{len(predicted)} predicted ratings cannot be compared with {len(wanted)}.")
    if len(predicted) < 2 or np.ptp(predicted) == 0 or np.ptp(wanted) == 0:
        return {"srcc": 0.0, "plcc": 0.0}
    plcc = float(pearsonr(predicted, wanted).statistic)
    return {"srcc": rank_correlation(predicted, wanted), "plcc": 0.0 if math.isnan(plcc) else plcc}


def rank_correlation(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Spearman's; 0 where it is not defined, such as where one of them does not vary, which then ranks nothing."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    found = float(spearmanr(first, second).statistic)
    return 0.0 if math.isnan(found) else found


def correlation_report(predicted: Sequence[float], wanted: Sequence[float], resamples: int = 1_000) -> dict[str, Any]:
    """The number of photos, SRCC and PLCC, and of each a 95% interval by bootstrap over the photos (percentile method).

    What is not defined, because there are fewer than two ratings or all of one side are equal, is `None`. The intervals tell what
    other photos of the same kind might give; not what another training run might. They are `None` where there are fewer than
    three photos.
    """
    report: dict[str, Any] = {"n": len(predicted)}
    is_defined = len(predicted) > 1 and bool(np.ptp(predicted) > 0) and bool(np.ptp(wanted) > 0)
    for name, value in correlations(predicted, wanted).items():
        report |= {name: value if is_defined else None, f"{name}_interval": None}
        if len(predicted) < 3 or not is_defined:
            continue

        def correlation(some: np.ndarray, truth: np.ndarray, name: str = name) -> float:
            return correlations(some, truth)[name]

        report[f"{name}_interval"] = list(bootstrap_interval(correlation, (predicted, wanted), resamples))
    return report
