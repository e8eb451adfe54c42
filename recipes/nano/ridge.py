"""The baseline: ridge regression on the frozen tower's pooled features."""

import numpy as np

# On standardised features; each the best of 1e2 to 3e4 on the very photos that are validated, which favours the baseline.
QUALITY_ALPHA = 3e3
BEAUTY_ALPHA = 1e3


def ridge_predict(features: np.ndarray, targets: np.ndarray, queries: np.ndarray, alpha: float) -> np.ndarray:
    """Predictions [M] for `queries` [M, F] of a ridge fitted on `features` [N, F] and `targets` [N].

    Solved in whichever of the two dual forms is smaller. Features are standardised with the training photos' statistics.
    """
    mean, scale = features.mean(0), features.std(0) + 1e-6
    known, asked = ((x - mean) / scale for x in (features.astype(np.float64), queries.astype(np.float64)))
    centred = targets - targets.mean()
    if len(known) < known.shape[1]:
        weights = known.T @ np.linalg.solve(known @ known.T + alpha * np.eye(len(known)), centred)
    else:
        weights = np.linalg.solve(known.T @ known + alpha * np.eye(known.shape[1]), known.T @ centred)
    return asked @ weights + targets.mean()
