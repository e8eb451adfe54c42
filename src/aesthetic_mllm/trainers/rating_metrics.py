"""How well predicted ratings agree with people's.

Each figure is a function of two equally long sequences, the predicted ratings and people's, and can be used alone: it needs
neither a checkpoint nor a photo. Where a figure is not defined, because there are fewer than two ratings or all of one side are
equal, correlations are 0.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import expit
from scipy.stats import kendalltau, pearsonr, spearmanr

from .intervals import bootstrap_interval

Values = Sequence[float] | np.ndarray
GRID_CENTRES = (2, 10, 25, 50, 75, 90, 98)  # starts of the logistic fit: percentiles of the predicted ratings
GRID_WIDTHS = (0.05, 0.25, 1.0, 4.0)  # and parts of their standard deviation
GRID_STARTS = 5
PAIR_ROWS = 1_000  # of the n x n pairs that are held at once


def correlations(predicted: Values, wanted: Values) -> dict[str, float]:
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


def rank_correlation(first: Values, second: Values) -> float:
    """Spearman's; 0 where it is not defined, such as where one of them does not vary, which then ranks nothing."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    found = float(spearmanr(first, second).statistic)
    return 0.0 if math.isnan(found) else found


def linear_correlation(predicted: Values, wanted: Values) -> float:
    """Pearson's (PLCC), -1 to 1; 0 where it is not defined."""
    return correlations(predicted, wanted)["plcc"]


def kendall_correlation(predicted: Values, wanted: Values) -> float:
    """Kendall's tau-b (KRCC; Kendall 1945), -1 to 1: pairs in order less pairs out of order, over the geometric mean of the pairs
    that are not tied on each side. 0 where it is not defined."""
    if len(predicted) < 2 or np.ptp(predicted) == 0 or np.ptp(wanted) == 0:
        return 0.0
    found = float(kendalltau(predicted, wanted).statistic)
    return 0.0 if math.isnan(found) else found


def pairwise_accuracy(predicted: Values, wanted: Values) -> float:
    """Share of pairs that are in people's order, 0 to 1; chance is 0.5. Harrell's concordance index (1982).

    Of all pairs whose ratings by people differ; a pair that is predicted equal counts half. 0.5 where no pair differs.
    """
    in_order = compared = 0.0
    for predicted_signs, wanted_signs in zip(pair_signs(predicted), pair_signs(wanted), strict=True):
        in_order += float((predicted_signs * wanted_signs).sum())
        compared += float(np.abs(wanted_signs).sum())
    return 0.5 + 0.5 * in_order / compared if compared else 0.5


def pair_signs(values: Values) -> Iterator[np.ndarray]:
    """Signs of the differences of each value from each other one: the rows of an [n, n] matrix in blocks, float32."""
    column = np.asarray(values, dtype=np.float64)
    for start in range(0, len(column), PAIR_ROWS):
        yield np.sign(column[start : start + PAIR_ROWS, None] - column[None]).astype(np.float32)


def logistic_fit(predicted: Values, wanted: Values) -> Callable[[np.ndarray], np.ndarray]:
    """The 4-parameter logistic function that maps predicted ratings to people's with the least squared error.

    (b1 - b2) / (1 + exp(-(x - b3) / |b4|)) + b2, as the Video Quality Experts Group fits objective scores before PLCC and RMSE
    (VQEG 2000, FR-TV phase I). It starts from b1 and b2 the largest and the smallest of people's ratings, b3 the mean and b4 a
    quarter of the standard deviation of the predicted ones, and from the best places of a grid, because the error of ratings that
    agree little has several minima; the least of them is taken. Where no fit converges, or there are fewer than five ratings, the
    straight line of least squares takes its place; where all predicted ratings are equal, the mean of people's.

    A function that falls is fitted too: ratings that are upside down look well after it, and SRCC tells.
    """
    given, rated = np.asarray(predicted, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    if len(given) < 2 or np.ptp(given) == 0:
        mean = float(rated.mean())
        return lambda values: np.full(len(values), mean)
    slope, offset = np.polyfit(given, rated, 1)

    def line(values: np.ndarray) -> np.ndarray:
        return slope * values + offset

    if len(given) < 5 or np.ptp(rated) == 0:
        return line
    fits: list[tuple[float, np.ndarray]] = []
    for start in [(rated.max(), rated.min(), given.mean(), given.std() / 4), *_grid_starts(given, rated)]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OptimizeWarning)  # of the parameters' covariance, which is not asked for
                found, _ = curve_fit(_logistic, given, rated, p0=start, maxfev=10_000)
        except RuntimeError:  # no convergence
            continue
        fits.append((root_mean_square_error(_logistic(given, *found), rated), found))
    if not fits:
        return line
    best = min(fits, key=lambda fit: fit[0])[1]
    return lambda values: _logistic(values, *best)


def _grid_starts(given: np.ndarray, rated: np.ndarray) -> list[tuple[float, float, float, float]]:
    """The places of a grid of b3 and b4 with the least error; b1 and b2 follow from these by linear least squares."""
    starts: list[tuple[float, tuple[float, float, float, float]]] = []
    for centre in np.percentile(given, GRID_CENTRES):
        for width in given.std() * np.array(GRID_WIDTHS):
            curve = expit((given - centre) / width)
            spread = curve - curve.mean()
            if not spread.any():
                continue
            slope = float(spread @ (rated - rated.mean()) / (spread @ spread))
            lower = float(rated.mean() - slope * curve.mean())
            error = root_mean_square_error(slope * curve + lower, rated)
            starts.append((error, (slope + lower, lower, float(centre), float(width))))
    return [start for _, start in sorted(starts)[:GRID_STARTS]]


def _logistic(values: np.ndarray, upper: float, lower: float, centre: float, width: float) -> np.ndarray:
    fitted: np.ndarray = (upper - lower) * expit((values - centre) / max(abs(width), 1e-12)) + lower
    return fitted


def fitted_correlation(predicted: Values, wanted: Values) -> float:
    """PLCC after [`logistic_fit`], -1 to 1."""
    return linear_correlation(logistic_fit(predicted, wanted)(np.asarray(predicted, dtype=np.float64)), wanted)


def root_mean_square_error(predicted: Values, wanted: Values) -> float:
    """RMSE in points of people's ratings."""
    return float(np.sqrt(np.mean(np.square(np.subtract(predicted, wanted, dtype=np.float64)))))


def fitted_error(predicted: Values, wanted: Values) -> float:
    """RMSE after [`logistic_fit`], in points of people's ratings."""
    return root_mean_square_error(logistic_fit(predicted, wanted)(np.asarray(predicted, dtype=np.float64)), wanted)


def two_class_accuracy(predicted: Values, wanted: Values, threshold: float) -> float:
    """Share of photos put on the right side of a threshold, 0 to 1: people's mean above it is good, all others are bad.

    For AVA the threshold is 5 on its range from 1 to 10 (Murray et al. 2012). The ratings must be on the threshold's range.
    """
    return float(np.mean((np.asarray(predicted) > threshold) == (np.asarray(wanted) > threshold)))


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
