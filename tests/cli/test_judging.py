"""What holds for every command that judges photos: formats, errors, output files, progress, Ctrl-C."""

import csv
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.cli.main import main
from photo_files import BAD, write_photos

Run = Callable[..., tuple[int, str, str]]
COMMANDS = ["score", "assess", "comment", "suggest", "rank"]
STREAMS = {
    "score": "score_stream",
    "assess": "assess_stream",
    "comment": "comment_stream",
    "suggest": "suggest_stream",
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("command", COMMANDS)
def test_every_photo_is_a_row_in_every_format(run: Run, photos: Path, command: str) -> None:
    """JSON, CSV and table speak of the same photos; JSON's keys and CSV's columns begin with the path and end with the error."""
    code, out, _ = run(command, photos, "--format", "json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert sorted(row["path"] for row in rows) == sorted(map(str, photos.rglob("*.jpg")))
    assert all(next(iter(row)) == "path" and row["error"] is None for row in rows)
    code, out, _ = run(command, photos, "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert list(dict.fromkeys(line["path"] for line in lines)) == [row["path"] for row in rows]
    assert [*lines[0]][0] == "path" and [*lines[0]][-1] == "error"
    code, table, _ = run(command, photos)
    assert code == 0 and all(f"{number}.jpg" in table for number in range(1, 5))


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_fit_a_terminal_of_80_columns(run: Run, photos: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line but that of a long path is wider than the terminal, and no colour code is in it."""
    monkeypatch.setenv("COLUMNS", "80")
    _, table, _ = run(command, photos)
    assert "\x1b" not in table
    assert [line for line in table.splitlines() if len(line) > 80 and not line.startswith(str(photos))] == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_bad_photos_are_rows_and_the_exit_code_says_so(run: Run, photos: Path, command: str, form: str) -> None:
    """Each bad file is a row with its reason, the others are judged, and the code is 1."""
    write_photos(photos, {name: write for name, (write, _) in BAD.items()})
    code, out, _ = run(command, photos, photos / "missing.jpg", "--format", form)
    assert code == 1 and "no such file" in out
    for name, (_, reason) in BAD.items():
        (line,) = [line for line in out.splitlines() if name in line]
        assert reason in line
    if form == "json":
        failed = {Path(row["path"]).name for row in map(json.loads, out.splitlines()) if row["error"] is not None}
        assert failed == {*BAD, "missing.jpg"}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_any_file_name_is_a_row(run: Run, photos: Path, command: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name that is no text, or with a line end in it, there is a row like the others, on standard output and in a file."""
    raw = b"caf\xe9.jpg"
    (photos / os.fsdecode(raw)).write_bytes((photos / "1.jpg").read_bytes())
    (photos / "line\nend.jpg").write_bytes((photos / "1.jpg").read_bytes())
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, "utf-8", newline=""))
    code, _, _ = run(command, photos, "--format", form)
    sys.stdout.flush()
    assert code == 0
    data = output.getvalue()
    if form == "json":
        names = {os.fsencode(json.loads(line)["path"]) for line in data.decode().splitlines()}
    elif form == "csv":
        names = {os.fsencode(line["path"]) for line in csv.DictReader(io.StringIO(data.decode("utf-8", "surrogateescape")))}
    else:
        names = {os.fsencode(photos / name) for name in photos.rglob("*.jpg")} if raw in data and b"line\\nend" in data else set()
    assert names == {os.fsencode(photo) for photo in photos.rglob("*.jpg")}


@pytest.mark.parametrize("command", COMMANDS)
def test_places_that_cannot_be_read_are_rows(run: Run, photos: Path, tmp_path: Path, command: str) -> None:
    """A name that is too long and an address are rows with errors; the others are judged, and an output is no obstacle."""
    (tmp_path / "rows.jsonl").write_text("old")
    code, _, _ = run(
        command, "a" * 300, "https://example.org/a.jpg", photos / "1.jpg", "--format", "json", "--output", tmp_path / "rows.jsonl"
    )
    rows = {row["path"]: row["error"] for row in map(json.loads, (tmp_path / "rows.jsonl").read_text().splitlines())}
    assert code == 1
    assert "too long" in rows["a" * 300] and "download" in rows["https://example.org/a.jpg"]
    assert rows[str(photos / "1.jpg")] is None


@pytest.mark.parametrize("command", COMMANDS)
def test_files_that_are_passed_over_are_told(run: Run, photos: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line on the error stream; standard output has the rows alone."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("b.HEIC", "c.NEF", "d.nef", "e.xmp"):
        (photos / name).write_bytes(b"x")
    code, out, err = run(command, photos, "--format", "json")
    assert code == 0 and len(out.splitlines()) == 4
    assert err == (
        f"aesthetic-mllm {command}: passed over 3 files in folders (1 .heic, 2 .nef); to read HEIC and camera raw files, "
        "install the readers with: pip install 'aesthetic-mllm[formats]'\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_rows_go_to_a_file_in_the_format_of_its_ending(run: Run, photos: Path, tmp_path: Path, command: str) -> None:
    """With --output nothing is printed; the ending chooses the format, --format overrules it."""
    _, printed, _ = run(command, photos, "--format", "json")
    for name, options in (("rows.jsonl", []), ("rows.txt", ["--format", "json"]), ("rows.csv", ["--format", "json"])):
        code, out, _ = run(command, photos, "--output", tmp_path / name, *options)
        assert (code, out) == (0, "")
        assert (tmp_path / name).read_text(encoding="utf-8") == printed
    run(command, photos, "--output", tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8").startswith("path,")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_photo_is_written_over(run: Run, photos: Path, tmp_path: Path, command: str) -> None:
    """An output that is one of the photos, under whatever name, or in no folder is wrong usage, before anything is judged."""
    photo = photos / "1.jpg"
    content = photo.read_bytes()
    (tmp_path / "link.csv").symlink_to(photo)
    for output in (photo, tmp_path / "link.csv"):
        code, out, err = run(command, photos, "--output", output)
        assert (code, out) == (2, "") and "one of the photos" in err
    assert photo.read_bytes() == content
    for output in (tmp_path / "none" / "rows.csv", tmp_path):
        code, _, err = run(command, photos, "--output", output)
        assert code == 2 and str(output) in err


@pytest.mark.parametrize("command", STREAMS)
def test_ctrl_c_keeps_the_rows_that_are_done(
    run: Run, photos: Path, tmp_path: Path, command: str, assessor: AestheticAssessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after two photos, their rows are out, on standard output and in a file, and the code is 130."""
    stream = getattr(AestheticAssessor, STREAMS[command])

    def interrupted(self: AestheticAssessor, images: Any, *args: Any, **options: Any) -> Iterator[Any]:
        results = stream(self, images, *args, **options)
        yield next(results)
        yield next(results)
        raise KeyboardInterrupt

    _, whole, _ = run(command, photos, "--format", "json")
    monkeypatch.setattr(AestheticAssessor, STREAMS[command], interrupted)
    code, out, err = run(command, photos, "--format", "json")
    assert code == 130 and "Traceback" not in err
    assert out.splitlines() == whole.splitlines()[:2]
    code, _, _ = run(command, photos, "--output", tmp_path / "rows.jsonl")
    assert code == 130 and (tmp_path / "rows.jsonl").read_text(encoding="utf-8") == out


@pytest.mark.parametrize("command", COMMANDS)
def test_progress_is_for_terminals(run: Run, photos: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar with the rate and the time left is drawn and wiped away; elsewhere the error stream stays empty."""
    _, printed, err = run(command, photos, "--format", "json")
    assert err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    _, same, _ = run(command, photos, "--format", "json")
    assert same == printed
    assert re.search(r"/4 \[\d\d:\d\d<.*(photo/s|s/photo)\]", terminal.getvalue())
    assert terminal.getvalue().endswith("\r")


def test_wrong_usage_is_a_message(run: Run, photos: Path, assessor: AestheticAssessor) -> None:
    """What a checkpoint does not know ends with 2 and a message that names the choice, before a photo is judged."""
    for arguments, known in (
        (["score", "--question", "humour"], "aesthetic, quality"),
        (["rank", "--question", "humour"], "aesthetic, quality"),
        (["comment", "--style", "terse"], "brief, detailed"),
        (["comment", "--aspect", "humour"], "composition"),
        (["rank", "--max-distance", "64"], "0 to 63"),
    ):
        code, out, err = run(*arguments, photos)
        assert (code, out) == (2, "") and known in err and err.startswith(f"aesthetic-mllm {arguments[0]}: "), arguments


def test_a_checkpoint_that_is_none_is_named(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a model, and a device that there is not, end with 2 and a message."""
    assert main(["assess", str(photos), "--model", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert main(["assess", str(photos), "--model", "nope"]) == 2
    assert "--model nope: there is no such folder." in capsys.readouterr().err
    assert main(["assess", str(photos), "--device", "warp"]) == 2
    assert "'warp' cannot be used here" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["rank", str(photos), "--pick", "0"])
    assert caught.value.code == 2


@pytest.mark.parametrize("command", [*COMMANDS, "compare", "train", "pretext"])
def test_help_needs_no_torch(command: str) -> None:
    """Every command's `--help` answers without the heavy imports."""
    code = (
        "import sys\nfrom aesthetic_mllm.cli.main import main\n"
        f"try:\n    main([{command!r}, '--help'])\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, 'transformers' in sys.modules, 'numpy' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: ") and done.stderr.split() == ["False", "False", "False"]
