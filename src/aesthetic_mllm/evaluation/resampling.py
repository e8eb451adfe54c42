"""Bootstrap of many figures at once: all figures of the same rows, and all systems, see the same resamples.

A figure is computed for all resamples together. Ranks are taken row by row. Kendall's tau and the pairwise accuracy of a resample
are w' S w, where w counts how often each photo was drawn and S holds the signs of all pairs: one matrix product for all
resamples. A thousand photos and a thousand resamples take about a second for all correlations together. The logistic fit is made
once, on all photos, and kept for the resamples.

Because the resamples depend on nothing but the number of rows, the difference of two systems on the same rows is a paired one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import rankdata

from ..publishing.report import Measure
from ..trainers.rating_metrics import pair_signs

RESAMPLES = 1_000
FEWEST = 3  # rows that an interval is given of


@lru_cache(maxsize=8)
def draw(count: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Places of the drawn rows, [resamples, count]; always the same for the same numbers."""
    return np.random.default_rng([count, resamples]).integers(0, count, (resamples, count))


@lru_cache(maxsize=8)
def draw_counts(count: int, resamples: int = RESAMPLES) -> np.ndarray:
    """How often each row was drawn, float32 [resamples, count]."""
    drawn = draw(count, resamples)
    flat = (drawn + np.arange(resamples)[:, None] * count).ravel()
    return np.bincount(flat, minlength=resamples * count).reshape(resamples, count).astype(np.float32)


@dataclass(frozen=True)
class Sampled:
    """A figure, and what it is in each resample.

    Args:
        value: of all rows.
        values: [resamples], or `None` where there are too few rows.
        interval: where it was found without resamples.
    """

    value: float
    values: np.ndarray | None = None
    interval: tuple[float, float] | None = None

    def measure(self) -> Measure:
        """With its 95% interval (percentile method)."""
        if self.values is None or not np.isfinite(self.values).all():
            return Measure(float(self.value), self.interval)
        low, high = np.percentile(self.values, (2.5, 97.5))
        return Measure(float(self.value), (float(low), float(high)))

    def less(self, other: "Sampled") -> "Sampled":
        """The difference on the same resamples."""
        both = self.values is not None and other.values is not None
        return Sampled(self.value - other.value, self.values - other.values if both else None)  # type: ignore[operator]


def sampled_mean(values: Sequence[float] | np.ndarray) -> Sampled:
    """The mean of a value a row."""
    column = np.asarray(values, dtype=np.float64)
    return Sampled(float(column.mean()), _if_enough(column, lambda: draw_counts(len(column)) @ column / len(column)))


def sampled_ratio(parts: Sequence[float] | np.ndarray, wholes: Sequence[float] | np.ndarray) -> Sampled | None:
    """Sum of the parts over sum of the wholes, such as right claims of all claims; `None` of nothing."""
    part, whole = (np.asarray(each, dtype=np.float64) for each in (parts, wholes))
    if not whole.sum():
        return None

    def ratios() -> np.ndarray:
        counts = draw_counts(len(whole)).astype(np.float64)
        return (counts @ part) / np.maximum(counts @ whole, 1e-12)

    return Sampled(float(part.sum() / whole.sum()), _if_enough(whole, ratios))


def sampled_rms(errors: Sequence[float] | np.ndarray) -> Sampled:
    """The root of the mean square."""
    mean = sampled_mean(np.square(np.asarray(errors, dtype=np.float64)))
    return Sampled(float(np.sqrt(mean.value)), None if mean.values is None else np.sqrt(np.maximum(mean.values, 0)))


def sampled_correlation(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, ranks: bool) -> Sampled:
    """Spearman's with `ranks`, else Pearson's; 0 where it is not defined."""
    one, two = (np.asarray(each, dtype=np.float64) for each in (first, second))
    whole = np.arange(len(one))[None]
    value = float(_correlation(one[whole], two[whole], ranks)[0])

    def values() -> np.ndarray:
        drawn = draw(len(one))
        return _correlation(one[drawn], two[drawn], ranks)

    return Sampled(value, _if_enough(one, values))


def sampled_correlations(columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Spearman's correlation of each column with each: [C, C], and of the resamples [resamples, C, C]."""
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns.values()])  # [C, n]

    def matrices(drawn: np.ndarray) -> np.ndarray:
        ranked = np.stack([_standard(rankdata(column[drawn], axis=1)) for column in table], axis=1)  # [R, C, n]
        return ranked @ ranked.transpose(0, 2, 1)

    count = table.shape[1]
    return matrices(np.arange(count)[None])[0], _if_enough(table[0], lambda: matrices(draw(count)))


def sampled_pairs(predicted: Sequence[float] | np.ndarray, wanted: Sequence[float] | np.ndarray) -> dict[str, Sampled]:
    """Kendall's tau-b ("krcc") and "pairwise_accuracy"; a photo that was drawn twice is tied with itself."""
    one, two = (np.asarray(each, dtype=np.float64) for each in (predicted, wanted))
    count = len(one)
    weights = np.ones((1, count), np.float32)
    if count >= FEWEST:
        weights = np.concatenate([weights, draw_counts(count)])
    in_order, first_apart, second_apart = np.zeros((3, len(weights)))
    start = 0
    for signs, others in zip(pair_signs(one), pair_signs(two), strict=True):
        rows = weights[:, start : start + len(signs)].astype(np.float64)
        start += len(signs)
        for total, matrix in ((in_order, signs * others), (first_apart, np.abs(signs)), (second_apart, np.abs(others))):
            total += ((weights @ matrix.T) * rows).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        tau = np.nan_to_num(in_order / np.sqrt(first_apart * second_apart), nan=0.0, posinf=0.0, neginf=0.0)
        accuracy = 0.5 + 0.5 * np.nan_to_num(in_order / second_apart, nan=0.0, posinf=0.0, neginf=0.0)
    return {
        name: Sampled(float(values[0]), values[1:] if count >= FEWEST else None)
        for name, values in (("krcc", tau), ("pairwise_accuracy", accuracy))
    }


def varies(values: Sequence[float] | np.ndarray) -> bool:
    """Whether values differ by more than rounding, without which no correlation is defined."""
    return bool(_standard(np.asarray(values, dtype=np.float64)).any())


def _if_enough(rows: np.ndarray, values: Callable[[], np.ndarray]) -> np.ndarray | None:
    return values() if len(rows) >= FEWEST else None


def _correlation(first: np.ndarray, second: np.ndarray, ranks: bool) -> np.ndarray:
    """Of each row, [R]."""
    if ranks:
        first, second = rankdata(first, axis=1), rankdata(second, axis=1)
    return (_standard(first) * _standard(second)).sum(1)


def _standard(rows: np.ndarray) -> np.ndarray:
    """Rows without their means and of length 1; all 0 where a row does not vary."""
    centred = rows - rows.mean(-1, keepdims=True)
    length = np.sqrt(np.square(centred).sum(-1, keepdims=True))
    # what rounding leaves of equal values is no variation
    varied = length > 1e-9 * (np.abs(rows).max(-1, keepdims=True) + 1e-300)
    return np.where(varied, centred / np.where(varied, length, 1), 0)
