"""AVA-Captions in its public layout, beside AVA's lists."""

import json
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm.data.record import Comment, DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.ava_captions import SOURCE
from source_checks import check_source, write_photo

TABLE = "CLEAN_AVA_FULL_AFTER_SUBJECTIVE_CLEANING.json"


def photo(number: int, split: str, *raw: str) -> dict[str, Any]:
    """As clean_comment_json.py and clean_using_subjectivity.py write it."""
    sentences = [
        {"raw": text, "clean": text.lower(), "imgid": number, "sentid": "", "tokens": [], "unigrams": [], "bigrams": []}
        for text in raw
    ]
    return {
        "filename": f"{number}.jpg",
        "imgid": number,
        "split": split,
        "cocoid": number,
        "sentids": "",
        "filepath": "",
        "sentences": sentences,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four photos of AVA's training list, two of its test list (one said to be for training), one in neither."""
    lists = tmp_path / "aesthetics_image_lists"
    lists.mkdir()
    lists.joinpath("generic_ls_train.jpgl").write_text("".join(f"{number}.jpg\n" for number in range(100, 104)))
    lists.joinpath("generic_test.jpgl").write_text("200.jpg\n201.jpg\n")
    photos = [
        photo(100, "train", "A fine portrait in soft light."),
        photo(101, "test", "I like the S-curve, at 1/60 s.", " Too dark in the corners. "),
        photo(200, "train", "Lovely reflection in the lake."),
        photo(102, "val", "The horizon leans to the left."),
        photo(103, "train"),
        photo(201, "test", "Good use of negative space here."),
        photo(300, "train", "Nice bokeh behind the flower."),
    ]
    (tmp_path / TABLE).write_text(json.dumps({"images": photos, "dataset": "AVA"}))
    for entry in photos:
        write_photo(tmp_path / "images" / entry["filename"])
    return tmp_path


def rewrite(root: Path, number: int, change: dict[str, Any]) -> None:
    """Changes the entry with a number, from 1."""
    table = json.loads((root / TABLE).read_text())
    table["images"][number - 1] |= change
    (root / TABLE).write_text(json.dumps(table))


def test_counts_and_comments(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 2, "validation": 1, "test": 2})
    first = found["train"][0]
    assert first.image == root / "images" / "101.jpg"
    assert first.comments == [Comment("I like the S-curve, at 1/60 s."), Comment("Too dark in the corners.")]
    assert (first.mean, first.question, first.conversation) == (None, "", ())
    assert [record.image.stem for record in found["validation"]] == ["100"]


def test_a_photo_that_ava_tests_on_is_never_for_training(root: Path) -> None:
    names = {split: {record.image.stem for record in read_source(SOURCE, root, split)[0]} for split in SOURCE.splits}
    assert names == {"train": {"101", "102"}, "validation": {"100"}, "test": {"200", "201"}}


def test_without_raw_text_the_clean_one_is_taken(root: Path) -> None:
    rewrite(root, 2, {"sentences": [{"clean": "i like the curve"}]})
    assert read_source(SOURCE, root, "train")[0][0].comments == [Comment("i like the curve")]


def test_a_sentence_without_text_is_named(root: Path) -> None:
    rewrite(root, 2, {"sentences": [{"tokens": ["soft"]}]})
    with pytest.raises(
        DataError, match=rf"{TABLE}, image 2: 'sentences' holds .*tokens.*, expected a text under 'raw' or 'clean'"
    ):
        read_source(SOURCE, root, "train")


def test_a_wrong_name_or_list_is_named(root: Path) -> None:
    rewrite(root, 2, {"sentences": "soft"})
    with pytest.raises(DataError, match=rf"{TABLE}, image 2: 'sentences' is 'soft', expected a list"):
        read_source(SOURCE, root, "train")
    rewrite(root, 1, {"filename": 100})
    with pytest.raises(DataError, match=rf"{TABLE}, image 1: 'filename' is 100, expected a name"):
        read_source(SOURCE, root, "train")
    (root / TABLE).write_text("[]")
    with pytest.raises(DataError, match="no list 'images'"):
        read_source(SOURCE, root, "train")


def test_a_missing_table_is_named(root: Path) -> None:
    (root / TABLE).unlink()
    with pytest.raises(DataError, match=f"{TABLE}: cannot be read"):
        read_source(SOURCE, root, "train")
