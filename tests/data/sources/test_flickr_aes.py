"""FLICKR-AES in its public layout."""

import logging
from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError, Vote
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.flickr_aes import SCORES, SOURCE, TEST_WORKERS, VOTES
from source_checks import check_source, write_photo

TRAIN_PHOTOS = [f"farm1_262_{number}_b_0_f.jpg" for number in range(100, 122)]
TEST_PHOTOS = [f"farm4_3825_{number}_b_0_f.jpg" for number in range(200, 203)]
UNSCORED = "farm9_1_999_b_0_f.jpg"
TESTER, OTHERS = "A1TESTER", ["A2SOME", "A3SOME"]


def votes_of(photo: str) -> list[tuple[str, int]]:
    """2 and 5 of two workers, and 5 of the test worker on the test photos."""
    votes = [(OTHERS[0], 2), (OTHERS[1], 5)]
    return [*votes, (TESTER, 5)] if photo in TEST_PHOTOS else votes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """22 photos of other workers, three of the listed test worker, and one without a score; names begin with a space."""
    lines = [f"{worker},{photo},{vote}" for photo in [*TRAIN_PHOTOS, *TEST_PHOTOS, UNSCORED] for worker, vote in votes_of(photo)]
    (tmp_path / f" {VOTES}").write_text("worker, imagePair, score\n" + "\n".join(lines) + "\n")
    (tmp_path / f" {SCORES}").write_text("".join(f" {photo} 0.6125\n" for photo in [*TRAIN_PHOTOS, *TEST_PHOTOS]))
    (tmp_path / TEST_WORKERS).write_text(f"ID\n{TESTER}\n")
    for photo in [*TRAIN_PHOTOS, *TEST_PHOTOS, UNSCORED]:
        write_photo(tmp_path / "40K" / photo)
    return tmp_path


def test_counts_ranges_and_splits(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 20, "validation": 2, "test": 3})
    assert [record.image.name for record in found["test"]] == TEST_PHOTOS
    assert [record.image.name for record in found["validation"]] == [TRAIN_PHOTOS[0], TRAIN_PHOTOS[20]]
    record = found["train"][0]
    assert (record.question, record.range_low, record.range_high) == ("aesthetic", 1, 5)
    assert (record.mean, record.spread) == (3.5, 1.5)
    assert record.votes == [Vote("A2SOME", 2), Vote("A3SOME", 5)]
    # 2, 5, 5: squares of the distances to 4 are 4, 1, 1
    assert found["test"][0].mean == 4
    assert found["test"][0].spread == pytest.approx(2**0.5)


def test_names_without_the_space_are_read_too(root: Path) -> None:
    for name in (VOTES, SCORES):
        (root / f" {name}").rename(root / name)
    assert len(read_source(SOURCE, root, "train")[0]) == 20


def test_the_first_of_two_votes_counts(root: Path) -> None:
    with open(root / f" {VOTES}", "a") as file:
        file.write(f"{OTHERS[0]},{TRAIN_PHOTOS[1]},4\n")
    assert read_source(SOURCE, root, "train")[0][0].mean == 3.5


@pytest.mark.parametrize(("rated", "tested"), [(104, 0), (105, 105), (171, 171), (172, 0)])
def test_without_a_list_the_papers_description_tells_test_workers(
    root: Path, rated: int, tested: int, caplog: pytest.LogCaptureFixture
) -> None:
    (root / TEST_WORKERS).unlink()
    photos = [f"farm7_{number}.jpg" for number in range(rated)]
    with open(root / f" {VOTES}", "a") as votes, open(root / f" {SCORES}", "a") as scores:
        for photo in photos:
            votes.write(f"A4MANY,{photo},3\n")
            scores.write(f"{photo} 0.5\n")
            (root / "40K" / photo).touch()
    with caplog.at_level(logging.WARNING):
        train = read_source(SOURCE, root, "train")[0] + read_source(SOURCE, root, "validation")[0]
    assert len(train) == len(TRAIN_PHOTOS) + len(TEST_PHOTOS) + rated - tested
    assert f"{int(tested > 0)} workers rated 105 to 171 photos, but the paper tests on 37" in caplog.text


def test_a_wrong_vote_is_named(root: Path) -> None:
    with open(root / f" {VOTES}", "a") as file:
        file.write(f"A5,{TRAIN_PHOTOS[0]},five\n")
    with pytest.raises(DataError, match=rf"{VOTES}, line 57: score is 'five', expected a number"):
        read_source(SOURCE, root, "train")


def test_a_vote_out_of_range_is_named(root: Path) -> None:
    with open(root / f" {VOTES}", "a") as file:
        file.write(f"A5,{TRAIN_PHOTOS[1]},6\n")
    with pytest.raises(DataError, match=rf"{TRAIN_PHOTOS[1]} \(vote 6 of A5\)"):
        read_source(SOURCE, root, "train")


def test_a_missing_table_is_named(root: Path) -> None:
    (root / f" {SCORES}").unlink()
    with pytest.raises(DataError, match=f"{SCORES}: cannot be read"):
        read_source(SOURCE, root, "train")
