"""ICAA17K in its public layout."""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.icaa17k import SOURCE, validates
from source_checks import check_source, write_photo

HEADER = "ID,color,MOS,probability"
TRAIN = [f"complementary/orange_blue/photo{number}.jpg" for number in range(60)]
TEST = [
    "complementary/orange_blue/juiedesai19391601268.jpg,5.637041,6.720342636108398,0.6935510635375977",
    "complementary/orange_blue/162814817@N0627431714937.jpg,6.263246,4.283255577087402,0.6248894333839417",
]
COPY = "complementary/orange_green/juiedesai19391601268.jpg"  # of a test photo, in the training table


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """60 photos of the training table, two of the test table, one of which lies in a second folder of the training table too."""
    rows = [
        HEADER,
        *(f"{photo},6.25,{4 + index / 100},0.7" for index, photo in enumerate(TRAIN)),
        f"{COPY},5.637041,6.720343,0.69",
    ]
    (tmp_path / "1train.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "1test.csv").write_text("\n".join([HEADER, *TEST]) + "\n")
    for photo in (*TRAIN, COPY, *(row.split(",")[0] for row in TEST)):
        write_photo(tmp_path / photo)
    return tmp_path


def test_counts_ranges_and_splits(root: Path) -> None:
    validation = sum(validates(Path(photo).name) for photo in TRAIN)
    assert 0 < validation < 10
    found = check_source(SOURCE, root, {"train": len(TRAIN) - validation, "validation": validation, "test": 2})
    record = found["test"][0]
    assert (record.question, record.range_low, record.range_high) == ("aesthetic", 0, 10)
    assert record.mean == pytest.approx(6.720342636108398)
    assert record.spread is None
    (color,) = record.attributes
    assert (color.name, color.range_low, color.range_high) == ("color", 0, 10)
    assert color.mean == pytest.approx(5.637041)
    assert record.category == "complementary/orange_blue"
    trained = {record.image.name for split in ("train", "validation") for record in found[split]}
    assert not trained & {record.image.name for record in found["test"]}


def test_copies_of_a_photo_are_in_one_split(root: Path) -> None:
    copies = [photo.replace("orange_blue", "orange_violet") for photo in TRAIN]
    with open(root / "1train.csv", "a") as file:
        file.writelines(f"{photo},6.25,4,0.7\n" for photo in copies)
    for photo in copies:
        write_photo(root / photo)
    names = {split: {record.image.name for record in read_source(SOURCE, root, split)[0]} for split in ("train", "validation")}
    assert names["train"] and names["validation"] and not names["train"] & names["validation"]


def test_a_missing_column_is_named(root: Path) -> None:
    (root / "1test.csv").write_text("ID,colour,MOS\n")
    with pytest.raises(DataError, match=r"1test.csv: no column 'color' \(is it 'colour'\?\)"):
        read_source(SOURCE, root, "train")


def test_a_wrong_score_is_named(root: Path) -> None:
    (root / "1test.csv").write_text(f"{HEADER}\n{TEST[0]}\ncomplementary/orange_blue/other.jpg,none,5,0.6\n")
    with pytest.raises(DataError, match=r"1test.csv, line 3: color is 'none', expected a number"):
        read_source(SOURCE, root, "test")


def test_a_missing_table_is_named(root: Path) -> None:
    (root / "1train.csv").unlink()
    with pytest.raises(DataError, match="1train.csv: cannot be read"):
        read_source(SOURCE, root, "validation")
