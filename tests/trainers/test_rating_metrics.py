"""Correlations agree with SciPy where they are defined, and say 0 where ratings tell nothing."""

import contextlib
from unittest.mock import patch

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import expit

from aesthetic_mllm.trainers import rating_metrics
from aesthetic_mllm.trainers.rating_metrics import (
    correlation_report,
    correlations,
    fitted_correlation,
    fitted_error,
    kendall_correlation,
    linear_correlation,
    logistic_fit,
    pair_signs,
    pairwise_accuracy,
    rank_correlation,
    root_mean_square_error,
    two_class_accuracy,
)


def test_order_and_line() -> None:
    """Any rising relation has SRCC 1, only a line PLCC 1; reversing turns both signs."""
    assert correlations([1, 2, 3, 4], [2, 4, 6, 8]) == pytest.approx({"srcc": 1, "plcc": 1})
    bent = correlations([1, 2, 3, 4], [1, 10, 100, 1000])
    assert bent["srcc"] == pytest.approx(1) and 0.5 < bent["plcc"] < 0.9
    assert correlations([4, 3, 2, 1], [2, 4, 6, 8]) == pytest.approx({"srcc": -1, "plcc": -1})


@pytest.mark.parametrize(("predicted", "wanted"), [([], []), ([1], [2]), ([3, 3, 3], [1, 2, 3]), ([1, 2, 3], [5, 5, 5])])
def test_what_tells_nothing_is_zero(predicted: list[float], wanted: list[float]) -> None:
    assert correlations(predicted, wanted) == {"srcc": 0.0, "plcc": 0.0}
    assert rank_correlation(predicted, wanted) == 0


def test_a_report_says_that_nothing_is_defined() -> None:
    """A 0 would read as a measured lack of agreement."""
    undefined = {"n": 3, "srcc": None, "srcc_interval": None, "plcc": None, "plcc_interval": None}
    assert correlation_report([3, 3, 3], [1, 2, 3]) == undefined


def test_unequal_numbers_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 predicted ratings cannot be compared with 1"):
        correlations([1, 2], [1])


RNG = np.random.default_rng(0)
LABELS = RNG.normal(size=60).round(1)  # with ties
RATED = (LABELS + RNG.normal(size=60)).round(1)


def test_kendall_is_tau_b_and_pairs_are_counted() -> None:
    pairs = [(i, j) for i in range(60) for j in range(i) if LABELS[i] != LABELS[j]]
    right = [0.5 if RATED[i] == RATED[j] else float((RATED[i] > RATED[j]) == (LABELS[i] > LABELS[j])) for i, j in pairs]
    assert pairwise_accuracy(RATED, LABELS) == pytest.approx(np.mean(right))
    tied = sum(RATED[i] != RATED[j] for i in range(60) for j in range(i)) * len(pairs)
    assert kendall_correlation(RATED, LABELS) == pytest.approx((2 * sum(right) - len(pairs)) / tied**0.5)
    assert pairwise_accuracy([1, 1], [2, 2]) == 0.5
    assert kendall_correlation([1, 1], [1, 2]) == 0


def test_pairs_in_blocks_are_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pairwise_accuracy(RATED, LABELS)
    monkeypatch.setattr(rating_metrics, "PAIR_ROWS", 7)
    assert pairwise_accuracy(RATED, LABELS) == pytest.approx(whole)
    assert np.concatenate(list(pair_signs([1, 3, 3]))).tolist() == [[0, -1, -1], [1, 0, 0], [1, 0, 0]]


def test_the_logistic_fit_straightens_a_curve() -> None:
    """People's ratings follow a logistic function of ours: afterwards they agree, and before they did not wholly."""
    rated = np.linspace(1, 10, 50)
    people = 20 + 60 / (1 + np.exp(-(rated - 6) / 0.4))
    assert fitted_correlation(rated, people) == pytest.approx(1)
    assert fitted_error(rated, people) == pytest.approx(0, abs=1e-4)
    assert linear_correlation(rated, people) < 0.95
    assert logistic_fit(rated, people)(np.array([6.0])) == pytest.approx(50)


@pytest.mark.filterwarnings("ignore::scipy.optimize.OptimizeWarning")
def test_the_logistic_fit_is_no_worse_than_one_from_any_other_start() -> None:
    """Ratings that agree little with people's: the error has several minima."""

    def logistic(values: np.ndarray, upper: float, lower: float, centre: float, width: float) -> np.ndarray:
        fitted: np.ndarray = (upper - lower) * expit((values - centre) / abs(width)) + lower
        return fitted

    for seed in range(4):
        rng = np.random.default_rng(seed)
        rated, people = rng.normal(size=(2, 70))
        found = fitted_error(rated, people)
        assert found <= fitted_error(-rated, people) + 1e-3  # the same function, mirrored
        for centre in np.percentile(rated, (5, 50, 95)):
            for lower, upper in ((people.min(), people.max()), (people.max(), people.min())):
                with contextlib.suppress(RuntimeError):
                    other, _ = curve_fit(logistic, rated, people, p0=(upper, lower, centre, rated.std()))
                    assert found <= root_mean_square_error(logistic(rated, *other), people) + 1e-3


def test_what_the_logistic_cannot_fit_is_fitted_by_less() -> None:
    """A constant by people's mean, few or unlucky ratings by a line."""
    assert fitted_error([4, 4, 4], [1, 2, 3]) == pytest.approx(np.std([1, 2, 3]))
    assert logistic_fit([1, 2, 3], [2, 4, 6])(np.array([5.0])) == pytest.approx(10)
    with patch("aesthetic_mllm.trainers.rating_metrics.curve_fit", side_effect=RuntimeError):
        assert logistic_fit(range(9), range(9))(np.array([20.0])) == pytest.approx(20)


def test_errors_and_classes_by_hand() -> None:
    assert root_mean_square_error([1, 2], [4, 6]) == pytest.approx(12.5**0.5)
    assert two_class_accuracy([5.0, 5.1, 7, 2], [4, 6, 3, 5], threshold=5) == 0.75
