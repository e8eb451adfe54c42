"""SPAQ in its public layout, and with its sheets saved as .csv."""

import sys
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest

from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.spaq import SOURCE
from source_checks import check_source, write_photo

SCORES = "MOS and Image attribute scores"
SCENES = "Scene category labels"
SCORE_COLUMNS = ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]
SCENE_COLUMNS = [
    "Image name",
    "Animal",
    "Cityscape",
    "Human",
    "Indoor scene",
    "Landscape",
    "Night scene",
    "Plant",
    "Still-life",
    "Others",
]
PHOTOS = ("00001.jpg", "09500.jpg", "09501.jpg", "10000.jpg", "10001.jpg", "11125.jpg")


def write_sheet(annotations: Path, name: str, rows: list[list[object]], columns: list[str], suffix: str) -> None:
    """A sheet in the format that its name's end says."""
    annotations.mkdir(parents=True, exist_ok=True)
    sheet = pd.DataFrame(rows, columns=columns)
    path = annotations / f"{name}{suffix}"
    if suffix == ".xlsx":
        pytest.importorskip("openpyxl")
        sheet.to_excel(path, index=False)
    else:
        sheet.to_csv(path, index=False)


def write_sheets(root: Path, suffix: str) -> None:
    """Two photos in each split, all but the last with the likeliest scene."""
    scores: list[list[object]] = [[photo, 61 + index, 42.125, 61.6, 60.7, 72.4, 66] for index, photo in enumerate(PHOTOS)]
    scenes: list[list[object]] = [[photo, 0, 0.25, 0, 0, 0.5, 0, 0, 0, 0.25] for photo in PHOTOS[:-1]]
    write_sheet(root / "Annotations", SCORES, scores, SCORE_COLUMNS, suffix)
    write_sheet(root / "Annotations", SCENES, scenes, SCENE_COLUMNS, suffix)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The photos alone."""
    for photo in PHOTOS:
        write_photo(tmp_path / "TestImage" / photo)
    return tmp_path


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_counts_ranges_and_splits(root: Path, suffix: str) -> None:
    write_sheets(root, suffix)
    found = check_source(SOURCE, root, {"train": 2, "validation": 2, "test": 2})
    record = found["train"][0]
    assert (record.question, record.range_low, record.range_high) == ("quality", 0, 100)
    assert record.mean == 61 and record.spread is None
    assert {attribute.name: attribute.mean for attribute in record.attributes} == pytest.approx(
        {"brightness": 42.125, "colorfulness": 61.6, "contrast": 60.7, "noisiness": 72.4, "sharpness": 66}
    )
    assert {(attribute.range_low, attribute.range_high) for attribute in record.attributes} == {(0, 100)}
    assert record.category == "Landscape"
    assert [record.image.name for record in found["validation"]] == ["09501.jpg", "10000.jpg"]
    assert [(record.mean, record.category) for record in found["test"]] == [(65, "Landscape"), (66, "")]


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_a_missing_column_is_named(root: Path, suffix: str) -> None:
    columns = [name.replace("Noisiness", "Noise") for name in SCORE_COLUMNS]
    write_sheet(root / "Annotations", SCORES, [["00001.jpg", 61, 42, 61, 60, 72, 66]], columns, suffix)
    with pytest.raises(DataError, match=rf"{SCORES}{suffix}: no column 'Noisiness' \(is it 'Noise'\?\)"):
        read_source(SOURCE, root, "train")


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_a_wrong_value_is_named(root: Path, suffix: str) -> None:
    rows: list[list[object]] = [["00001.jpg", 61, 42, 61, 60, 72, 66], ["00002.jpg", 61, 42, 61, "high", 72, 66]]
    write_sheet(root / "Annotations", SCORES, rows, SCORE_COLUMNS, suffix)
    with pytest.raises(DataError, match=rf"{SCORES}{suffix}, line 3: Contrast is 'high', expected a number"):
        read_source(SOURCE, root, "train")
    write_sheet(root / "Annotations", SCORES, [["one.jpg", 61, 42, 61, 60, 72, 66]], SCORE_COLUMNS, suffix)
    with pytest.raises(DataError, match=rf"{SCORES}{suffix}, line 2: the number in 'Image name' is 'one'"):
        read_source(SOURCE, root, "train")


def test_a_wrong_scene_is_named(root: Path) -> None:
    write_sheets(root, ".csv")
    write_sheet(root / "Annotations", SCENES, [["00001.jpg", *[0] * 7, "yes", 0]], SCENE_COLUMNS, ".csv")
    with pytest.raises(DataError, match=rf"{SCENES}.csv, line 2: Still-life is 'yes', expected a number"):
        read_source(SOURCE, root, "train")


def test_scenes_may_be_missing(root: Path) -> None:
    write_sheets(root, ".csv")
    (root / "Annotations" / f"{SCENES}.csv").unlink()
    assert [record.category for record in read_source(SOURCE, root, "train")[0]] == ["", ""]


def test_a_missing_sheet_is_named(root: Path) -> None:
    with pytest.raises(DataError, match=rf"{SCORES}.xlsx: cannot be read"):
        read_source(SOURCE, root, "train")


def test_a_file_that_is_no_sheet_is_named(root: Path) -> None:
    (root / "Annotations").mkdir()
    (root / "Annotations" / f"{SCORES}.xlsx").write_text("<html>sign in</html>")
    with pytest.raises(DataError, match=rf"{SCORES}.xlsx: not an Excel sheet"):
        read_source(SOURCE, root, "train")


def test_without_openpyxl_it_says_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (root / "Annotations").mkdir()
    with ZipFile(root / "Annotations" / f"{SCORES}.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", "")  # by which pandas knows an Excel sheet
    with pytest.raises(DataError, match=rf"{SCORES}.xlsx: openpyxl is needed .* save the sheet beside it as {SCORES}.csv"):
        read_source(SOURCE, root, "train")
