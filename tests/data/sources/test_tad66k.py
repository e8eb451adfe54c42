"""TAD66K in its public layout."""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.tad66k import SOURCE
from source_checks import check_source, write_photo


def write_table(path: Path, rows: list[tuple[str, str]]) -> None:
    """A table of photos and scores."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("image,score\n" + "".join(f"{name},{score}\n" for name, score in rows))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """22 photos of the training table in two themes, two of the test table, one of them in no theme."""
    train = [(f"{number}_photo.jpg", f"{4 + number / 20:.2f}") for number in range(22)]
    test = [("100_photo.jpg", "2.5"), ("101_photo.jpg", "9.125")]
    labels = tmp_path / "labels"
    write_table(labels / "merge" / "train.csv", train)
    write_table(labels / "merge" / "test.csv", test)
    write_table(labels / "unmerge" / "train" / "flower.csv", train[:12])
    write_table(labels / "unmerge" / "train" / "architecture.csv", train[11:])
    write_table(labels / "unmerge" / "test" / "flower.csv", test[:1])
    for name, _ in (*train, *test):
        write_photo(tmp_path / "TAD66K" / name)
    return tmp_path


def test_counts_ranges_and_splits(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 20, "validation": 2, "test": 2})
    record = found["train"][0]
    assert (record.question, record.range_low, record.range_high) == ("aesthetic", 0, 10)
    assert record.image.name == "1_photo.jpg" and record.mean == pytest.approx(4.05)
    assert record.spread is None
    assert [record.image.name for record in found["validation"]] == ["0_photo.jpg", "20_photo.jpg"]
    assert [record.mean for record in found["test"]] == [2.5, 9.125]


def test_themes(root: Path) -> None:
    category = {record.image.name: record.category for split in SOURCE.splits for record in read_source(SOURCE, root, split)[0]}
    assert category["10_photo.jpg"] == "flower"
    assert category["11_photo.jpg"] == "architecture"  # of two
    assert category["100_photo.jpg"] == "flower"
    assert category["101_photo.jpg"] == ""


def test_a_missing_table_is_named(root: Path) -> None:
    (root / "labels" / "merge" / "test.csv").unlink()
    with pytest.raises(DataError, match="test.csv: cannot be read"):
        read_source(SOURCE, root, "test")


def test_a_missing_column_is_named(root: Path) -> None:
    (root / "labels" / "merge" / "train.csv").write_text("image,scores\n0_photo.jpg,5\n")
    with pytest.raises(DataError, match=r"train.csv: no column 'score' \(is it 'scores'\?\)"):
        read_source(SOURCE, root, "train")


def test_a_wrong_score_is_named(root: Path) -> None:
    write_table(root / "labels" / "merge" / "test.csv", [("100_photo.jpg", "2.5"), ("101_photo.jpg", "")])
    with pytest.raises(DataError, match=r"test.csv, line 3: score is '', expected a number"):
        read_source(SOURCE, root, "test")
    write_table(root / "labels" / "merge" / "test.csv", [("100_photo.jpg", "12.5")])
    with pytest.raises(DataError, match=r"wrong values: 100_photo.jpg \(mean 12.5\)"):
        read_source(SOURCE, root, "test")
