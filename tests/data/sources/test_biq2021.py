"""BIQ2021 in the layout of its release and in that of an image folder."""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.biq2021 import SOURCE, TEST, TRAIN, subset_of
from source_checks import check_source, write_photo

# By their hashes 11, 14, 15 of the first 20 of ss03 are for validation.
TRAIN_NUMBERS, TEST_NUMBERS = range(1, 21), range(7805, 7807)
VALIDATION_NUMBERS = (11, 14, 15)
FIRST = "ss03_1.jpg"  # `check_source` searches for the first photo's name as a pattern, in which parentheses are none


def photo_name(number: int) -> str:
    return FIRST if number == TRAIN_NUMBERS[0] else f"ss03 ({number}).jpg"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """20 photos to train on and two to test on; the training table has two columns without names or values."""
    train = [f"{photo_name(number)},0.{8400 + number},," for number in TRAIN_NUMBERS]
    test = [f"{photo_name(number)},0.0000" for number in TEST_NUMBERS]
    (tmp_path / TRAIN).write_text("\n".join(["Image Name,MOS,,", *train]) + "\n")
    (tmp_path / TEST).write_text("\n".join(["Image Name,MOS", *test]) + "\n")
    for number in [*TRAIN_NUMBERS, *TEST_NUMBERS]:
        write_photo(tmp_path / "Images" / photo_name(number))
    return tmp_path


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """The training photos alone."""
    names = [f"ss03_{number:04d}.webp" for number in TRAIN_NUMBERS]
    (tmp_path / "metadata.csv").write_text("file_name,mos\n" + "".join(f"{name},0.2874\n" for name in names))
    for name in names:
        write_photo(tmp_path / name)
    return tmp_path


def test_the_release(release: Path) -> None:
    found = check_source(SOURCE, release, {"train": 17, "validation": 3, "test": 2})
    record = found["train"][0]
    assert record.image == release / "Images" / FIRST
    assert (record.question, record.range_low, record.range_high) == ("quality", 0, 1)
    assert (record.mean, record.spread, record.votes) == (0.8401, None, ())
    assert [record.mean for record in found["test"]] == [0, 0]
    assert [record.image.name for record in found["validation"]] == [f"ss03 ({number}).jpg" for number in VALIDATION_NUMBERS]


def test_the_image_folder_has_the_same_splits_but_no_test_photos(image_folder: Path) -> None:
    found = {split: read_source(SOURCE, image_folder, split)[0] for split in ("train", "validation")}
    assert len(found["train"]) == 17
    assert [record.image.name for record in found["validation"]] == [f"ss03_{number:04d}.webp" for number in VALIDATION_NUMBERS]
    assert found["train"][0].mean == 0.2874
    with pytest.raises(DataError, match=r"metadata.csv: holds training photos only; to test, have Test \(Images and MOS\).csv"):
        read_source(SOURCE, image_folder, "test")


def test_a_wrong_value_is_named(release: Path) -> None:
    with open(release / TRAIN, "a") as file:
        file.write("ss01 (3).jpg,fair,,\n")
    with pytest.raises(DataError, match=r"Train \(Images and MOS\).csv, line 22: MOS is 'fair', expected a number"):
        read_source(SOURCE, release, "train")


def test_unscaled_values_are_wrong(release: Path) -> None:
    with open(release / TEST, "a") as file:
        file.write("ss03 (1).jpg,-0.00468\n")
    with pytest.raises(DataError, match=r"ss03 \(1\).jpg \(mean -0.00468\)"):
        read_source(SOURCE, release, "test")


def test_a_missing_column_is_named(release: Path) -> None:
    (release / TEST).write_text("image,MOS\nss03 (7805).jpg,0.7\n")
    with pytest.raises(DataError, match="no column 'Image Name'"):
        read_source(SOURCE, release, "test")


def test_a_photos_category_is_its_subset() -> None:
    assert [subset_of(name) for name in ("ss01_0001.webp", "ss03 (57).jpg", "SS02_1.jpg", "other.jpg", "ss04_1.jpg")] == [
        "ss01", "ss03", "ss02", "", ""
    ]  # fmt: skip
