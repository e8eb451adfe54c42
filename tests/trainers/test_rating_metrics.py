"""Correlations agree with SciPy where they are defined, and say 0 where ratings tell nothing."""

import pytest

from aesthetic_mllm.trainers.rating_metrics import correlation_report, correlations, rank_correlation


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
