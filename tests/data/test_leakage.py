"""A photo that is tested on is found among those that are trained on, even scaled, re-encoded or under another name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aesthetic_mllm.data.leakage import UnreadablePhoto, find_leaks, photo_hash, without_rows
from aesthetic_mllm.data.record import Record
from aesthetic_mllm.data.source import as_dataset
from aesthetic_mllm.editing.perceptual_hash import hash_distance
from aesthetic_mllm.processing.image_errors import ImageError


def photo(seed: int) -> Image.Image:
    """Smooth random shapes, unlike those of any other seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)


def records(folder: Path, photos: dict[str, Image.Image]) -> object:
    folder.mkdir()
    for name, image in photos.items():
        image.save(folder / name)
    return as_dataset([Record(folder / name, "some", "train") for name in photos])


def test_copies_are_found_and_others_are_not(tmp_path: Path) -> None:
    test = records(tmp_path / "test", {f"{seed}.png": photo(seed) for seed in range(5)})
    copies = {"small.png": photo(0).resize((100, 75)), "encoded.jpg": photo(1), "grey.png": photo(2).convert("L")}
    others = {f"{seed}.png": photo(seed) for seed in range(10, 30)}
    train = records(tmp_path / "train", copies | others)
    (leaks,) = find_leaks([train], [test])
    assert [(leak.train, leak.test) for leak in leaks] == [
        ("small.png", "0.png"),
        ("encoded.jpg", "1.png"),
        ("grey.png", "2.png"),
    ]
    kept = without_rows(train, [leak.row for leak in leaks])
    assert len(kept) == 20 and find_leaks([kept], [test]) == [[]]


def test_the_same_file_is_found_even_where_it_is_no_photo(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"no photo")
    both = as_dataset([Record(path, "some", "train")])
    unreadable: list[UnreadablePhoto] = []
    (leaks,) = find_leaks([both], [both], unreadable=unreadable)
    assert [(leak.row, leak.distance) for leak in leaks] == [(0, None)]
    assert [(photo.row, photo.error.source) for photo in unreadable] == [(0, str(path))]
    with pytest.raises(ImageError):
        photo_hash(str(path))


def test_banding_finds_what_comparing_all_pairs_finds(tmp_path: Path) -> None:
    """Whatever distance is allowed, exactly the photos within it are found."""
    rng = np.random.default_rng(3)
    base = photo(1)
    noisy = {
        f"{number}.png": Image.fromarray(
            np.clip(np.asarray(base, np.int16) + rng.integers(-12 * number, 12 * number + 1, (240, 320, 3)), 0, 255).astype(
                np.uint8
            )
        )
        for number in range(12)
    }
    train = records(tmp_path / "train", noisy)
    test = records(tmp_path / "test", {"base.png": base})
    wanted = photo_hash(str(tmp_path / "test" / "base.png"))
    distances = {name: hash_distance(photo_hash(str(tmp_path / "train" / name)), wanted) for name in noisy}
    for limit in (0, 2, 6, 12):
        (leaks,) = find_leaks([train], [test], limit)
        assert {leak.train: leak.distance for leak in leaks} == {name: d for name, d in distances.items() if d <= limit}
    with pytest.raises(ValueError, match="max_distance must be from 0 to 15, got 16"):
        find_leaks([train], [test], 16)
