"""Rows are written whatever is in them: names that are no text, letters that a stream lacks, what steers a terminal."""

import csv
import io
import json
import os

import pytest

from aesthetic_mllm.cli.output import ANY_NAME, Layout, printable, writer, writing_any_name

RAW = b"caf\xe9 \xff.jpg"
NAME = os.fsdecode(RAW)
LAYOUT = Layout(("path", "error"), lambda row: [row], lambda row: f"{row['path']}: {row['error']}")


def written(form: str, row: dict, encoding: str = "utf-8") -> bytes:
    """What standard output gets, which is strict about letters at first and again at the end."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, newline="")
    with writing_any_name(stream) as rows:
        writer(form, rows, LAYOUT).write(row)
    assert stream.errors == "strict"
    stream.flush()
    return raw.getvalue()


def test_json_gives_a_name_back() -> None:
    """JSON escapes what is no text, is itself UTF-8, and leaves other rows' letters as they are."""
    data = written("json", {"path": NAME, "error": None})
    assert os.fsencode(json.loads(data.decode())["path"]) == RAW
    assert written("json", {"path": "été.jpg", "error": None}) == '{"path": "été.jpg", "error": null}\n'.encode()


def test_csv_gives_a_name_back() -> None:
    """CSV has the name's bytes; a table too."""
    data = written("csv", {"path": NAME, "error": None})
    assert RAW in data
    (line,) = csv.DictReader(io.StringIO(data.decode("utf-8", "surrogateescape")))
    assert os.fsencode(line["path"]) == RAW
    assert RAW in written("table", {"path": NAME, "error": None})


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_a_stream_that_lacks_letters_gets_escapes(form: str, encoding: str) -> None:
    """A terminal or a pipe of another encoding ends no run; JSON stays exact."""
    name = f"日本 █ 😀 {NAME}"
    data = written(form, {"path": name, "error": None}, encoding)
    assert b"\\u65e5\\u672c" in data
    if form == "json":
        assert json.loads(data.decode(encoding))["path"] == name
    else:
        assert b"\xff" in data


def test_files_take_the_same_names(tmp_path: os.PathLike) -> None:
    path = os.path.join(tmp_path, "rows.csv")
    with open(path, "w", encoding="utf-8", errors=ANY_NAME, newline="") as stream:
        writer("csv", stream, LAYOUT).write({"path": NAME, "error": None})
    with open(path, "rb") as file:
        assert RAW in file.read()


def test_names_do_not_steer_the_terminal() -> None:
    """A line end in a name does not break a table's line, nor does an escape sequence reach the terminal; JSON has the name."""
    name = "a\nb\x1b[31m\x07.jpg"
    table = written("table", {"path": name, "error": f"{name}: gone"})
    assert table.count(b"\n") == 1 and b"\x1b" not in table and b"\x07" not in table
    assert printable(name) == "a\\nb\\x1b[31m\\x07.jpg" and printable("été 日本.jpg") == "été 日本.jpg"
    assert json.loads(written("json", {"path": name, "error": None}))["path"] == name


def test_a_stream_without_bytes_is_left_as_it_is() -> None:
    stream = io.StringIO()
    with writing_any_name(stream) as rows:
        writer("json", rows, LAYOUT).write({"path": NAME, "error": None})
    assert json.loads(stream.getvalue())["path"] == NAME


def test_a_name_that_turns_the_direction_of_writing_is_escaped() -> None:
    """Otherwise a name can look like another one; names that are written from right to left stay."""
    assert printable("a\u202egpj.exe") == "a\\u202egpj.exe" and printable("a\u2066b\u2028") == "a\\u2066b\\u2028"
    assert printable("שלום \u200f.jpg") == "שלום \u200f.jpg"
    assert b"\\u202e" in written("table", {"path": "a\u202eb.jpg", "error": None})
