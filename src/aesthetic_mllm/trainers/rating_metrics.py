"""How well predicted ratings agree with people's."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import pearsonr, spearmanr


def correlations(predicted: Sequence[float], wanted: Sequence[float]) -> dict[str, float]:
    """Spearman's rank correlation (SRCC) and Pearson's linear one (PLCC), -1 to 1.

    Both are 0 where they are not defined, because there are fewer than two ratings or all of one side are equal: such ratings
    tell nothing, and a training run that keeps the best must be able to compare.
    """
    if len(predicted) != len(wanted):
        raise ValueError(f"{len(predicted)} predicted ratings cannot be compared with {len(wanted)}.")
    if len(predicted) < 2 or np.ptp(predicted) == 0 or np.ptp(wanted) == 0:
        return {"srcc": 0.0, "plcc": 0.0}
    found = {"srcc": float(spearmanr(predicted, wanted)[0]), "plcc": float(pearsonr(predicted, wanted)[0])}
    return {name: 0.0 if math.isnan(value) else value for name, value in found.items()}
