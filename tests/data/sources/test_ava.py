"""AVA in its public layout."""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.ava import SOURCE
from source_checks import check_source, write_photo


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """22 photos of the training list, two of the test list, and one in neither."""
    lists = tmp_path / "aesthetics_image_lists"
    lists.mkdir()
    train, test = range(100, 122), range(200, 202)
    lists.joinpath("generic_ls_train.jpgl").write_text("".join(f"{number}.jpg\n" for number in train))
    lists.joinpath("generic_test.jpgl").write_text("".join(f"{number}.jpg\n" for number in test))
    lines = []
    for index, number in enumerate([*train, *test, 300], start=1):
        votes = [0, 1, 5, 17, 38, 36, 15, 6, 5, 1]
        lines.append(" ".join(map(str, [index, number, *votes, 1, 22, 1396])))
        write_photo(tmp_path / "images" / f"{number}.jpg")
    (tmp_path / "AVA.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_counts_ranges_and_splits(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 20, "validation": 2, "test": 2})
    record = found["train"][0]
    assert (record.question, record.range_low, record.range_high) == ("aesthetic", 1, 10)
    # 124 votes, counted by hand
    assert record.mean == pytest.approx((2 + 15 + 68 + 190 + 216 + 105 + 48 + 45 + 10) / 124)
    assert record.spread == pytest.approx(1.4218, abs=1e-4)


def test_a_short_line_is_named(root: Path) -> None:
    with open(root / "AVA.txt", "a") as file:
        file.write("26 400 1 2 3\n")
    with pytest.raises(DataError, match=r"AVA.txt, line 26: 5 numbers, expected 15"):
        read_source(SOURCE, root, "train")


def test_a_missing_list_is_named(root: Path) -> None:
    (root / "aesthetics_image_lists" / "generic_test.jpgl").unlink()
    with pytest.raises(DataError, match="generic_test.jpgl: cannot be read"):
        read_source(SOURCE, root, "test")
