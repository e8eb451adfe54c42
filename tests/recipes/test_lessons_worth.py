"""What the truth of lessons adds to a tower is found where there is something, and not where there is nothing."""

import numpy as np
import pytest


@pytest.fixture
def photos() -> tuple[np.ndarray, np.ndarray]:
    """Features of 300 photos that a tower sees, and measurements that it does not."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 8)), rng.normal(size=(300, 3))


def halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values[:200], values[200:]


def test_truth_that_the_tower_does_not_see_adds_what_it_says(photos: tuple[np.ndarray, np.ndarray]) -> None:
    from lessons_worth import worth

    tower, truth = photos
    labels, wanted = halves(tower[:, 0] + 2 * truth[:, 0])
    found = worth(halves(tower), halves(truth), labels, wanted)
    assert found["tower"] < 0.7 < found["measurements"] < 0.95 < found["tower and measurements"]


def test_a_measurement_may_be_best_in_the_middle(photos: tuple[np.ndarray, np.ndarray]) -> None:
    from lessons_worth import worth

    tower, truth = photos
    labels, wanted = halves(tower[:, 0] - truth[:, 0] ** 2)
    found = worth(halves(tower), halves(truth), labels, wanted)
    assert found["tower"] + 0.2 < found["tower and measurements"]


def test_truth_that_says_nothing_of_ratings_adds_nothing(photos: tuple[np.ndarray, np.ndarray]) -> None:
    from lessons_worth import worth

    tower, truth = photos
    labels, wanted = halves(tower[:, 0])
    found = worth(halves(tower), halves(truth), labels, wanted)
    assert found["tower"] > 0.99 and abs(found["tower and measurements"] - found["tower"]) < 0.02 and found["measurements"] < 0.3


def test_ranks_alone_count_and_what_cannot_be_measured_is_in_the_middle() -> None:
    from lessons_worth import normal_scores

    scores = normal_scores(np.array([[1.0, 5.0], [10.0, np.nan], [100.0, 6.0], [1000.0, 7.0], [1e9, np.inf]]))
    assert (np.diff(scores[:, 0]) > 0).all() and scores[2, 0] == pytest.approx(0)
    assert abs(scores[1, 1]) < abs(scores[0, 1]) and scores[1, 1] == scores[4, 1]
