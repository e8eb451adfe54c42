"""PCCD in its public layout."""

import json
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm.data.record import AttributeRating, Comment, DataError, Vote
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.pccd import SOURCE
from source_checks import check_source, write_photo


def judgement(title: str, overall: str, score: list[str], **texts: str) -> dict[str, Any]:
    """With the keys of the public table."""
    empty = dict.fromkeys(
        (
            "general_impression",
            "subject_of_photo",
            "composition",
            "use_of_camera",
            "depth_of_field",
            "color_lighting",
            "focus",
        ),
        "",
    )
    return {
        "category": "nature-photography",
        "description": "What the photographer says.",
        "title": title,
        "photographer": "A. Photographer",
        "overall": overall,
        "site": f"http://reviews.gurushots.com/photo-critique/nature-photography/{title}",
        "score": score,
        "image_url": "http://reviews.gurushots.com/upload/full_size_1.jpg",
        "reviewer": "A. Reviewer",
        **empty,
        **texts,
    }


ROWS = [
    judgement(
        "14_self-portrait-1",
        "8",
        ["8", "8", "7", "N", "9", "8", "N"],
        composition="No central subject. ",
        depth_of_field="Sharp from edge to edge.",
        general_impression="Unique.",
    ),
    judgement("14_winter-wonderland-1", "8.6", ["8", "10", "7", "9", "9", "8", "9"], focus="It is sharp!"),
    judgement("16_think-less-imagine-more", "8", ["8", "8", "8", "8", "5", "9", "10"], focus="Seems perfect."),
    judgement("16_beautiful-ruins", "N", ["N"] * 7, color_lighting="Looks underexposed."),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four judgements; the images have no suffix, as in the archive."""
    (tmp_path / "guru.json").write_text(json.dumps(ROWS))
    for row in ROWS:
        write_photo(tmp_path / "images" / "full" / "photo.jpg").rename(tmp_path / "images" / "full" / row["title"])
    return tmp_path


def change(root: Path, number: int, **values: Any) -> None:
    """Changes the entry with a number, from 1."""
    rows = json.loads((root / "guru.json").read_text())
    rows[number - 1] |= values
    (root / "guru.json").write_text(json.dumps(rows))


def test_counts_ratings_and_comments(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 2, "validation": 1, "test": 1})
    record = found["train"][0]
    assert record.image == root / "images" / "full" / "14_self-portrait-1"
    # the mean of 8, 8, 7, 9 and 8
    assert (record.question, record.mean, record.range_low, record.range_high) == ("aesthetic", 8.0, 1, 10)
    assert record.spread is None and record.category == "nature-photography"
    assert record.votes == [Vote("A. Reviewer", 8.0)]
    assert record.attributes == [
        AttributeRating("general_impression", 8.0, 1, 10),
        AttributeRating("subject_of_photo", 8.0, 1, 10),
        AttributeRating("composition", 7.0, 1, 10),
        AttributeRating("depth_of_field", 9.0, 1, 10),
        AttributeRating("color_lighting", 8.0, 1, 10),
    ]
    assert record.comments == [
        Comment("Unique.", "general_impression"),
        Comment("No central subject.", "composition"),
        Comment("Sharp from edge to edge.", "depth_of_field"),
    ]
    assert found["validation"][0].mean == 8.6
    assert found["validation"][0].attributes[1] == AttributeRating("subject_of_photo", 10.0, 1, 10)


def test_a_judgement_without_an_overall_score_has_no_rating(root: Path) -> None:
    record = read_source(SOURCE, root, "train")[0][1]
    assert (record.mean, record.range_low, record.question) == (None, None, "")
    assert not record.votes and not record.attributes
    assert record.comments == [Comment("Looks underexposed.", "color_lighting")]


def test_the_table_may_have_its_other_name_and_the_images_a_suffix(root: Path) -> None:
    (root / "guru.json").rename(root / "raw.json")
    image = root / "images" / "full" / "14_self-portrait-1"
    image.rename(image.with_name("14_self-portrait-1.jpg"))
    assert read_source(SOURCE, root, "train")[0][0].image.name == "14_self-portrait-1.jpg"


def test_a_photo_of_two_themes_is_in_one_split(root: Path) -> None:
    change(root, 1, title="13_winter-wonderland-1")
    write_photo(root / "images" / "full" / "13_winter-wonderland-1.jpg")
    found = [record.image.name for record in read_source(SOURCE, root, "validation")[0]]
    assert found == ["13_winter-wonderland-1.jpg", "14_winter-wonderland-1"]


def test_a_score_that_is_no_number_is_named(root: Path) -> None:
    change(root, 1, score=["8", "8", "good", "N", "9", "8", "N"])
    with pytest.raises(DataError, match=r"guru.json, entry 1 \(14_self-portrait-1\): composition is 'good', expected a number"):
        read_source(SOURCE, root, "train")
    change(root, 1, score=["8", "8"])
    with pytest.raises(DataError, match=r"guru.json, entry 1 .*: 'score' is \['8', '8'\], expected 7 scores"):
        read_source(SOURCE, root, "train")


def test_a_score_out_of_range_is_named(root: Path) -> None:
    change(root, 1, overall="11")
    with pytest.raises(DataError, match=r"1 record has wrong values: 14_self-portrait-1 \(mean 11, vote 11"):
        read_source(SOURCE, root, "train")


def test_a_missing_key_is_named(root: Path) -> None:
    rows = json.loads((root / "guru.json").read_text())
    del rows[0]["use_of_camera"]
    (root / "guru.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=r"guru.json, entry 1: no 'use_of_camera' in it"):
        read_source(SOURCE, root, "train")


def test_a_missing_table_is_named(root: Path) -> None:
    (root / "guru.json").unlink()
    with pytest.raises(DataError, match=r"raw.json: cannot be read"):
        read_source(SOURCE, root, "train")
