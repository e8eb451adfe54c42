"""What makes a profile and what does not; what follows from it."""

import numpy as np
import pytest

from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.tasks.personalizing import (
    TRAITS,
    Profile,
    ProfileError,
    Reliability,
    balanced,
    guessed_range,
    tastes,
)

SCALE = RatingScale()


def rated(*values: float, **options: object) -> Profile:
    return Profile.from_ratings([(f"p{place}", value) for place, value in enumerate(values)], "aesthetic", **options)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ((3, 3, 3), {}, "All 3 photos are rated 3"),
        ((3,), {}, "only one rating, 3"),
        ((2, 3, 4), {}, "from 2 to 4, which does not tell their range"),
        ((1, 9), {"source_range": (1, 5)}, "rating 9 lies outside the range 1 to 5"),
        ((1, 5), {"source_range": (5, 1)}, "the best rating must be above the worst"),
        ((1, float("nan")), {}, "rating of holiday.jpg is nan"),
    ],
)
def test_ratings_that_make_no_profile(values: tuple, options: dict, message: str) -> None:
    """Each error names the thing and the value."""
    with pytest.raises(ProfileError, match=message):
        rated(*values, names={"p1": "holiday.jpg"}, **options)


def test_a_photo_has_one_rating() -> None:
    """The same photo with the same rating counts once; with another it is an error that names photo and ratings."""
    assert len(Profile.from_ratings([("a", 1), ("b", 5), ("a", 1)], "aesthetic")) == 2
    with pytest.raises(ProfileError, match=r"a\.jpg is rated 1 and 5"):
        Profile.from_ratings([("a", 1), ("a", 5)], "aesthetic", names={"a": "a.jpg"})
    with pytest.raises(ProfileError, match="preferred to itself"):
        Profile.from_pairs([("a", "a")], "aesthetic")


@pytest.mark.parametrize(
    ("values", "found"), [((0.0, 0.4, 1.0), (0, 1)), ((1, 5, 3), (1, 5)), ((1, 10), (1, 10)), ((100, 0), (0, 100))]
)
def test_a_range_is_guessed_where_both_ends_are_used(values: tuple, found: tuple) -> None:
    assert guessed_range(values) == found


def test_ratings_are_mapped_to_the_scale_and_the_range_is_remembered() -> None:
    """Whatever the range, the worst and the best rating become the scale's ends."""
    for low, high in ((1, 5), (0, 100)):
        profile = rated(low, (low + high) / 2, high)
        assert profile.scores(SCALE).tolist() == [1, 5.5, 10] and profile.source_range == (low, high)
        assert Profile.from_dict(profile.to_dict()) == profile


def test_update_prefers_the_newer_rating() -> None:
    """Photos stay in their order, new ones follow, and what was rated again has its newer rating."""
    newer = Profile.from_ratings([("p2", 1), ("x", 5)], "aesthetic")
    updated = rated(1, 2, 5).updated(newer)
    assert dict(zip(updated.photos, updated.values, strict=True)) == {"p0": 1, "p1": 2, "p2": 1, "x": 5}
    assert list(updated.photos) == ["p0", "p1", "p2", "x"]
    with pytest.raises(ProfileError, match="give both on one range"):
        rated(1, 5).updated(Profile.from_ratings([("x", 0), ("y", 100)], "aesthetic"))
    with pytest.raises(ProfileError, match="a profile of ratings|A profile of ratings"):
        rated(1, 5).updated(Profile.from_likes(["x"], "aesthetic"))


def test_pairs_and_likes_are_evidence_too() -> None:
    """What was preferred rises and what was not falls; a surprising preference says more; likes rise alike."""
    pairs = Profile.from_pairs([("a", "b"), ("c", "d")], "aesthetic")
    evidence = pairs.evidence(SCALE, np.array([3.0, 8.0, 8.0, 3.0]))
    assert evidence[0] > evidence[2] > 0 > evidence[3] > evidence[1]
    assert pairs.scores(SCALE)[0] > pairs.scores(SCALE)[1] and not pairs.has_level
    likes = Profile.from_likes(["a", "b", "a"], "aesthetic")
    assert len(likes) == 2 and len(set(likes.evidence(SCALE, np.array([3.0, 8.0])))) == 1


def test_balanced_examples_hold_all_levels_in_any_order() -> None:
    """Few of many levels and few of the rare ones: every level is there, and the order of the input does not choose."""
    levels = [2] * 20 + [0, 4, 4]
    keys = [f"{(place * 7) % 23:02d}" for place in range(23)]
    chosen = balanced(levels, keys, 6)
    assert [levels[place] for place in chosen].count(2) == 3 and {levels[place] for place in chosen} == {0, 2, 4}
    back = balanced(levels[::-1], keys[::-1], 6)
    assert {keys[::-1][place] for place in back} == {keys[place] for place in chosen}
    assert balanced(levels, keys, 30) == list(range(23))


def test_reliability_widens_with_fewer_ratings() -> None:
    """The same agreement is less sure with fewer ratings; with too few nothing is said."""
    rng = np.random.default_rng(0)
    given = rng.normal(size=100)
    near = given + 0.5 * rng.normal(size=100)
    many, few = Reliability.of(given, near, given), Reliability.of(given[:10], near[:10], given[:10])
    assert many.interval[0] > few.interval[0] and many.interval[1] - many.interval[0] < few.interval[1] - few.interval[0]
    assert Reliability.of(given[:3], near[:3], given[:3]).interval == (-1, 1)
    assert "rate more" in str(Reliability.of(given[:3], near[:3], given[:3]))
    chance = Reliability.of(given, rng.normal(size=100), given)
    assert chance.interval[0] < 0 < chance.interval[1] and "may be chance" in str(chance)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_known_taste_is_named(sign: int) -> None:
    """Of somebody who rates by warmth alone it says that they like warm, or cool, colours; of chance it says nothing."""
    rng = np.random.default_rng(1)
    general = rng.normal(size=12)
    traits = {name: rng.normal(size=12) for name in TRAITS}
    found = tastes(general + sign * 2 * traits["warmth"] + 0.2 * rng.normal(size=12), general, traits)
    assert found[0].trait == "warmth" and found[0].likes == TRAITS["warmth"][0 if sign > 0 else 1]
    chance = [tastes(rng.normal(size=12), general, traits) for _ in range(50)]
    assert sum(map(bool, chance)) <= 8
    assert tastes(general[:4], general[:4], {"warmth": traits["warmth"][:4]}) == ()
