"""REAL-CUR in its public layout.

`check_source` takes a photo away and expects an error. Here the folders are the only record of the ratings, and nothing tells of
a photo that was taken away; the other laws are checked one by one.
"""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import RECORD_FEATURES, DataError, Vote
from aesthetic_mllm.data.source import open_source, read_source
from aesthetic_mllm.data.sources.real_cur import SOURCE
from source_checks import write_photo


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two albums with three photos and one; notes and hidden folders are no photos."""
    for name in ("anna/1/IMG_0001.JPG", "anna/5/IMG_0002.jpg", "anna/5/IMG_0003.png", "ben/4/IMG_0001.jpg"):
        write_photo(tmp_path / name)
    (tmp_path / "anna" / "5" / "notes.txt").write_text("mine")
    (tmp_path / "anna" / "5" / ".hidden.jpg").touch()
    (tmp_path / ".cache" / "2").mkdir(parents=True)
    (tmp_path / "README.txt").write_text("albums")
    return tmp_path


def test_ratings_raters_and_rows(root: Path) -> None:
    records, report = read_source(SOURCE, root, "test")
    assert report.summary() == "nothing was left out"
    names = ["anna/1/IMG_0001.JPG", "anna/5/IMG_0002.jpg", "anna/5/IMG_0003.png", "ben/4/IMG_0001.jpg"]
    assert [str(record.image.relative_to(root)) for record in records] == names
    assert [record.mean for record in records] == [1, 5, 5, 4]
    votes = [vote for record in records for vote in record.votes]
    assert votes == [Vote("anna", 1), Vote("anna", 5), Vote("anna", 5), Vote("ben", 4)]
    for record in records:
        assert (record.data_set, record.split, record.question) == ("real_cur", "test", "aesthetic")
        assert (record.range_low, record.range_high, record.spread) == (1, 5, None)
        assert record.licence and not record.faults()
    dataset = open_source(SOURCE, root, "test")
    assert dataset.features == RECORD_FEATURES and len(dataset) == 4
    assert dataset[0]["image"].mode == "RGB"


def test_only_testing_is_a_split(root: Path) -> None:
    with pytest.raises(DataError, match="no split 'train'; choose one of test"):
        read_source(SOURCE, root, "train")


def test_a_missing_folder_and_one_without_albums_are_errors(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DataError, match="no folder"):
        read_source(SOURCE, root / "nowhere", "test")
    with pytest.raises(DataError, match="no records of the split .* below .*; read from ALBUM/RATING/NAME.jpg"):
        read_source(SOURCE, tmp_path_factory.mktemp("empty"), "test")


def test_a_folder_that_is_no_rating_is_named(root: Path) -> None:
    (root / "ben" / "best").mkdir()
    with pytest.raises(DataError, match=r"ben/best: a folder in an album is 'best', expected a rating, 1 to 5"):
        read_source(SOURCE, root, "test")


def test_a_rating_out_of_range_is_named(root: Path) -> None:
    (root / "ben" / "4").rename(root / "ben" / "7")
    with pytest.raises(DataError, match=r"IMG_0001.jpg \(mean 7, vote 7 of ben\)"):
        read_source(SOURCE, root, "test")
