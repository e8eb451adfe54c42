"""Ridge regression in closed form: on features, or by what any two samples have in common (a kernel)."""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import svd

ALPHAS = tuple(10.0**power for power in range(0, 6))


class Ridge:
    """Ridge regression on standardised features, its strength chosen by leave-one-out error.

    Args:
        features: [N, F].
        targets: [N] or [N, K].
        alphas: strengths to choose from; of one alone there is no choice.
    """

    def __init__(self, features: np.ndarray, targets: np.ndarray, alphas: Sequence[float] = ALPHAS):
        features, targets = features.astype(np.float64), targets.astype(np.float64)
        self.mean, self.scale, self.offset = features.mean(0), features.std(0) + 1e-6, targets.mean(0)
        centred = targets - self.offset
        left, sizes, right = svd(self._standardised(features), full_matrices=False, check_finite=False)
        turned = left.T @ centred
        least = np.inf
        for alpha in alphas:
            kept = sizes**2 / (sizes**2 + alpha)
            # the error on each sample of the fit without it (Allen's PRESS)
            leverage = (left**2 @ kept).reshape(-1, *[1] * (targets.ndim - 1))
            error = np.square((centred - left @ (kept * turned.T).T) / (1 - leverage)).sum()
            if error < least:
                least, self.alpha = error, alpha
                self.weights = right.T @ ((sizes / (sizes**2 + alpha)) * turned.T).T

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """[M, F] -> [M] or [M, K]."""
        return self._standardised(features.astype(np.float64)) @ self.weights + self.offset

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        return (features - self.mean) / self.scale


class KernelRidge:
    """Kernel ridge regression without an offset; by another name, a Gaussian process.

    Args:
        kernel: [N, N], of each two samples.
        targets: [N].
        alpha: what is added to each sample's kernel with itself, the variance of chance.

    Attributes:
        weights: [N]; the prediction for a sample is its kernel with each of the N, times these.
        left_out: [N], what is predicted for each sample without it.
    """

    def __init__(self, kernel: np.ndarray, targets: np.ndarray, alpha: float):
        inverse = np.linalg.inv(kernel + alpha * np.eye(len(targets)))
        self.weights = inverse @ targets
        self.left_out = targets - self.weights / np.diag(inverse)
