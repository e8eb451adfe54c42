"""Intervals are SciPy's, and say what they should."""

import numpy as np
import pytest

from aesthetic_mllm.trainers.intervals import bootstrap_interval, wilson_interval


def test_wilson_interval() -> None:
    low, high = wilson_interval(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))
    assert wilson_interval(0, 10)[0] == 0 and wilson_interval(10, 10)[1] == pytest.approx(1)
    assert wilson_interval(0, 10)[1] == pytest.approx(0.2775, abs=1e-3)
    widths = [np.subtract(*wilson_interval(n // 2, n)[::-1]) for n in (10, 100, 1000)]
    assert widths == sorted(widths, reverse=True)
    for right, count in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError):
            wilson_interval(right, count)


def test_a_bootstrap_interval_holds_the_value_and_narrows() -> None:
    """Rows are drawn together: what differs by the same everywhere has an interval of no width."""
    rng = np.random.default_rng(0)
    widths = []
    for count in (20, 200):
        values = rng.normal(size=count)
        low, high = bootstrap_interval(lambda x: float(x.mean()), [values], resamples=300)
        assert low < values.mean() < high
        widths.append(high - low)
    assert widths[1] < widths[0]
    low, high = bootstrap_interval(lambda x, y: float((y - x).mean()), [values, values + 1.0], resamples=300)
    assert low == pytest.approx(1) and high == pytest.approx(1)
