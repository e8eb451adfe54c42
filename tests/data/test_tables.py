"""Tables as spreadsheets and scripts write them: one reader for all, and errors that name file and line."""

import json
import sys
from pathlib import Path

import pandas
import pytest

from aesthetic_mllm.data.data_error import DataError
from aesthetic_mllm.data.tables import cell_text, read_csv, read_lines, read_table

KNOWN = ("image", "mean", "comment")


def rows(path: Path) -> list[dict]:
    return [cells for _, cells in read_table(path, KNOWN)[1]]


@pytest.mark.parametrize(
    "text",
    [
        "image,mean,comment\na.jpg,3.5,fine\n",
        "\ufeffimage,mean,comment\r\na.jpg,3.5,fine\r\n",
        "Image, Mean , COMMENT\na.jpg, 3.5, fine \n",
        "image;mean;comment\na.jpg;3,5;fine\n",
        "image\tmean\tcomment\na.jpg\t3.5\tfine\n",
        '\n"image","mean","comment"\n"a.jpg","3.5","fine"\n,,\n\n',
        "image,mean,comment,\na.jpg,3.5,fine,\n",
    ],
)
def test_spreadsheets_csv(tmp_path: Path, text: str) -> None:
    """Marks, separators, decimal commas, spaces, capitals, quotes and empty rows: the same table."""
    (tmp_path / "t.csv").write_bytes(text.encode())
    columns, _ = read_table(tmp_path / "t.csv", KNOWN)
    assert columns == list(KNOWN)
    assert rows(tmp_path / "t.csv") == [{"image": "a.jpg", "mean": "3.5", "comment": "fine"}]


def test_all_forms_are_one_table(tmp_path: Path) -> None:
    """Names of columns that mean something are found in any case; others stay as they are; lines and places are told."""
    (tmp_path / "t.tsv").write_text("Image\tMean\tISO\na, b.jpg\t3\t100\n")
    (tmp_path / "t.jsonl").write_text(json.dumps({"Image": "a, b.jpg", " mean": 3, "ISO": 100}) + "\n")
    pandas.DataFrame({"IMAGE": ["a, b.jpg"], "mean": [3], "ISO": [100]}).to_parquet(tmp_path / "t.parquet")
    lines = {"tsv": 2, "jsonl": 1, "parquet": 1}
    for suffix, number in lines.items():
        path = tmp_path / f"t.{suffix}"
        columns, [(line, cells)] = read_table(path, KNOWN)
        assert columns == ["image", "mean", "ISO"] and line == number
        assert [cell_text(path, line, name, cells[name]) for name in columns] == ["a, b.jpg", "3", "100"]


def test_lines_end_where_lines_end(tmp_path: Path) -> None:
    """Separators of Unicode within a text, which JSON may hold, end nothing; a quoted text of CSV may go over lines."""
    comment = "soft\u2028light\x85and\x0bmore"
    (tmp_path / "t.jsonl").write_text(json.dumps({"image": "a.jpg", "comment": comment}, ensure_ascii=False) + "\n")
    assert rows(tmp_path / "t.jsonl") == [{"image": "a.jpg", "comment": comment}]
    assert len(list(read_lines(tmp_path / "t.jsonl"))) == 1
    (tmp_path / "t.csv").write_text('image,comment\na.jpg,"one\ntwo"\nb.jpg,three\n')
    assert [(line, cells["comment"]) for line, cells in read_table(tmp_path / "t.csv", KNOWN)[1]] == [
        (2, "one\ntwo"),
        (4, "three"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('image,comment\na.jpg,fine\nb.jpg,"soft\nc.jpg,good\n', "line 3: not CSV .*quote left open"),
        ("image,comment\na.jpg," + "x" * 140_000 + "\n", "line 2: not CSV .*field limit"),
        ("image,comment\na.jpg,soft, warm\n", "line 2: 'warm' is one cell more than the 2 columns; .*quotes"),
        ("image,mean,Mean\na.jpg,1,2\n", "two columns have the same name; it has 'image', 'mean', 'Mean'"),
        ("image,mean\na.jpg,\udce9\n", r"not UTF-8 text \(byte 17\); save it as UTF-8"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=f"t.csv(: |, ){told}"):
        read_table(tmp_path / "t.csv", KNOWN)


def test_other_files_and_lists_are_named(tmp_path: Path) -> None:
    for name in ("t.xlsx", "t"):
        with pytest.raises(DataError, match="cannot read .*, expected .csv, .tsv, .jsonl, .parquet"):
            read_table(tmp_path / name, KNOWN)
    for value in ([3], {"a": 1}, b"3"):
        with pytest.raises(DataError, match="t.jsonl, line 7: mean is .*, expected one value"):
            cell_text(tmp_path / "t.jsonl", 7, "mean", value)
    assert cell_text(tmp_path, 1, "mean", None) == cell_text(tmp_path, 1, "mean", float("nan")) == ""


def test_parquet_without_its_packages_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas.DataFrame({"image": ["a.jpg"]}).to_parquet(tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DataError, match=r"parquet needs pandas and pyarrow: .*\[train\]"):
        read_table(tmp_path / "t.parquet", KNOWN)


def test_a_data_sets_columns_are_asked_for_by_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id, score\n1, 2\n3\n")
    assert list(read_csv(tmp_path / "t.csv", ("score",))) == [(2, {"id": "1", "score": "2"}), (3, {"id": "3", "score": ""})]
    with pytest.raises(DataError, match=r"no column 'scor' \(is it 'score'\?\)"):
        list(read_csv(tmp_path / "t.csv", ("scor",)))
