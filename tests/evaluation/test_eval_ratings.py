"""Ratings are compared with people's, with a baseline, and with what other photos' tokens would give."""

import numpy as np
import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.evaluation.eval_ratings import (
    evaluate_ratings,
    lost_by_exchange,
    rate_tokens,
    srcc_gain,
    visual_tokens,
)
from lively_assessor import lively_assessor
from photo_files import scene

IMAGES = [scene(60 + 9 * number, 50 + 3 * number) for number in range(9)]


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return lively_assessor()


def test_ratings_by_tokens_are_those_of_the_photos(assessor: AestheticAssessor) -> None:
    rated = [rating.mean for rating in assessor.score(IMAGES, "quality")]
    assert rate_tokens(assessor, visual_tokens(assessor, IMAGES, 4), "quality", 4) == pytest.approx(rated, abs=1e-3)


def test_who_agrees_with_the_labels_is_ahead_of_who_does_not(assessor: AestheticAssessor) -> None:
    own = np.array([rating.mean for rating in assessor.score(IMAGES)])
    report = evaluate_ratings(assessor, IMAGES, own, baseline=-own, parts={"first": range(5)}, exchange=True)
    assert report["n"] == 9 and report["srcc"] == pytest.approx(1) and report["baseline"]["srcc"] == pytest.approx(-1)
    assert report["srcc_gain"] == pytest.approx(2) and report["srcc_gain_interval"] == pytest.approx([2, 2])
    assert report["by_part"] == {"first": pytest.approx(1)}
    # a random model reads all that it sees, so something is lost with every group
    assert report["lost_by_exchange"].keys() == {"low", "middle", "high", "thematic"}
    assert max(report["lost_by_exchange"].values()) > 0
    assert report["lost_by_exchange"] == lost_by_exchange(assessor, IMAGES, own)


def test_no_difference_has_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    labels = rng.normal(size=60)
    first, second = (labels + rng.normal(size=60) for _ in range(2))
    found = srcc_gain(first, second, labels)
    low, high = found["srcc_gain_interval"]
    assert low < found["srcc_gain"] < high and low < 0 < high
