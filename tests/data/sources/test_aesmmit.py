"""AesMMIT in the layout that published training code reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm.data.record import DataError, Turn
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.aesmmit import SOURCE
from source_checks import check_source, write_photo


def entry(image: str, *texts: str) -> dict[str, Any]:
    """With the keys of the public table."""
    spoken = [{"from": ("human", "gpt")[index % 2], "value": text} for index, text in enumerate(texts)]
    return {"id": image, "image": image, "conversations": spoken, "type": "perception", "qtype": "open"}


ROWS = [
    entry("33.jpg", "Is the composition balanced?\n<image>", "Yes.", "Why?", "The tree stands in the left third."),
    entry("34.jpg", "<image>\nHow are the colours?", "Warm and in harmony."),
    entry("33.jpg", "<image>\nWhat mood has it?", "A calm one."),
    entry("36.jpg", "<image>\nIs it sharp?", "No."),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images, one of them with two conversations; by the hash of its name, 34.jpg is for validation."""
    (tmp_path / "AesMMIT_labels.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    for row in ROWS:
        write_photo(tmp_path / "images_21904" / row["image"])
    return tmp_path


def test_counts_and_turns(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 3, "validation": 1})
    assert [record.image.name for record in found["train"]] == ["33.jpg", "33.jpg", "36.jpg"]
    assert found["train"][0].image == root / "images_21904" / "33.jpg"
    assert found["train"][0].conversation == [
        Turn("user", "Is the composition balanced?"),
        Turn("assistant", "Yes."),
        Turn("user", "Why?"),
        Turn("assistant", "The tree stands in the left third."),
    ]
    assert found["train"][0].mean is None


def test_a_json_list_is_the_same(root: Path) -> None:
    lines = read_source(SOURCE, root, "train")[0]
    (root / "AesMMIT_labels.jsonl").unlink()
    (root / "AesMMIT_labels.json").write_text(json.dumps(ROWS))
    assert read_source(SOURCE, root, "train")[0] == lines


def test_a_wrong_line_is_named(root: Path) -> None:
    with open(root / "AesMMIT_labels.jsonl", "a") as file:
        file.write('\n{"image": "36.jpg", "conversations": []}\n')
    with pytest.raises(DataError, match=r"AesMMIT_labels.jsonl, line 6: 'conversations' is \[\], expected turns"):
        read_source(SOURCE, root, "train")
    with open(root / "AesMMIT_labels.jsonl", "w") as file:
        file.write("{no")
    with pytest.raises(DataError, match=r"AesMMIT_labels.jsonl, line 1: not JSON"):
        read_source(SOURCE, root, "train")


def test_a_missing_table_is_named(root: Path) -> None:
    (root / "AesMMIT_labels.jsonl").unlink()
    with pytest.raises(DataError, match=r"AesMMIT_labels.json: cannot be read"):
        read_source(SOURCE, root, "train")
