"""AADB in its public layout."""

import csv
from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.aadb import SOURCE
from source_checks import check_source, write_photo

FILES = (
    "BalacingElements",
    "ColorHarmony",
    "Content",
    "DoF",
    "Light",
    "MotionBlur",
    "Object",
    "Repetition",
    "RuleOfThirds",
    "Symmetry",
    "VividColor",
)
TRAIN = (
    "farm1_450_20131843366_5df791e881_b.jpg",
    "farm4_3805_19470426814_baae1eb396_b.jpg",
    "farm1_262_20009074919_cdd9c88d_b.jpg",
)
VALIDATION = ("farm1_441_19450000000_aaaaaaaaaa_b.jpg", "farm1_487_20167490236_ae920475e2_b.jpg")
TEST = ("farm1_487_20167490236_ae920475e2_b.jpg", "farm6_5555_20000000000_bbbbbbbbbb_b.jpg")  # the first is in validation too


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three photos for training, two for validation, two of the new test list, one of which the validation list has too."""
    labels = tmp_path / "imgListFiles_label"
    labels.mkdir()
    for name, photos in (("Train", TRAIN), ("Validation", VALIDATION), ("TestNew", TEST)):
        for index, attribute in enumerate(FILES):
            values = [f"{photo} {index / 10 - 0.5:.4f}\n" for photo in photos]
            labels.joinpath(f"imgList{name}Regression_{attribute}.txt").write_text("".join(values))
        scores = [f"{photo} 0.{5 + index}50\n" for index, photo in enumerate(photos)]
        labels.joinpath(f"imgList{name}Regression_score.txt").write_text("".join(scores))
    for photo in (*TRAIN, *VALIDATION):
        write_photo(tmp_path / "datasetImages_originalSize" / photo)
    for photo in TEST:
        write_photo(tmp_path / "AADB_newtest_originalSize" / photo)
    return tmp_path


def write_answers(path: Path, ratings: dict[str, str]) -> None:
    """The survey's raw answers: each person rates the first photo and nine others that are in no list."""
    numbers = range(1, 11)
    columns = ["HITId", "WorkerId", *(f"Input.image_url{n}" for n in numbers), *(f"Answer.overallScore{n}" for n in numbers)]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        for worker, rating in ratings.items():
            urls = ["https://farm1.staticflickr.com/450/20131843366_5df791e881_b.jpg"]
            urls += [f"https://farm9.staticflickr.com/1/{n}_c_b.jpg" for n in numbers[1:]]
            writer.writerow(["3ABC", worker, *urls, rating, *("4" for _ in numbers[1:])])


def test_counts_ranges_and_splits(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 3, "validation": 1, "test": 2})
    record = found["train"][1]
    assert (record.question, record.range_low, record.range_high) == ("aesthetic", 0, 1)
    assert record.mean == pytest.approx(0.65)
    assert record.spread is None and not record.votes
    assert len(record.attributes) == 11
    attribute = record.attributes[0]
    assert (attribute.name, attribute.range_low, attribute.range_high) == ("balancing elements", -1, 1)
    assert attribute.mean == pytest.approx(-0.5)
    assert record.attributes[10].name == "vivid color" and record.attributes[10].mean == pytest.approx(0.5)
    assert [record.image.name for record in found["validation"]] == [VALIDATION[0]]
    assert {record.image.parent.name for record in found["test"]} == {"AADB_newtest_originalSize"}


def test_single_votes(root: Path) -> None:
    write_answers(root / "AllinAll.csv", {"A1": "5", "A2": "3", "A3": "1", "A4": "3", "A5": "0"})
    record, other, _ = read_source(SOURCE, root, "train")[0]
    assert [(vote.rater, vote.value) for vote in record.votes] == [("A1", 1.0), ("A2", 0.5), ("A3", 0.0), ("A4", 0.5)]
    # mean 0.5, so the variance is (0.25 + 0 + 0.25 + 0) / 4
    assert record.spread == pytest.approx(0.125**0.5)
    assert other.spread is None and not other.votes


def test_a_wrong_vote_is_named(root: Path) -> None:
    write_answers(root / "AllinAll.csv", {"A1": "5", "A2": "7"})
    with pytest.raises(DataError, match=r"AllinAll.csv, line 3: Answer.overallScore1 is 7, expected 1 to 5"):
        read_source(SOURCE, root, "train")


def test_photos_of_the_test_are_found_with_their_score_before_the_name_or_among_all(root: Path) -> None:
    own = root / "AADB_newtest_originalSize"
    (own / TEST[0]).unlink()
    (own / TEST[1]).rename(own / f"0.650_{TEST[1]}")
    found = [record.image for record in read_source(SOURCE, root, "test")[0]]
    assert found == [root / "datasetImages_originalSize" / TEST[0], own / f"0.650_{TEST[1]}"]


def test_a_wrong_score_is_named(root: Path) -> None:
    path = root / "imgListFiles_label" / "imgListTrainRegression_score.txt"
    path.write_text(f"{TRAIN[0]} 0.5\n{TRAIN[1]} high\n")
    with pytest.raises(DataError, match=r"imgListTrainRegression_score.txt, line 2: the value is 'high'"):
        read_source(SOURCE, root, "train")
    path.write_text(f"{TRAIN[0]}\n")
    with pytest.raises(DataError, match=r"imgListTrainRegression_score.txt, line 1: 'farm1_450.*, expected a photo's name"):
        read_source(SOURCE, root, "train")


def test_a_score_out_of_range_is_named(root: Path) -> None:
    (root / "imgListFiles_label" / "imgListTrainRegression_score.txt").write_text(f"{TRAIN[0]} 1.5\n")
    with pytest.raises(DataError, match=r"wrong values: farm1_450_20131843366_5df791e881_b.jpg \(mean 1.5\)"):
        read_source(SOURCE, root, "train")


def test_a_missing_attribute_is_named(root: Path) -> None:
    path = root / "imgListFiles_label" / "imgListTrainRegression_DoF.txt"
    path.write_text(f"{TRAIN[0]} 0.5\n")
    with pytest.raises(DataError, match=r"imgListTrainRegression_DoF.txt: no line for farm4_3805"):
        read_source(SOURCE, root, "train")
    path.unlink()
    with pytest.raises(DataError, match=r"imgListTrainRegression_DoF.txt: cannot be read"):
        read_source(SOURCE, root, "train")
