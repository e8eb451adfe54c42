"""`aesthetic-mllm score`: rows on standard output, an exit code that tells."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from aesthetic_mllm.cli.main import main
from aesthetic_mllm.cli.score import COLUMNS
from photo_files import BAD, GOOD, write_photos

SAMPLES = Path(__file__).parents[2] / "examples" / "photos"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["score", *map(str, arguments)])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_json_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is an object with the documented keys in their order; a folder means its photos, sorted."""
    code, out, _ = run(capsys, SAMPLES, "--format", "json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["path"] for row in rows] == [str(path) for path in sorted(SAMPLES.glob("*.jpg"))]
    for row in rows:
        assert tuple(row) == COLUMNS
        assert row["question"] == "aesthetic" and row["error"] is None
        assert row["score_range"] == [1.0, 10.0] and 1 <= row["mean"] <= 10
        assert sum(row["distribution"].values()) == pytest.approx(1, abs=1e-3)


def test_csv_holds_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """CSV has the same columns and values as JSON."""
    photo = SAMPLES / "coffee.jpg"
    row = json.loads(run(capsys, photo, "--format", "json", "--question", "quality")[1])
    (line,) = csv.DictReader(io.StringIO(run(capsys, photo, "--format", "csv", "--question", "quality")[1]))
    assert tuple(line) == COLUMNS
    assert float(line["mean"]) == row["mean"] and json.loads(line["distribution"]) == row["distribution"]
    assert line["question"] == "quality" and line["error"] == ""


def test_table_shows_every_photo(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a heading with the range and a line a photo."""
    code, out, _ = run(capsys, SAMPLES)
    lines = out.splitlines()
    assert code == 0 and "1 to 10" in lines[0]
    assert len(lines) == 1 + len(list(SAMPLES.glob("*.jpg")))


def test_bad_photos_are_rows_and_the_exit_code_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every bad file is a row with its reason and no score, every good one is rated, and the code is 1."""
    write_photos(tmp_path, GOOD)
    write_photos(tmp_path, {name: write for name, (write, _) in BAD.items()})
    (tmp_path / "none").mkdir()
    code, out, _ = run(capsys, tmp_path, tmp_path / "none", tmp_path / "missing.jpg", "--format", "json")
    rows = {Path(row["path"]).name: row for row in map(json.loads, out.splitlines())}
    assert code == 1
    assert set(rows) == {*GOOD, *BAD, "none", "missing.jpg"}
    for name, row in rows.items():
        assert (row["mean"] is not None) == (name in GOOD), name
        assert (row["error"] is None) == (name in GOOD), name
    for name, (_, reason) in BAD.items():
        assert reason in rows[name]["error"]
    assert "without photos" in rows["none"]["error"] and "no such file" in rows["missing.jpg"]["error"]


def test_wrong_usage_is_code_two(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An unknown question, a folder that is no model and an unknown option end with 2 and a message, not a trace."""
    code, out, err = run(capsys, SAMPLES, "--question", "humour", "--format", "json")
    assert (code, out) == (2, "") and "aesthetic, quality" in err
    code, _, err = run(capsys, SAMPLES, "--model", tmp_path)
    assert code == 2 and str(tmp_path) in err
    with pytest.raises(SystemExit) as caught:
        main(["score", str(SAMPLES), "--format", "xml"])
    assert caught.value.code == 2


def test_help_needs_no_torch() -> None:
    """`--help` answers without the heavy imports."""
    code = (
        "import sys\nfrom aesthetic_mllm.cli.main import build_parser\nbuild_parser().format_help()\n"
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
