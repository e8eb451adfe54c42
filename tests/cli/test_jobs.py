"""`score` and `assess` with a table as output: a job, a line that says what it did, and messages where it cannot be."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest

from aesthetic_mllm import AestheticAssessor

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("output", ["ratings.parquet", "ratings/"])
@pytest.mark.parametrize("command", ["score", "assess"])
def test_a_job_runs_and_goes_on(run: Run, photos: Path, tmp_path: Path, command: str, output: str) -> None:
    """Twice the same command: the second has nothing to do; a bad photo is a row, and the code says so."""
    arguments = (command, photos, "--output", f"{tmp_path}/{output}")
    assert run(*arguments) == (0, f"{tmp_path / output}: 4 photos rated\n", "")
    (photos / "bad.jpg").write_bytes(b"junk")
    code, out, _ = run(*arguments)
    assert code == 1 and "1 photos rated, 4 were rated before, 1 cannot be judged" in out
    assert run(*arguments, "--retry-failed")[1].count("1 tried again") == 1
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
        (("score", "PHOTOS", "--question", "humour", "--output", "TMP/a.parquet"), "humour"),
    ],
)
def test_what_cannot_be_is_told(run: Run, photos: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    """Exit code 2, a message, and no file."""
    places = {"PHOTOS": str(photos), "TMP": str(tmp_path)}
    given = [argument.replace("PHOTOS", places["PHOTOS"]).replace("TMP", places["TMP"]) for argument in arguments]
    code, out, err = run(*given)
    assert (code, out) == (2, "") and message in err
    assert not list(tmp_path.glob("a.*"))


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
