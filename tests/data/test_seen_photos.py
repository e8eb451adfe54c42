"""A report says how many of its photos the start was trained on."""

import hashlib
from pathlib import Path

from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.checkpoints.names import WEIGHTS
from aesthetic_mllm.data.seen_photos import TRAINED_ON, seen_by_start

PHOTOS = range(7)


def test_the_embedded_checkpoint_says_what_it_was_trained_on() -> None:
    """A new one must be declared; it has seen no photo that is evaluated on."""
    assert hashlib.sha256((embedded_checkpoint() / WEIGHTS).read_bytes()).hexdigest() in TRAINED_ON
    for split, seen in (("train", 7), ("validation", 0), ("test", 0)):
        found = seen_by_start(embedded_checkpoint(), split, {"biq2021": PHOTOS, "oasis_beauty-2": PHOTOS})
        assert found == dict.fromkeys(("biq2021", "oasis_beauty-2"), {"photos": 7, "seen": seen})
    assert seen_by_start(embedded_checkpoint(), "train", {"ava": PHOTOS})["ava"]["seen"] == 0


def test_what_is_not_known_is_not_said(tmp_path: Path) -> None:
    """Of a user's own photos, and of checkpoints that were not declared."""
    unknown = {"photos": 7, "seen": None}
    assert seen_by_start(embedded_checkpoint(), "validation", {"own": PHOTOS})["own"] == unknown
    (tmp_path / WEIGHTS).write_bytes(b"other weights")
    for start in (tmp_path, tmp_path / "missing", None):
        assert seen_by_start(start, "validation", {"biq2021": PHOTOS})["biq2021"] == unknown
