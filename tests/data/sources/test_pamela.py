"""PAMELA in the layout of its release."""

import json
from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError, Vote
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.pamela import SOURCE
from source_checks import check_source, write_photo


def rating(image: int, person: str, score: float) -> dict[str, object]:
    return {
        "participant_id": person,
        "image_id": image,
        "image_path": f"./images/{image:04d}.png",
        "original_score": score,
        "image_metadata": {"group": "landscape", "style": None, "type": "Photorealism"},
    }


FILES = {
    "pamela_train": [rating(1, "p1", 4), rating(1, "p2", 1), rating(2, "p1", 5), rating(1, "p1", 2)],
    "pamela_val_seen": [rating(3, "p1", 3), rating(3, "p2", 5)],
    # people who are not in the training file; one of them also rated a training image
    "pamela_val_unseen": [rating(3, "p8", 1), rating(1, "p8", 5)],
    "pamela_test_seen": [rating(4, "p2", 2)],
    "pamela_test_unseen": [rating(4, "p9", 4), rating(3, "p9", 5), rating(5, "p9", 1)],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five images: two for training, one for validation, two for the test."""
    (tmp_path / "annotations").mkdir()
    for name, rows in FILES.items():
        (tmp_path / "annotations" / f"{name}.json").write_text(json.dumps(rows))
    for image in range(1, 6):
        write_photo(tmp_path / "images" / f"{image:04d}.png")
    return tmp_path


def test_counts_ranges_and_splits(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 2, "validation": 1, "test": 2})
    record = found["train"][0]
    assert record.image == root / "images" / "0001.png"
    assert (record.question, record.range_low, record.range_high, record.category) == ("aesthetic", 1, 5, "landscape")
    assert (record.mean, record.spread) == (2.5, 1.5)
    # neither the second vote of p1 nor that of p8, who is held out
    assert record.votes == [Vote("p1", 4), Vote("p2", 1)]


def test_held_out_people_vote_on_held_out_images(root: Path) -> None:
    assert read_source(SOURCE, root, "validation")[0][0].votes == [Vote("p1", 3), Vote("p2", 5), Vote("p8", 1)]
    assert [record.votes for record in read_source(SOURCE, root, "test")[0]] == [[Vote("p2", 2), Vote("p9", 4)], [Vote("p9", 1)]]


def test_paths_from_the_archives_top_are_read(root: Path) -> None:
    path = root / "annotations" / "pamela_train.json"
    path.write_text(path.read_text().replace("./images", "PAMELA/images"))
    assert read_source(SOURCE, root, "train")[0][0].image == root / "images" / "0001.png"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"rows": []}, "pamela_train.json: expected a list of ratings"),
        ([{"participant_id": "p1", "image_path": "images/0001.png"}], "rating 1: no original_score"),
        ([{**rating(1, "p1", 4), "original_score": "good"}], "rating 1: original_score is 'good', expected a number"),
    ],
)
def test_wrong_files_are_named(rows: object, message: str, root: Path) -> None:
    (root / "annotations" / "pamela_train.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=message):
        read_source(SOURCE, root, "train")


def test_a_vote_out_of_range_is_named(root: Path) -> None:
    path = root / "annotations" / "pamela_test_unseen.json"
    path.write_text(json.dumps([rating(5, "p9", 7)]))
    with pytest.raises(DataError, match=r"0005.png \(mean 7, vote 7 of p9\)"):
        read_source(SOURCE, root, "test")
