"""The perceptual hash is imagehash's, and says which photos look alike."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm.editing.perceptual_hash import BITS, hash_distance, perceptual_hash
from photo_files import scene

SAMPLES = Path(__file__).parents[2] / "examples" / "photos"
# By imagehash 4.3.2, phash.
KNOWN = {
    "astronaut": 0xC2924C5532BDDFC8,
    "camera": 0xBFF1C1C0434E8CBC,
    "chelsea": 0xB15FE6465121175E,
    "clock_motion": 0xD993669C993364CC,
    "coffee": 0xBB8320376C0F3637,
    "rocket": 0xC0371BEC1BE51267,
}


@pytest.mark.parametrize("name", KNOWN)
def test_it_is_the_hash_that_others_compute(name: str) -> None:
    """Bit for bit what imagehash says of the sample photos, so that hashes can be exchanged."""
    with Image.open(SAMPLES / f"{name}.jpg") as photo:
        assert perceptual_hash(photo) == KNOWN[name]


def test_copies_are_near_and_other_photos_far() -> None:
    """Scaling and grey leave nearly all bits, another photo about half of them."""
    with Image.open(SAMPLES / "coffee.jpg") as photo:
        value = perceptual_hash(photo)
        small = photo.resize((photo.width // 3, photo.height // 3))
    assert hash_distance(perceptual_hash(small), value) <= 2
    assert hash_distance(perceptual_hash(small.convert("L")), value) <= 2
    others = [hash_distance(other, value) for name, other in KNOWN.items() if name != "coffee"]
    assert min(others) > 16 and max(others) < BITS


def test_a_photo_without_detail_has_no_chance_bits() -> None:
    """All flat photos of some light have one hash, whatever their size: rounding errors decide nothing."""
    sizes = [(1, 1), (50, 50), (31, 77)]
    hashes = {perceptual_hash(Image.new("RGB", size, shade)) for size in sizes for shade in ("white", "grey", (9, 80, 33))}
    assert len(hashes) == 1 and hash_distance(0, hashes.pop()) == 1
    assert hash_distance(perceptual_hash(scene()), perceptual_hash(Image.fromarray(np.zeros((64, 96, 3), np.uint8)))) > 16
