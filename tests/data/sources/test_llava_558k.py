"""LLaVA-558K in its public layout."""

import json
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm.data.record import DataError, Turn
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.llava_558k import SOURCE
from source_checks import check_source, write_photo

TABLE = "blip_laion_cc_sbu_558k.json"


def entry(number: int, question: str) -> dict[str, Any]:
    """As in the public table."""
    return {
        "id": f"00453{number:04d}",
        "image": f"00453/00453{number:04d}.jpg",
        "conversations": [
            {"from": "human", "value": question},
            {"from": "gpt", "value": f"photo {number} of a lake "},
        ],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three photos for training and, by the hash of its name, number 23 for validation."""
    rows = [
        entry(20, "Render a clear and concise summary of the photo.\n<image>"),
        entry(23, "<image>\nWhat is this?"),
        entry(24, "<image>\nWhat is in the photo?"),
        entry(25, "Give a short caption.\n<image>"),
    ]
    (tmp_path / TABLE).write_text(json.dumps(rows))
    for row in rows:
        write_photo(tmp_path / "images" / row["image"])
    return tmp_path


def change(root: Path, **values: Any) -> None:
    """Changes the first entry."""
    rows = json.loads((root / TABLE).read_text())
    rows[0] |= values
    (root / TABLE).write_text(json.dumps(rows))


def test_counts_and_turns_without_marks(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 3, "validation": 1})
    assert found["train"][0].image == root / "images" / "00453" / "004530020.jpg"
    assert found["train"][0].conversation == [
        Turn("user", "Render a clear and concise summary of the photo."),
        Turn("assistant", "photo 20 of a lake"),
    ]
    assert found["train"][1].conversation[0] == Turn("user", "What is in the photo?")
    assert found["validation"][0].conversation[0] == Turn("user", "What is this?")
    assert all((record.mean, record.question) == (None, "") for record in found["train"])


def test_a_turn_of_the_wrong_speaker_is_named(root: Path) -> None:
    change(root, conversations=[{"from": "gpt", "value": "a"}, {"from": "human", "value": "b"}])
    with pytest.raises(DataError, match=rf"{TABLE}, entry 1, turn 1: 'from' is 'gpt', expected 'human'"):
        read_source(SOURCE, root, "train")


def test_a_question_without_answer_is_named(root: Path) -> None:
    change(root, conversations=[{"from": "human", "value": "What is it?"}])
    with pytest.raises(DataError, match=rf"{TABLE}, entry 1: 'conversations' is .*, expected turns of human and gpt by turns"):
        read_source(SOURCE, root, "train")


def test_a_turn_that_is_nothing_but_a_mark_is_named(root: Path) -> None:
    change(root, conversations=[{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "a lake"}])
    with pytest.raises(DataError, match=rf"{TABLE}, entry 1, turn 1: 'value' is '<image>', expected a text"):
        read_source(SOURCE, root, "train")


def test_an_entry_without_image_is_named(root: Path) -> None:
    change(root, image=None)
    with pytest.raises(DataError, match=rf"{TABLE}, entry 1: 'image' is None, expected the name of an image"):
        read_source(SOURCE, root, "train")


def test_a_missing_or_wrong_table_is_named(root: Path) -> None:
    (root / TABLE).write_text("{}")
    with pytest.raises(DataError, match=f"{TABLE}: dict in it, expected a list"):
        read_source(SOURCE, root, "train")
    (root / TABLE).unlink()
    with pytest.raises(DataError, match=f"{TABLE}: cannot be read"):
        read_source(SOURCE, root, "train")
