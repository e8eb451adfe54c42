"""EVA in its public layout."""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.eva import SOURCE
from source_checks import check_source, write_photo

HEADER = "image_id=user_id=score=difficulty=visual=composition=quality=semantic=vote_time=1=2=3=4"
VOTES = (
    "132=E136=7=3=3=4=2=1=12=1=1=0=0",
    "376=E136=5=3=2=2=2=2=9=0=0=1=0",
    "132=E148=9=4=4=4=3==31=1=0=0=1",
    "132=C76=5.0=2=2=1=4=2=8=0=1=0=0",
    "580=C76=10=4=4=4=4=4=8=1=1=1=1",
    "71=E136=0=1=1=1=1=1=8=0=0=0=0",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two photos for training, with three votes and one, one for the test, one for validation."""
    data = tmp_path / "data"
    data.mkdir()
    data.joinpath("votes_filtered.csv").write_text("\n".join([HEADER, *VOTES]) + "\n")
    data.joinpath("image_content_category.csv").write_text(
        '"image_id","sort"\n"71","5"\n"132","3"\n"376","6"\n"580","2"\n"759","5"\n'
    )
    for number in (71, 132, 376, 580):
        write_photo(tmp_path / "images" / "EVA_together" / f"{number}.jpg")
    return tmp_path


def test_counts_ranges_and_splits(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 2, "validation": 1, "test": 1})
    record = found["train"][0]
    assert (record.question, record.range_low, record.range_high) == ("aesthetic", 0, 10)
    # 7, 9 and 5
    assert record.mean == pytest.approx(7)
    assert record.spread == pytest.approx((8 / 3) ** 0.5)
    assert list(record.histogram) == [0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0]
    assert [(vote.rater, vote.value) for vote in record.votes] == [("E136", 7), ("E148", 9), ("C76", 5)]
    assert {attribute.name: attribute.mean for attribute in record.attributes} == pytest.approx(
        {"visual": 3, "composition": 3, "quality": 3, "semantic": 1.5}
    )
    assert {(attribute.range_low, attribute.range_high) for attribute in record.attributes} == {(1, 4)}
    assert record.category == "human"
    assert [record.image.name for record in found["validation"]] == ["71.jpg"]
    assert [record.image.name for record in found["test"]] == ["580.jpg"]


def test_a_wrong_score_is_named(root: Path) -> None:
    with open(root / "data" / "votes_filtered.csv", "a") as file:
        file.write("132=E150=11=4=4=4=4=4=8=1=1=1=1\n")
    with pytest.raises(DataError, match=r"votes_filtered.csv, line 8: score is '11', expected a whole number from 0 to 10"):
        read_source(SOURCE, root, "train")


def test_a_wrong_attribute_is_named(root: Path) -> None:
    with open(root / "data" / "votes_filtered.csv", "a") as file:
        file.write("132=E150=10=4=4=4=4=2.5=8=1=1=1=1\n")
    with pytest.raises(DataError, match=r"votes_filtered.csv, line 8: semantic is '2.5', expected a whole number from 1 to 4"):
        read_source(SOURCE, root, "train")


def test_another_separator_is_told(root: Path) -> None:
    path = root / "data" / "votes_filtered.csv"
    path.write_text(path.read_text().replace("=", ","))
    with pytest.raises(DataError, match=r"votes_filtered.csv: no column 'image_id'"):
        read_source(SOURCE, root, "train")


def test_an_unknown_category_is_named(root: Path) -> None:
    (root / "data" / "image_content_category.csv").write_text('"image_id","sort"\n"71","7"\n')
    with pytest.raises(DataError, match=r"image_content_category.csv, line 2: sort is '7', expected one of 1, 2"):
        read_source(SOURCE, root, "train")


def test_a_missing_table_is_named(root: Path) -> None:
    (root / "data" / "votes_filtered.csv").unlink()
    with pytest.raises(DataError, match="votes_filtered.csv: cannot be read"):
        read_source(SOURCE, root, "train")
