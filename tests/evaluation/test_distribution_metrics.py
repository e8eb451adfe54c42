"""Distributions beside people's votes, by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from aesthetic_mllm.evaluation.distribution_metrics import earth_movers_distance, on_steps, votes_covered

LEVELS, RANGE = (1.0, 3.25, 5.5, 7.75, 10.0), (1.0, 10.0)


@pytest.mark.parametrize("steps", [2, 5, 7, 10])
def test_a_distribution_on_other_steps_keeps_its_mean(steps: int) -> None:
    shares = np.array([0.1, 0.2, 0.4, 0.2, 0.1]) + [0, 0.05, 0, 0, -0.05]
    found = on_steps(shares, LEVELS, RANGE, steps)
    assert found.sum() == pytest.approx(1) and found.min() >= 0
    assert found @ np.linspace(*RANGE, steps) == pytest.approx(shares @ np.array(LEVELS))


def test_equal_steps_are_taken_as_they_are() -> None:
    shares = [0.1, 0.2, 0.4, 0.2, 0.1]
    assert on_steps(shares, LEVELS, RANGE, 5) == pytest.approx(shares)


def test_the_earth_movers_distance_by_hand() -> None:
    """All votes one step off: of four steps one cumulative share is apart by 1."""
    assert earth_movers_distance([1, 0, 0, 0], [0, 5, 0, 0]) == pytest.approx((1 / 4) ** 0.5)
    assert earth_movers_distance([1, 0, 0, 0], [0, 0, 0, 9], power=1) == pytest.approx(3 / 4)
    assert earth_movers_distance([1, 2, 1], [2, 4, 2]) == 0
    with pytest.raises(ValueError, match="votes"):
        earth_movers_distance([1, 0], [0, 0])


def test_coverage_is_nominal_where_the_spread_is_right() -> None:
    """Votes as a normal distribution, on fine steps; a narrower prediction covers fewer."""
    centres = np.linspace(0, 100, 201)
    votes = norm.pdf(centres, 50, 10)
    assert votes_covered(50, 10, votes, (0, 100)) == pytest.approx(0.8, abs=0.005)
    assert votes_covered(50, 5, votes, (0, 100)) == pytest.approx(2 * norm.cdf(1.2816 / 2) - 1, abs=0.005)
    assert votes_covered(4, 0.5, [0, 0, 0, 1, 0, 0, 0], (1, 7)) == pytest.approx(1)
    assert votes_covered(4, 0.1, [0, 0, 0, 1, 0, 0, 0], (1, 7)) == pytest.approx(0.2 * norm.ppf(0.9))
