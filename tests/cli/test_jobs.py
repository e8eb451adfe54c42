"""`score` and `assess` with a table as output: a job, a line that says what it did, and messages where it cannot be."""

import os
import re
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path

import pyarrow.parquet
import pytest
from tqdm import tqdm

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.cli.progress import job_progress
from aesthetic_mllm.jobs.progress import Progress
from jobs_archive import write_archive
from photo_files import jpeg_bytes, scene

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("output", ["ratings.parquet", "ratings/"])
@pytest.mark.parametrize("command", ["score", "assess"])
def test_a_job_runs_and_goes_on(run: Run, photos: Path, tmp_path: Path, command: str, output: str) -> None:
    """Twice the same command: the second has nothing to do; a bad photo is a row, and the code says so."""
    arguments = (command, photos, "--output", f"{tmp_path}/{output}")
    assert run(*arguments) == (0, f"{tmp_path / output}: 4 photos rated\n", "")
    (photos / "bad.jpg").write_bytes(b"junk")
    code, out, _ = run(*arguments)
    assert code == 1 and out == f"{tmp_path / output}: 0 photos rated, 4 were rated before, 1 cannot be judged\n"
    code, out, err = run(*arguments, "--retry-failed")
    assert code == 1 and "1 cannot be judged; 0 of 1 tried again are rated now" in out
    assert f"1 photo cannot be judged: {photos / 'bad.jpg'} (not an image" in err and "--retry-failed" in err
    table = pyarrow.parquet.read_table(tmp_path / output)
    assert (
        len(table) == 5 and table.column("error").null_count == 4 and ("comment" in table.column_names) == (command == "assess")
    )


def test_attributes_and_tables_as_input(run: Run, photos: Path, tmp_path: Path) -> None:
    """The table of one job is the list of another's photos."""
    assert run("score", photos, "--output", tmp_path / "a.parquet")[0] == 0
    assert run("score", tmp_path / "a.parquet", "--attributes", "--output", tmp_path / "b.parquet")[0] == 0
    table = pyarrow.parquet.read_table(tmp_path / "b.parquet")
    assert table.column("name").to_pylist() == pyarrow.parquet.read_table(tmp_path / "a.parquet").column("path").to_pylist()
    assert table.column("light_mean").null_count == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "PHOTOS", "--retry-failed"), "--retry-failed needs --output"),
        (("score", "PHOTOS", "--attributes", "--output", "TMP/a.csv"), "--attributes needs --output"),
        (("assess", "PHOTOS", "--column", "x"), "--column needs --output"),
        (("score", "PHOTOS", "--format", "csv", "--output", "TMP/a.parquet"), "leave out --format csv"),
        (("score", "PHOTOS", "--output", "PHOTOS"), "no job's folder and not empty"),
        (("score", "PHOTOS", "TMP/none.jpg", "--output", "TMP/a.parquet"), "no such file"),
        (
            ("score", "PHOTOS", "TMP/x.tar"),
            "x.tar is an archive; its photos are rated into a table: add --output",
        ),
        (("assess", "TMP/x.parquet"), "x.parquet is a table"),
        (("score", "TMP/saved", "--output", "TMP/a.csv"), "saved is a saved data set"),
        (("score", "hf://datasets/me/photos"), "is a data set on the Hub"),
        (("score", "PHOTOS", "--question", "humour", "--output", "TMP/a.parquet"), "humour"),
    ],
)
def test_what_cannot_be_is_told(run: Run, photos: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    """Exit code 2, a message, and no file."""
    (tmp_path / "saved").mkdir()
    for name in ("x.tar", "x.parquet", "saved/state.json"):
        (tmp_path / name).touch()
    places = {"PHOTOS": str(photos), "TMP": str(tmp_path)}
    given = [argument.replace("PHOTOS", places["PHOTOS"]).replace("TMP", places["TMP"]) for argument in arguments]
    code, out, err = run(*given)
    assert (code, out) == (2, "") and message in err
    assert not list(tmp_path.glob("a.*"))


def test_a_mended_photo_adds_to_what_was_rated(run: Run, photos: Path, tmp_path: Path) -> None:
    """Rated, rated before and failed are the rows of the table; what was tried again is told; names are on one line."""
    whole = (photos / "3.jpg").read_bytes()
    (photos / "3.jpg").write_bytes(b"junk")
    for number in range(6):
        (photos / f"empty\n{number}.jpg").touch()
    arguments = ("score", photos, "--output", tmp_path / "a.parquet")
    code, out, err = run(*arguments)
    assert code == 1 and out == f"{tmp_path}/a.parquet: 3 photos rated, 7 cannot be judged\n"
    assert "empty\\n0.jpg (" in err and err.endswith("tries them again.\n") and ", ...." in err and err.count("\n") == 1
    (photos / "3.jpg").write_bytes(whole)
    for number in range(6):
        (photos / f"empty\n{number}.jpg").write_bytes(whole)
    code, out, err = run(*arguments, "--retry-failed")
    assert (code, err) == (0, "")
    assert out == f"{tmp_path}/a.parquet: 7 photos rated, 3 were rated before; 7 of 7 tried again are rated now\n"


def test_edited_photos_are_rated_again_where_it_is_asked_for(run: Run, photos: Path, tmp_path: Path) -> None:
    arguments = ("score", photos, "--output", tmp_path / "a.parquet")
    run(*arguments)
    (photos / "2.jpg").write_bytes(jpeg_bytes(scene(90, 70)))
    assert run(*arguments)[1].endswith("0 photos rated, 4 were rated before\n")
    assert run(*arguments, "--check-changed")[1].endswith("1 photo rated, 3 were rated before; 1 was edited, and tried again\n")
    assert run(*arguments, "--check-changed")[1].endswith("0 photos rated, 4 were rated before\n")


def test_how_far_a_job_is_is_logged(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With -v, where there is no terminal: photos of all, rate, time left; at most so often; of an archive without a total."""
    archive = write_archive(tmp_path / "x.tar", [(path.name, path.read_bytes()) for path in photos.glob("*.jpg")])
    monkeypatch.setattr("aesthetic_mllm.cli.progress.LOG_SECONDS", 0.0)
    with caplog.at_level("INFO", "aesthetic_mllm.cli.progress"):
        run("-v", "score", photos, "--output", tmp_path / "a.parquet")
        assert re.fullmatch(r"rating: 4 of 4 photos, [\d.]+ a second, 00:00 left", caplog.messages[-1])
        (photos / "0.jpg").write_bytes(jpeg_bytes(scene()))
        run("-v", "score", photos, "--output", tmp_path / "a.parquet")
        assert caplog.messages[-1].startswith("rating: 5 of 5 photos")
        run("-v", "score", archive, "--output", tmp_path / "b.parquet")
        assert re.fullmatch(r"rating: 3 photos, [\d.]+ a second", caplog.messages[-1])
        caplog.clear()
        monkeypatch.setattr("aesthetic_mllm.cli.progress.LOG_SECONDS", 30.0)
        run("-v", "score", photos, "--output", tmp_path / "c.parquet")
        assert caplog.messages == ["rating: 0 of 5 photos"]


def test_a_terminal_has_a_bar(run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all photos, also where some were rated before; it is gone at the end, and standard output is as ever."""
    arguments = ("score", photos, "--output", tmp_path / "a.parquet")
    run(*arguments)
    (photos / "0.jpg").write_bytes(jpeg_bytes(scene()))
    monkeypatch.setattr("aesthetic_mllm.cli.progress.sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("tqdm.tqdm.__init__", partialmethod(tqdm.__init__, mininterval=0))
    code, out, err = run(*arguments)
    assert (code, out) == (0, f"{tmp_path}/a.parquet: 1 photo rated, 4 were rated before\n")
    assert "rating:" in err and "| 5/5 [" in err and err.endswith("\r")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals")
def test_a_terminal_of_unknown_size_has_a_bar_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that a program opens: it says that it has no columns and no lines."""
    master, terminal = os.openpty()
    with open(terminal, "w", encoding="utf-8") as stream, monkeypatch.context() as patched:
        patched.setattr("sys.stderr", stream)
        with job_progress() as tell:
            tell(Progress("rating", 0, 3, 10))
            tell(Progress("rating", 0, 4, 10))
        os.set_blocking(master, False)
        shown = os.read(master, 10_000).decode()
    os.close(master)
    assert "| 3/10 [" in shown and "photo/s]" in shown


def test_without_pyarrow_the_extra_is_named(run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aesthetic_mllm.cli.jobs.find_spec", lambda name: None)
    code, _, err = run("score", photos, "--output", tmp_path / "a.parquet")
    assert code == 2 and "aesthetic-mllm[jobs]" in err


def test_a_photo_that_needs_too_much_memory_alone_is_an_error(
    run: Run, photos: Path, tmp_path: Path, assessor: AestheticAssessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done before is kept: the job's next run goes on there."""
    import torch

    encode = assessor.engine.encode
    calls = iter([True, True])

    def short(batch: list, **options: object) -> object:
        if next(calls, None) is None:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return encode(batch, **options)

    monkeypatch.setattr("aesthetic_mllm.jobs.rating_job.SHARD_ROWS", 1)
    with monkeypatch.context() as patched:
        patched.setattr(assessor.engine, "encode", short)
        code, _, err = run("score", photos, "--batch-size", "1", "--output", tmp_path / "a.parquet")
    assert code == 2 and "memory" in err
    assert (
        "2 photos rated, 2 were rated before" in run("score", photos, "--batch-size", "1", "--output", tmp_path / "a.parquet")[1]
    )
