"""How sure an order is, and how differences are put into words."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aesthetic_mllm.processing.rating_scale import Rating, RatingScale
from aesthetic_mllm.tasks.ranking import (
    LEAST_DIFFERENCE,
    MEASURED_TRAITS,
    MOST_REASONS,
    Comparison,
    RankedPhoto,
    RankingError,
    attribute_reasons,
    measured_reasons,
    probability_better,
)

SCALE = RatingScale()
WORDS = [word.strip() for word in SCALE.level_words]


def rating(*shares: float) -> Rating:
    """A rating of these shares of the levels, worst first."""
    total = sum(shares)
    distribution = {word: share / total for word, share in zip(WORDS, shares, strict=True)}
    scores = dict(zip(WORDS, SCALE.level_scores, strict=True))
    mean = sum(share * scores[word] for word, share in distribution.items())
    square = sum(share * scores[word] ** 2 for word, share in distribution.items())
    return Rating(mean, max(0.0, square - mean**2) ** 0.5, distribution, SCALE.score_range)


def number(mean: float, std: float | None = None) -> Rating:
    """A rating that is only a number."""
    return Rating(mean, std, None, SCALE.score_range)


shares = st.lists(st.floats(0, 1), min_size=5, max_size=5).filter(lambda values: sum(values) > 0.01)


@given(shares, shares)
def test_either_photo_is_better_for_certain(first: list[float], second: list[float]) -> None:
    """The probabilities of a pair and of its swap add up to one, and equal ratings are even."""
    one, other = rating(*first), rating(*second)
    assert probability_better(one, other) + probability_better(other, one) == pytest.approx(1)
    assert 0 <= probability_better(one, other) <= 1 + 1e-12
    assert probability_better(one, replace(one)) == pytest.approx(0.5)


def test_the_probability_is_how_often_a_vote_wins() -> None:
    """It is the share of pairs of votes that the first photo wins, draws counting half."""
    first, second = rating(1, 2, 3, 3, 1), rating(3, 2, 2, 2, 1)
    rng = random.Random(0)
    pairs = zip(
        rng.choices(range(5), list(first.distribution.values()), k=100_000),
        rng.choices(range(5), list(second.distribution.values()), k=100_000),
        strict=True,
    )
    share = sum((a > b) + (a == b) / 2 for a, b in pairs) / 100_000
    assert probability_better(first, second) == pytest.approx(share, abs=0.005)
    assert probability_better(rating(0, 0, 0, 0, 1), rating(1, 1, 1, 1, 0)) == 1


def test_numbers_are_compared_as_normal_distributions() -> None:
    """Without distributions mean and spread decide; without a spread the larger number is better for certain."""
    assert probability_better(number(6, 1.5), number(4, 2)) == pytest.approx(0.788145, abs=1e-5)  # Phi(2 / 2.5)
    assert probability_better(number(6, 1), rating(0, 1, 1, 0, 0)) > 0.8
    assert [probability_better(number(a), number(5)) for a in (4.9, 5, 5.1)] == [0, 0.5, 1]


def test_ratings_of_other_ranges_are_no_pair() -> None:
    """A score of 4 of 5 is not below one of 6 of 10."""
    with pytest.raises(RankingError, match=r"\(1.0, 10.0\).*\(0.0, 5.0\)"):
        probability_better(number(6), replace(number(4), score_range=(0.0, 5.0)))


def test_attributes_are_reasons_in_the_order_of_their_differences() -> None:
    """Each reason names the better photo, the attribute and both numbers; small differences are none."""
    first = {"light": number(7.2), "noise": number(3), "mood": number(5), "depth_of_field": number(4)}
    second = {"light": number(5.1), "noise": number(6), "mood": number(5.2), "depth_of_field": number(5)}
    assert attribute_reasons(first, second) == (
        "The second is better in freedom from noise: 6.0 against 3.0.",
        "The first is better in light: 7.2 against 5.1.",
        "The second is better in depth of field: 5.0 against 4.0.",
    )
    assert attribute_reasons(first, first) == ()
    assert 9 * LEAST_DIFFERENCE > 0.2 and len(attribute_reasons(first, first | {"mood": number(6)})) == 1


def test_measured_reasons_say_what_is() -> None:
    """Measurements are facts with their numbers, the most telling ones first, and none where photos hardly differ."""
    plain = {name: 0.0 for name in MEASURED_TRAITS} | {"brightness": 0.5, "sharpness": 3.0}
    assert measured_reasons(plain, plain) == ()
    other = plain | {"brightness": 0.3, "sharpness": 2.0}
    assert measured_reasons(other, plain) == (
        "The second is richer in fine detail (detail, 0 to about 4: 3.0 against 2.0).",
        "The second is brighter (mean brightness: 50% against 30%).",
    )
    far = {name: value + 100 * MEASURED_TRAITS[name].step for name, value in plain.items()}
    assert len(measured_reasons(far, plain)) == MOST_REASONS
    assert all(reason.startswith("The first is ") for reason in measured_reasons(far, plain))


def test_results_are_plain_json() -> None:
    """What a ranking and a comparison say survives JSON unchanged."""
    one, other = rating(1, 2, 3, 2, 1), rating(0, 1, 3, 2, 1)
    for result in (RankedPhoto(3, one, 0, True, None), Comparison(one, other, 0.25, ("It is so.",))):
        assert json.loads(json.dumps(result.to_dict())) == result.to_dict()
