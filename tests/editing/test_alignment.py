"""Frames laid over each other."""

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.editing.alignment import align, grey_copy, overlapping, stops_between
from aesthetic_mllm.editing.tiles import GRID, detail_and_noise
from aesthetic_mllm.processing.image_loading import load_image

PHOTOS = ("chelsea", "coffee", "rocket", "astronaut")


def sample(name: str) -> Image.Image:
    return load_image(f"examples/photos/{name}.jpg")


def crop(photo: Image.Image, left: float, top: float, wide: float = 0.6, high: float = 0.6) -> Image.Image:
    width, height = photo.size
    return photo.crop((round(left * width), round(top * height), round((left + wide) * width), round((top + high) * height)))


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(("across", "down"), [(0.0, 0.0), (0.15, 0.05), (-0.3, 0.1)])
def test_moves_are_found(name: str, across: float, down: float) -> None:
    """In either direction, to a pixel of the small copy."""
    photo = sample(name)
    first, second = crop(photo, 0.3, 0.2), crop(photo, 0.3 + across, 0.2 + down)
    found = align(grey_copy(first), grey_copy(second))
    assert found.across == pytest.approx(across / 0.6, abs=0.02) and found.down == pytest.approx(down / 0.6, abs=0.02)
    assert found.correlation > 0.6 and found.overlap == pytest.approx((1 - abs(found.across)) * (1 - abs(found.down)), abs=0.02)


@pytest.mark.parametrize("stops", [-2.0, 1.0, 2.0])
def test_exposures_are_told_apart_and_still_aligned(stops: float) -> None:
    photo = sample("chelsea")
    first, second = grey_copy(photo), grey_copy(get_edit("exposure").apply(photo, stops))
    found = align(first, second)
    assert found.shift == 0 and found.correlation > 0.7
    assert stops_between(*overlapping(first, second, found)) == pytest.approx(stops, abs=0.25)


def test_other_photos_do_not_fit() -> None:
    """Nor does a photo without any structure, which is no error."""
    copies = [grey_copy(sample(name)) for name in PHOTOS]
    scores = [align(one, two).correlation for one in copies for two in copies if one is not two]
    assert max(scores) < 0.4
    even = grey_copy(Image.new("RGB", (300, 200), (90, 90, 90)))
    assert align(even, copies[0]).correlation < 0.4


def test_overlapping_parts_show_the_same() -> None:
    wide = np.arange(40 * 60).reshape(40, 60) % 251
    first, second = wide[:30, :40], wide[5:35, 10:50]
    found = align(first, second)
    one, two = overlapping(first, second, type(found)(10 / 40, 5 / 30, 0.6, 1.0))
    assert np.array_equal(one, two) and one.shape == (25, 30)


def test_noise_is_no_detail_and_blur_takes_it() -> None:
    photo = sample("coffee")
    sharp, clean = detail_and_noise(photo)
    blurred, _ = detail_and_noise(get_edit("defocus").apply(photo, 2.2))
    noisy, noise = detail_and_noise(get_edit("noise").apply(photo, 0.1))
    assert sharp.shape == (GRID, GRID) and noise > clean + 2
    assert sharp.mean() - blurred.mean() > 2 and abs(noisy.mean() - sharp.mean()) < sharp.mean() - blurred.mean()
