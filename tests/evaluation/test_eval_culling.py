"""Series made by known edits, and the counting of what culling finds in them."""

import random

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm.evaluation.eval_culling import (
    FAINT,
    KINDS,
    Share,
    Shot,
    bracket,
    burst,
    evaluate_culling,
    focus_stack,
    make_shoot,
    panorama,
)
from aesthetic_mllm.inference.capture import Capture
from aesthetic_mllm.inference.culling import FrameNote, RatedFrame
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.rating_scale import Rating


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    image = load_image("examples/photos/coffee.jpg")
    image.thumbnail((240, 240))
    return image


def test_a_shoot_is_the_same_for_the_same_seed(photo: Image.Image) -> None:
    """One series of each kind and lone photos, in times that rise; another seed gives another shoot."""
    one, same, other = (make_shoot([photo] * 6, seed) for seed in (1, 1, 2))
    assert [shot.image.tobytes() for shot in one] == [shot.image.tobytes() for shot in same]
    assert [shot.image.tobytes() for shot in one] != [shot.image.tobytes() for shot in other]
    kinds = [next(shot.kind for shot in one if shot.series == number) for number in range(6)]
    assert sorted(kinds) == sorted([*KINDS, "single", "single"])
    times = [shot.time for shot in one if shot.time is not None]
    assert times == sorted(times) and len(times) == len(one)


@pytest.mark.parametrize("seed", range(4))
def test_frames_are_what_they_say(photo: Image.Image, seed: int) -> None:
    """Damaged frames are counted, exposures rise evenly, crops overlap, and focus takes its sharpness from elsewhere."""
    frames = burst(photo, random.Random(seed))
    assert sum(bool(shot.damage) for shot in frames) == 1 and 3 <= len(frames) <= 6
    spoilt = burst(photo, random.Random(seed), FAINT, all_but_one=True)
    assert sum(not shot.damage for shot in spoilt) == 1
    stops = sorted(shot.stops for shot in bracket(photo, random.Random(seed)))
    assert len(stops) in (3, 5) and len(set(np.diff(stops))) == 1
    assert len({shot.image.width for shot in panorama(photo, random.Random(seed))}) <= 2
    stack = [np.asarray(shot.image, dtype=float) for shot in focus_stack(photo, random.Random(seed))]
    assert all((first != second).mean() > 0.1 for first, second in zip(stack, stack[1:], strict=False))


def frame(scene: int, mean: float = 5.0, detail: float = 8.0) -> RatedFrame:
    """A frame of one of several scenes that have nothing in common."""
    chance = np.random.default_rng(scene)
    note = FrameNote(
        int(chance.integers(1 << 63)),
        chance.integers(0, 256, (60, 90), dtype=np.uint8),
        np.full((8, 8), detail),
        np.full((8, 8), detail),
        1.0,
        0.0,
        0.0,
    )
    return RatedFrame(Rating(mean, 1.0, None, (1.0, 10.0)), note, Capture())


def test_results_are_counted() -> None:
    """A burst that is found, with the damaged frame rated higher but blurred; a panorama that comes out as lone photos."""
    empty = Image.new("RGB", (1, 1))
    shots = [Shot(empty, 0, "burst"), Shot(empty, 0, "burst", "defocus+"), Shot(empty, 1, "single")]
    shots += [Shot(empty, 2, "panorama")] * 3
    frames = [frame(1), frame(1, mean=5.5, detail=5.0), frame(2), frame(3), frame(4), frame(5)]
    results = evaluate_culling([(shots, frames)])
    assert (results.found["burst"], results.found["panorama"], results.alone) == (Share(1, 1), Share(0, 1), Share(1, 1))
    assert results.found["bracket"] == Share(0, 0) and len(results.mistaken["panorama"]) == 1
    assert (results.picked, results.by_rating, results.by_measuring) == (Share(1, 1), Share(0, 1), Share(1, 1))
    assert results.chance == 0.5 and results.belonging_rejected == Share(0, 3)
    assert (results.damaged_rejected, results.undamaged_rejected) == (Share(1, 1), Share(0, 1))


def test_shares_come_with_their_interval() -> None:
    assert str(Share(9, 10)) == "9/10 (60% to 98%)"
