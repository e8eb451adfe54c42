"""DPC-Captions in its public layout, beside AVA's lists."""

import json
from pathlib import Path

import pytest

from aesthetic_mllm.data.record import Comment, DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.dpc_captions import SOURCE
from source_checks import check_source, write_photo

TABLES = {
    "color_lighting": {"101.jpg": ["Lovely light.", "The sky is too blue."], "200.jpg": ["Warm colours."]},
    "composition": {"300.jpg": ["Centred, which is static."], "101.jpg": [" Strong diagonals. "]},
    "depth_and_focus": {"311.jpg": ["Not sharp enough."], "102.jpg": []},
    "impression_and_subject": {"100.jpg": ["Nice subject but a bit too dark."]},
    "use_of_camera": {"200.jpg": ["A slower shutter would help."]},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two photos of AVA's training list (the first of which is for validation), one of its test list, two that AVA lacks."""
    lists = tmp_path / "aesthetics_image_lists"
    lists.mkdir()
    lists.joinpath("generic_ls_train.jpgl").write_text("100.jpg\n101.jpg\n102.jpg\n")
    lists.joinpath("generic_test.jpgl").write_text("200.jpg\n201.jpg\n")
    for aspect, table in TABLES.items():
        (tmp_path / f"{aspect}.json").write_text(json.dumps(table, indent=1))
        for name in table:
            write_photo(tmp_path / "images" / name)
    return tmp_path


def test_counts_and_comments_by_aspect(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 2, "validation": 2, "test": 1})
    assert [record.image.name for record in found["train"]] == ["101.jpg", "300.jpg"]
    # 311 by the hash of its id, since AVA lacks it
    assert [record.image.name for record in found["validation"]] == ["311.jpg", "100.jpg"]
    assert found["train"][0].comments == [
        Comment("Lovely light.", "color_lighting"),
        Comment("The sky is too blue.", "color_lighting"),
        Comment("Strong diagonals.", "composition"),
    ]
    assert found["test"][0].comments == [
        Comment("Warm colours.", "color_lighting"),
        Comment("A slower shutter would help.", "use_of_camera"),
    ]
    assert found["train"][0].mean is None


def test_a_missing_aspect_is_named(root: Path) -> None:
    (root / "depth_and_focus.json").unlink()
    with pytest.raises(DataError, match=r"depth_and_focus.json: cannot be read"):
        read_source(SOURCE, root, "train")


def test_a_missing_list_of_ava_is_named(root: Path) -> None:
    (root / "aesthetics_image_lists" / "generic_test.jpgl").unlink()
    with pytest.raises(DataError, match=r"generic_test.jpgl: cannot be read"):
        read_source(SOURCE, root, "train")


def test_a_wrong_value_is_named_by_file_and_photo(root: Path) -> None:
    (root / "composition.json").write_text(json.dumps({"300.jpg": "Centred."}))
    with pytest.raises(DataError, match=r"composition.json: '300.jpg' is 'Centred.', expected a list of comments"):
        read_source(SOURCE, root, "train")
    (root / "composition.json").write_text("[]")
    with pytest.raises(DataError, match=r"composition.json: list in it, expected an object"):
        read_source(SOURCE, root, "train")
