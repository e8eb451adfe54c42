"""What is computed for all resamples at once is what SciPy gives for each of them."""

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr

from aesthetic_mllm.evaluation.resampling import (
    FEWEST,
    Sampled,
    draw,
    draw_counts,
    sampled_correlation,
    sampled_correlations,
    sampled_mean,
    sampled_pairs,
    sampled_ratio,
    sampled_rms,
)
from aesthetic_mllm.trainers.rating_metrics import pairwise_accuracy

RNG = np.random.default_rng(0)
COUNT = 40
LABELS = RNG.normal(size=COUNT).round(1)
RATED = (LABELS + RNG.normal(size=COUNT)).round(1)
OTHER = RNG.normal(size=COUNT)


def test_each_resample_is_scipys() -> None:
    by_rank, by_value = (sampled_correlation(RATED, LABELS, ranks) for ranks in (True, False))
    pairs = sampled_pairs(RATED, LABELS)
    for found, function in (
        (by_rank, lambda first, second: spearmanr(first, second).statistic),
        (by_value, lambda first, second: pearsonr(first, second).statistic),
        (pairs["krcc"], lambda first, second: kendalltau(first, second).statistic),
        (pairs["pairwise_accuracy"], pairwise_accuracy),
    ):
        assert found.value == pytest.approx(function(RATED, LABELS))
        assert found.values is not None
        for number in (0, 7, 999):
            drawn = draw(COUNT)[number]
            assert found.values[number] == pytest.approx(function(RATED[drawn], LABELS[drawn]))


def test_means_ratios_and_errors_of_each_resample() -> None:
    mean, error = sampled_mean(LABELS), sampled_rms(RATED - LABELS)
    ratio = sampled_ratio(np.arange(COUNT), np.full(COUNT, 50))
    assert ratio is not None
    drawn = draw(COUNT)[3]
    for found, values in ((mean, LABELS), (ratio, np.arange(COUNT) / 50)):
        assert found.value == pytest.approx(values.mean())
        assert found.values is not None and found.values[3] == pytest.approx(values[drawn].mean(), abs=1e-6)
    assert error.values is not None
    assert error.values[3] == pytest.approx(np.sqrt(np.mean((RATED - LABELS)[drawn] ** 2)), rel=1e-5)
    assert sampled_ratio([0, 0, 0], [0, 0, 0]) is None
    assert draw_counts(COUNT)[3].tolist() == np.bincount(drawn, minlength=COUNT).tolist()


def test_a_matrix_of_correlations() -> None:
    matrix, resampled = sampled_correlations({"rated": RATED, "labels": LABELS, "other": OTHER})
    assert matrix[0, 1] == pytest.approx(spearmanr(RATED, LABELS).statistic)
    drawn = draw(COUNT)[5]
    assert resampled is not None
    assert resampled[5, 1, 2] == pytest.approx(spearmanr(LABELS[drawn], OTHER[drawn]).statistic)
    assert np.diagonal(resampled, axis1=1, axis2=2) == pytest.approx(1)


def test_differences_are_paired() -> None:
    """Of two systems that err alike the difference is surer than each of them."""
    first, second = (sampled_correlation(RATED + small, LABELS, ranks=True) for small in (0.0, 0.05 * OTHER))
    apart = first.less(second)
    assert apart.value == pytest.approx(first.value - second.value)
    (low, high), (own_low, own_high) = apart.measure().interval or (0, 0), first.measure().interval or (0, 0)
    assert high - low < (own_high - own_low) / 3
    assert first.less(Sampled(0.5)).measure().interval is None


def test_what_has_no_interval() -> None:
    """Too few rows; and one that was found in another way is kept."""
    few = sampled_mean([1.0] * (FEWEST - 1))
    assert few.values is None and few.measure().interval is None
    assert Sampled(1.0, interval=(0.5, 1.0)).measure().interval == (0.5, 1.0)


def test_what_does_not_vary_correlates_with_nothing() -> None:
    for ranks in (True, False):
        found = sampled_correlation(np.full(COUNT, 0.1), LABELS, ranks)
        assert found.value == 0 and found.values is not None and not found.values.any()
    assert sampled_pairs(np.full(COUNT, 0.1), LABELS)["krcc"].value == 0
