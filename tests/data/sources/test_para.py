"""PARA in its public layout."""

import csv
from pathlib import Path

import pytest

from aesthetic_mllm.data.record import AttributeRating, DataError, Vote
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.para import SOURCE
from source_checks import check_source, write_photo

HALVES = ["1.0", "1.5", "2.0", "2.5", "3.0", "3.5", "4.0", "4.5", "5.0"]
MEANS = {
    "qualityScore": 3.5,
    "compositionScore": 3.25,
    "colorScore": 3.0,
    "dofScore": 2.75,
    "contentScore": 4.0,
    "lightScore": 2.5,
    "contentPreference": 3.75,
    "willingnessToShare": 2.25,
    "isObjectEmphasis": 0.5,
}
USERS = ["Ab4f2c1", "B0c93d2", "C77e1a0", "D5512bf"]


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def giaa_row(session: str, name: str) -> dict[str, object]:
    """Four votes: 2.0, 3.0, 3.0 and 4.0."""
    row: dict[str, object] = {"imageName": name, "sessionId": session, "semantic": "nightScene"}
    row |= {f"aestheticScore_{half}": {"2.0": 1, "3.0": 2, "4.0": 1}.get(half, 0) for half in HALVES}
    row |= {"aestheticScore_mean": 3.0, "aestheticScore_std": 0.7071}
    for stem, mean in MEANS.items():
        row |= {f"{stem}_1": 1, f"{stem}_mean": mean, f"{stem}_std": 0.5}
    return row


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """21 photos to train on and two to test on, in two sessions, with four raters."""
    photos = [(f"session{1 + index % 2}", f"iaa_pub{index}_.jpg") for index in range(1, 24)]
    for session, name in photos:
        write_photo(tmp_path / "imgs" / session / name)
    rows = [giaa_row(*photo) for photo in photos]
    write_rows(tmp_path / "annotation" / "PARA-GiaaTrain.csv", rows[:21])
    write_rows(tmp_path / "annotation" / "PARA-GiaaTest.csv", rows[21:])
    votes = [
        {"sessionId": session, "imageName": name, "userId": user, "aestheticScore": score, "qualityScore": 3.0}
        for session, name in photos
        for user, score in zip(USERS, [2.0, 3.0, 3.0, 4.0], strict=True)
    ]
    write_rows(tmp_path / "annotation" / "PARA-Images.csv", votes)
    return tmp_path


def test_counts_ranges_and_splits(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 19, "validation": 2, "test": 2})
    record = found["test"][0]
    assert record.image == root / "imgs" / "session1" / "iaa_pub22_.jpg"
    assert (record.question, record.range_low, record.range_high, record.category) == ("aesthetic", 1, 5, "nightScene")
    assert (record.mean, record.spread) == (3.0, 0.7071)
    assert record.histogram == [0, 0, 1, 0, 2, 0, 1, 0, 0]
    assert record.votes == [Vote(user, score) for user, score in zip(USERS, [2.0, 3.0, 3.0, 4.0], strict=True)]


def test_attributes_have_their_own_ranges(root: Path) -> None:
    attributes = read_source(SOURCE, root, "validation")[0][0].attributes
    assert attributes[0] == AttributeRating("quality", 3.5, 1, 5)
    assert attributes[3] == AttributeRating("depth of field", 2.75, 1, 5)
    assert attributes[-1] == AttributeRating("object emphasis", 0.5, 0, 1)
    assert len(attributes) == len(MEANS)


def test_a_row_without_an_aesthetic_score_is_no_vote(root: Path) -> None:
    path = root / "annotation" / "PARA-Images.csv"
    path.write_text(path.read_text().replace(f"session1,iaa_pub22_.jpg,{USERS[0]},2.0,", f"session1,iaa_pub22_.jpg,{USERS[0]},,"))
    assert [vote.rater for vote in read_source(SOURCE, root, "test")[0][0].votes] == USERS[1:]


def test_a_wrong_vote_is_named(root: Path) -> None:
    with open(root / "annotation" / "PARA-Images.csv", "a") as file:
        file.write("session1,iaa_pub22_.jpg,E1,good,3.0\n")
    with pytest.raises(DataError, match=r"PARA-Images.csv, line 94: aestheticScore is 'good', expected a number"):
        read_source(SOURCE, root, "test")


def test_a_missing_column_is_named_with_its_neighbour(root: Path) -> None:
    path = root / "annotation" / "PARA-GiaaTest.csv"
    path.write_text(path.read_text().replace("dofScore_mean", "dofScore_average"))
    with pytest.raises(DataError, match=r"PARA-GiaaTest.csv: no column 'dofScore_mean' \(is it '.*'\?\)"):
        read_source(SOURCE, root, "test")
