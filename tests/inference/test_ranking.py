"""Photos in order: by their ratings, bursts together, and without holding the photos."""

import gc
import logging
import random
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm import AestheticAssessor, ImageError, RatingScaleError
from aesthetic_mllm.editing.perceptual_hash import hash_distance, perceptual_hash
from aesthetic_mllm.inference.ranking import (
    BURST_DISTANCE,
    RatedPhoto,
    group_bursts,
    order_photos,
)
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.rating_scale import Rating
from aesthetic_mllm.tasks.ranking import RankingError, probability_better
from lively_assessor import lively_assessor
from photo_files import BAD, GOOD, write_photos
from synthetic_photos import scene_photo

TOLERANCE = 9e-4  # 1e-4 of the range


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return lively_assessor()


def photo(seed: int, shift: int = 0) -> Image.Image:
    """Smooth random shapes, unlike those of any other seed; `shift` moves the camera by so many hundredths of the frame."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    wide = Image.fromarray(noise).resize((240, 160), Image.Resampling.BICUBIC)
    return wide.crop((20 + 2 * shift, 20, 220 + 2 * shift, 140))


def rated(mean: float, value: int) -> RatedPhoto:
    return RatedPhoto(Rating(mean, 1.0, None, (1.0, 10.0)), value)


def test_ratings_are_those_of_score(assessor: AestheticAssessor, tmp_path: Path) -> None:
    """Any kind of file gets the rating that `score` gives it and the hash of its photo; a bad one its error, in its place."""
    good = write_photos(tmp_path, GOOD)
    bad = write_photos(tmp_path, {name: write for name, (write, _) in BAD.items()})
    paths = [path for pair in zip(good, bad, strict=False) for path in pair]
    for path, result in zip(paths, assessor.rated_photos(paths, "quality", batch_size=3), strict=True):
        if path in bad:
            assert isinstance(result, ImageError) and result.source == str(path)
        else:
            assert result.rating.mean == pytest.approx(assessor.score(path, "quality").mean, abs=TOLERANCE), path
            assert result.hash == perceptual_hash(load_image(path)), path


def test_photos_come_best_first(assessor: AestheticAssessor) -> None:
    """Every photo is there once, with its own rating, by falling mean, and with its lead over the next one."""
    photos = [photo(seed) for seed in range(7)]
    ranked = assessor.rank(iter(photos), "quality", batch_size=2)
    assert sorted(place.index for place in ranked) == list(range(7))
    for place, following in zip(ranked, [*ranked[1:], None], strict=True):
        assert place.rating.mean == pytest.approx(assessor.score(photos[place.index], "quality").mean, abs=TOLERANCE)
        if following is None:
            assert place.ahead_of_next is None
        else:
            assert place.rating.mean >= following.rating.mean
            assert place.ahead_of_next == probability_better(place.rating, following.rating)


def test_equal_photos_keep_their_order() -> None:
    """Of equal ratings the earlier photo comes first, and neither is ahead."""
    ranked = order_photos({4: rated(5, 0), 1: rated(5, 2**64 - 1), 7: rated(6, 0xFFFFFFFF)})
    assert [place.index for place in ranked] == [7, 1, 4]
    assert ranked[1].ahead_of_next == pytest.approx(0.5)


def test_bursts_are_groups_with_one_best_photo(assessor: AestheticAssessor) -> None:
    """Shots of one scene share a group, those of another do not, and the best-rated shot of each is marked."""
    photos = [photo(seed, shift) for shift in (0, 2, 4) for seed in (1, 2)]
    ranked = assessor.rank(photos)
    assert {tuple(sorted(p.index for p in ranked if p.group == group)) for group in (0, 1)} == {(0, 2, 4), (1, 3, 5)}
    assert ranked[0].group == 0 and ranked[0].best_of_group
    for group in (0, 1):
        assert [p.best_of_group for p in ranked if p.group == group] == [True, False, False]


def test_groups_are_all_that_hang_together() -> None:
    """A photo belongs to a group if it is like one of it; compared pair by pair, on chains and on chance."""
    chain = [0, 0b1111111111, 0b11111111111111111111, 0b111111111111111111111111111111]
    assert group_bursts(chain, 10) == [0, 0, 0, 0]
    assert group_bursts(chain[::3], 10) == [0, 1] and group_bursts(chain, 9) == [0, 1, 2, 3]
    assert group_bursts([], 10) == []
    rng = random.Random(5)
    hashes = [rng.getrandbits(64) for _ in range(6)]
    hashes += [value ^ sum(1 << bit for bit in rng.sample(range(64), rng.randint(2, 14))) for value in hashes * 6]
    groups = group_bursts(hashes, BURST_DISTANCE)
    near = {(a, b) for a in range(42) for b in range(42) if hash_distance(hashes[a], hashes[b]) <= BURST_DISTANCE}
    assert all(groups[a] == groups[b] for a, b in near)
    for group in set(groups):  # and nothing else: from one photo of a group all others are reached by near ones
        members = {index for index, other in enumerate(groups) if other == group}
        reached = {min(members)}
        while more := {b for a, b in near if a in reached} - reached:
            reached |= more
        assert reached == members
    with pytest.raises(RankingError, match="from 0 to 63 bits, got 64"):
        group_bursts(hashes, 64)


def test_the_best_of_each_burst_is_picked(assessor: AestheticAssessor) -> None:
    """Of k photos no two are of one burst, each is its burst's best, and each lead is over the next that is picked."""
    photos = [photo(seed, shift) for seed in (1, 2, 3) for shift in (0, 2)]
    best = [place for place in assessor.rank(photos) if place.best_of_group]
    picked = assessor.pick(photos, 2)
    assert [place.index for place in picked] == [place.index for place in best[:2]]
    assert picked[0].ahead_of_next == probability_better(picked[0].rating, picked[1].rating) and picked[1].ahead_of_next is None
    with pytest.raises(RankingError, match="4 photos cannot be picked of 6: without near-duplicates they are 3"):
        assessor.pick(photos, 4)
    with pytest.raises(RankingError, match="at least 1, got 0"):
        assessor.pick(photos, 0)


def test_no_photo_is_held(assessor: AestheticAssessor) -> None:
    """While a long input is ranked, photos that are rated are gone: never more than two batches are alive."""
    alive: list[weakref.ref] = []
    most = 0

    def photos() -> Iterator[Image.Image]:
        nonlocal most
        for seed in range(24):
            gc.collect()
            most = max(most, sum(reference() is not None for reference in alive))
            image = photo(seed)
            alive.append(weakref.ref(image))
            yield image

    assert len(assessor.rank(photos(), batch_size=3)) == 24
    assert 0 < most <= 6


def test_bad_photos_stop_a_ranking_or_are_left_out(
    assessor: AestheticAssessor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By default the first bad photo is an error; with "skip" it is named, and the places are still those of the input."""
    photos = [tmp_path / "missing.jpg", photo(1), photo(2)]
    with pytest.raises(ImageError, match="missing"):
        assessor.rank(photos)
    with caplog.at_level(logging.WARNING):
        assert {place.index for place in assessor.rank(photos, on_error="skip")} == {1, 2}
    assert "missing.jpg" in caplog.text
    with pytest.raises(RankingError, match="'return'"):
        assessor.rank(photos, on_error="return")
    with pytest.raises(RatingScaleError, match="'humour'"):
        assessor.rank(["never read.jpg"], "humour")


def test_a_comparison_is_of_the_two_ratings(assessor: AestheticAssessor) -> None:
    """Both ratings are those of `score`, and swapping the photos swaps the result."""
    first, second = photo(1), photo(2)
    comparison = assessor.compare(first, second, "quality")
    assert comparison.first.mean == pytest.approx(assessor.score(first, "quality").mean, abs=TOLERANCE)
    assert comparison.second.mean == pytest.approx(assessor.score(second, "quality").mean, abs=TOLERANCE)
    swapped = assessor.compare(second, first, "quality")
    assert swapped.probability_first == pytest.approx(1 - comparison.probability_first, abs=1e-4)


def test_attributes_are_the_reasons_where_there_are_any() -> None:
    """A checkpoint with attributes gives its own attributes' ratings as reasons."""
    assessor = lively_assessor(attributes=True)
    first, second = photo(1), photo(2).point(lambda value: value // 4)
    rated = assessor.attributes([first, second])
    differences = {name: rated[0][name].mean - rated[1][name].mean for name in rated[0]}
    most = max(differences, key=lambda name: abs(differences[name]))
    reasons = assessor.compare(first, second).reasons
    assert abs(differences[most]) > 0.45 and reasons
    assert reasons[0].startswith(f"The {'first' if differences[most] > 0 else 'second'} is better in {most.replace('_', ' ')}")


def test_measurements_are_the_reasons_without_attributes(
    assessor: AestheticAssessor,
) -> None:
    """Else what was measured is told, whatever size the photos have."""
    bright = scene_photo(480, 360)
    dark = bright.point(lambda value: value // 3)
    reasons = assessor.compare(dark, bright).reasons
    assert any(reason.startswith("The second is brighter (mean brightness: ") for reason in reasons)
    assert assessor.compare(bright, bright.resize((240, 180), Image.Resampling.LANCZOS)).reasons == ()
