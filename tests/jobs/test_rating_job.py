"""Jobs: killed and run again they give what an unbroken run gives; nothing is rated twice, nothing is lost, nothing is mixed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from aesthetic_mllm import AestheticAssessor, ServerError
from aesthetic_mllm.inference.server_assessor import ServerAssessor
from aesthetic_mllm.jobs import rating_job
from aesthetic_mllm.jobs.job_error import JobError
from aesthetic_mllm.jobs.progress import Progress
from aesthetic_mllm.jobs.rating_job import JobSummary, RatingJob, Reading
from aesthetic_mllm.jobs.shards import MANIFEST, ShardFolder
from aesthetic_mllm.jobs.sources import find_sources
from aesthetic_mllm.jobs.table import Request
from aesthetic_mllm.serving.chat_client import ChatClient
from aesthetic_mllm.serving.server_engine import ServerEngine
from fake_chat_server import FakeChatServer, running
from jobs_archive import write_archive
from lively_assessor import lively_assessor
from photo_files import jpeg_bytes, scene

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return lively_assessor(attributes=True)


def write_photos(folder: Path, count: int, first: int = 0) -> Path:
    """Small photos, all different."""
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        colours = np.random.default_rng(number).integers(0, 256, (3, 4, 3), np.uint8)
        Image.fromarray(colours).resize((48, 40)).save(folder / f"{number:04}.jpg")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", 20)


@pytest.fixture
def run(assessor: AestheticAssessor, tmp_path: Path) -> Callable[..., JobSummary]:
    """Runs a job into `ratings.parquet`, or another output of the test's folder."""

    def run_job(
        *paths: Path,
        output: str = "ratings.parquet",
        retry_failed: bool = False,
        check_changed: bool = False,
        **options: Any,
    ) -> JobSummary:
        job = RatingJob(assessor, Request.scores(assessor), tmp_path / output, **options)
        return job.run(find_sources(map(os.fspath, paths)), retry_failed=retry_failed, check_changed=check_changed)

    return run_job


def rows_of(path: Path) -> Rows:
    return pyarrow.parquet.read_table(path).to_pylist()


def names(rows: Rows) -> list[str]:
    return [Path(row["path"]).name for row in rows]


def assert_same(found: Rows, wanted: Rows) -> None:
    """The same photos in the same order with the same ratings, whatever batches they were in."""
    assert names(found) == names(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one["sha256"] == other["sha256"] and one["error"] == other["error"]
        assert one["aesthetic_mean"] == pytest.approx(other["aesthetic_mean"], abs=9e-4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, to be quick")
def test_killed_ten_times_it_gives_what_an_unbroken_run_gives(
    run: Callable[..., JobSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 photos, SIGKILL at random: both files are the same, byte by byte, and runs that were killed had done something."""
    photos = write_photos(tmp_path / "photos", 300)
    (photos / "0100.jpg").write_bytes(b"junk")
    done = _forking_job(photos, tmp_path / "killed.parquet", kills=10)
    ends = [line.split() for line in done.stdout.splitlines()]
    left = [int(rows) for _, rows in ends]
    assert sum(how == "killed" for how, _ in ends) >= 3 and len(set(left)) >= 3 and left == sorted(left)
    _forking_job(photos, tmp_path / "unbroken.parquet", kills=0)  # as many threads: the last digit depends on them
    assert sum(row["error"] is None for row in rows_of(tmp_path / "unbroken.parquet")) == 299
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "unbroken.parquet").read_bytes()


def _forking_job(photos: Path, output: Path, kills: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, Path(__file__).with_name("forking_job.py"), photos, output, kills, 3]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, env=os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1",
    })  # fmt: skip


def test_rows_say_what_the_assessor_says(
    run: Callable[..., JobSummary], assessor: AestheticAssessor, photos: Path, tmp_path: Path
) -> None:
    """Rating, spread, levels, digest and version of each photo; the same shards make the folder's table and the file."""
    assert run(photos).rated == 20
    rows = rows_of(tmp_path / "ratings.parquet")
    for row, rating in zip(rows, assessor.score(sorted(photos.iterdir())), strict=True):
        assert row["aesthetic_mean"] == pytest.approx(rating.mean, abs=1e-5)
        assert row["aesthetic_std"] == pytest.approx(rating.std, abs=1e-5)
        assert row["aesthetic_distribution"] == pytest.approx(rating.distribution, abs=1e-6)
        assert len(row["sha256"]) == len(row["checkpoint"]) == 64 and row["version"] and row["error"] is None
    run(photos, output="folder")
    assert rows_of(tmp_path / "folder") == rows


def test_an_assessment_has_all_columns(assessor: AestheticAssessor, photos: Path, tmp_path: Path) -> None:
    """Attributes, quality, comment and suggestions are those of `assess`."""
    RatingJob(assessor, Request.assessments(assessor), tmp_path / "a.parquet").run(find_sources([str(photos / "0003.jpg")]))
    (row,) = rows_of(tmp_path / "a.parquet")
    wanted = assessor.assess(photos / "0003.jpg").to_dict()
    assert row["comment"] == wanted["comment"] and [each["text"] for each in row["suggestions"]] == [
        each["text"] for each in wanted["suggestions"]
    ]
    for question, rating in {"aesthetic": wanted["rating"], "quality": wanted["quality"], **wanted["attributes"]}.items():
        assert row[f"{question}_mean"] == pytest.approx(rating["mean"], abs=1e-5)


def test_attributes_are_rated_where_they_are_asked_for(assessor: AestheticAssessor, photos: Path, tmp_path: Path) -> None:
    RatingJob(assessor, Request.scores(assessor, "quality", attributes=True), tmp_path / "a.parquet").run(
        find_sources([str(photos)])
    )
    row = rows_of(tmp_path / "a.parquet")[0]
    assert row["composition_mean"] and row["quality_mean"] and "aesthetic_mean" not in row


def test_another_job_is_refused(
    run: Callable[..., JobSummary], assessor: AestheticAssessor, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another question, checkpoint or version in the same place: an error that names what differs, and nothing is touched."""
    run(photos)
    before = (tmp_path / "ratings.parquet").read_bytes()
    quality = RatingJob(assessor, Request.scores(assessor, "quality"), tmp_path / "ratings.parquet")
    with pytest.raises(JobError, match=r"questions was \['aesthetic'\], now \['quality'\]"):
        quality.run(find_sources([str(photos)]))
    other = lively_assessor(attributes=True)
    other.model.lm_head.weight.data += 0.01
    with pytest.raises(JobError, match="checkpoint was"):
        RatingJob(other, Request.scores(other), tmp_path / "ratings.parquet").run(find_sources([str(photos)]))
    with pytest.raises(JobError, match="profile was None, now abc"):
        run(photos, profile="abc")
    monkeypatch.setattr("aesthetic_mllm.jobs.table.__version__", "9.9")
    with pytest.raises(JobError, match=r"version was .*, now 9.9"):
        run(photos)
    assert (tmp_path / "ratings.parquet").read_bytes() == before


def test_what_is_no_jobs_output_is_left_alone(run: Callable[..., JobSummary], photos: Path, tmp_path: Path) -> None:
    """A table of somebody else's, a folder with something in it, a folder that another process works in."""
    (tmp_path / "ratings.parquet").write_bytes(b"mine")
    with pytest.raises(JobError, match="no job's"):
        run(photos)
    with pytest.raises(JobError, match="not empty"):
        run(photos, output="photos")
    with pytest.raises(JobError, match="a folder that exists"):
        run(photos, output="none/ratings.parquet")
    run(photos, output="folder")
    (tmp_path / "folder" / MANIFEST).write_text("{}")
    with pytest.raises(JobError, match="no manifest"):
        run(photos, output="folder")
    assert (tmp_path / "ratings.parquet").read_bytes() == b"mine"


def test_one_process_at_a_time(run: Callable[..., JobSummary], assessor: AestheticAssessor, photos: Path, tmp_path: Path) -> None:
    job = RatingJob(assessor, Request.scores(assessor), tmp_path / "ratings.parquet")
    with ShardFolder(job.parts, job.fingerprint), pytest.raises(JobError, match="another process is at work"):
        run(photos)
    assert run(photos).rated == 20


def test_failed_photos_are_tried_again_in_their_places(
    run: Callable[..., JobSummary], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only on demand; a photo that was mended gets its rating where its error was, one that was not keeps its error."""
    monkeypatch.setattr(rating_job, "SHARD_ROWS", 8)
    shutil.copytree(photos, tmp_path / "whole")
    run(tmp_path / "whole", output="whole.parquet")
    for name in ("0002.jpg", "0003.jpg", "0017.jpg"):
        (photos / name).write_bytes(b"junk")
    assert run(photos).failed == 3
    for name in ("0002.jpg", "0017.jpg"):
        shutil.copy(tmp_path / "whole" / name, photos / name)
    assert run(photos).failed == 3
    summary = run(photos, retry_failed=True)
    assert (summary.retried, summary.mended, summary.failed) == (3, 2, 1)
    assert (summary.rated, summary.before) == (2, 17) and [Path(each.path).name for each in summary.failures] == ["0003.jpg"]
    shutil.copy(tmp_path / "whole" / "0003.jpg", photos / "0003.jpg")
    assert run(photos, retry_failed=True).failed == 0
    assert_same(rows_of(tmp_path / "ratings.parquet"), rows_of(tmp_path / "whole.parquet"))


def test_edited_photos_are_rated_again_in_their_places(
    run: Callable[..., JobSummary], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two shards and run again: the table is that of the photos as they are; what is gone keeps its row."""
    monkeypatch.setattr(rating_job, "SHARD_ROWS", 8)
    run(photos)
    archive = write_archive(tmp_path / "x.tar", [("a.jpg", jpeg_bytes(scene())), ("b.jpg", jpeg_bytes(scene(70, 60)))])
    run(photos, Path(archive))
    for name, other in (("0001.jpg", 101), ("0009.jpg", 109), ("0019.jpg", 119)):
        (write_photos(tmp_path / "edited", 1, first=other) / f"{other:04}.jpg").rename(photos / name)
    write_archive(tmp_path / "x.tar", [("a.jpg", jpeg_bytes(scene())), ("b.jpg", jpeg_bytes(scene(80, 70)))])
    gone = (photos / "0004.jpg").read_bytes()
    (photos / "0004.jpg").unlink()
    assert (run(photos, Path(archive)).rated, run(photos, Path(archive)).changed) == (0, 0)
    write_shard = rating_job.write_shard
    shards = iter((True, False))

    def stop(*arguments: Any) -> None:
        if not next(shards):
            raise KeyboardInterrupt
        write_shard(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(rating_job, "write_shard", stop)
        with pytest.raises(KeyboardInterrupt):
            run(photos, Path(archive), check_changed=True)
    summary = run(photos, Path(archive), check_changed=True)
    assert (summary.changed, summary.rated, summary.before, summary.retried) == (3, 3, 19, 0)
    assert run(photos, Path(archive), check_changed=True).changed == 0
    (photos / "0004.jpg").write_bytes(gone)
    run(photos, Path(archive), output="anew.parquet")
    assert_same(rows_of(tmp_path / "ratings.parquet"), rows_of(tmp_path / "anew.parquet"))


def test_progress_is_of_the_input(assessor: AestheticAssessor, photos: Path, tmp_path: Path) -> None:
    """Photos that were rated before count where they are in the input, and not where they are in the table alone."""
    job = RatingJob(assessor, Request.scores(assessor), tmp_path / "ratings.parquet")
    told: list[Progress] = []
    job.run(find_sources([str(photos)]), progress=told.append)
    assert [each.done for each in told] == list(range(21)) and told[-1] == Progress("rating", 20, 0, 20)
    (photos / "0005.jpg").unlink()
    (photos / "0006.jpg").write_bytes(b"junk")
    write_photos(photos, 2, first=100)
    job.run(find_sources([str(photos)]), check_changed=True, progress=told.append)
    assert Progress("comparing", 19, 0, 20) in told and Progress("trying again", 1, 0, 1) in told
    assert told[-1] == Progress("rating", 2, 19, 21)


def test_the_input_may_grow(run: Callable[..., JobSummary], photos: Path, tmp_path: Path) -> None:
    """New photos come at the end, wherever their names are; photos that are gone keep their rows."""
    run(photos)
    write_photos(photos, 3, first=100)
    (photos / "0000a.jpg").write_bytes(jpeg_bytes(scene()))
    (photos / "0005.jpg").unlink()
    summary = run(photos)
    assert (summary.before, summary.rated) == (20, 4)
    found = names(rows_of(tmp_path / "ratings.parquet"))
    assert found == [*(f"{number:04}.jpg" for number in range(20)), "0000a.jpg", "0100.jpg", "0101.jpg", "0102.jpg"]


def test_a_photo_that_is_named_twice_has_one_row(run: Callable[..., JobSummary], photos: Path, tmp_path: Path) -> None:
    """Twice, and by its folder; two files with the same content are two photos."""
    shutil.copy(photos / "0001.jpg", photos / "copy.jpg")
    assert run(photos / "0001.jpg", photos / "0001.jpg", photos).rated == 21
    rows = rows_of(tmp_path / "ratings.parquet")
    assert names(rows)[:2] == ["0001.jpg", "0000.jpg"] and len({row["sha256"] for row in rows}) == 20


def test_any_name_is_kept(run: Callable[..., JobSummary], tmp_path: Path) -> None:
    """Line ends, quotes, and bytes that are no text: each has a row, is not rated again, and can be found by its bytes."""
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)
    wanted = [b"a\nb.jpg", b"c'\"\\xff.jpg", b"d\xff.jpg", b"e\\xff.jpg", "f\u2028ü.jpg".encode()]
    for name in wanted:
        try:
            with open(os.path.join(folder, name), "wb") as file:
                file.write(jpeg_bytes(scene()))
        except OSError:
            pytest.skip("this file system takes no such names")
    assert run(tmp_path / "odd").rated == 5 and run(tmp_path / "odd").rated == 0
    rows = rows_of(tmp_path / "ratings.parquet")
    exact = [row["path"].encode() if row["path_bytes"] is None else row["path_bytes"] for row in rows]
    assert sorted(os.path.basename(name) for name in exact) == wanted
    assert all(row["error"] is None for row in rows)


def test_damaged_shards_are_rated_again(
    run: Callable[..., JobSummary],
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The last shard is cut short, as a copy may leave it, and one was not finished: the table is as if nothing was."""
    monkeypatch.setattr(rating_job, "SHARD_ROWS", 8)
    run(photos)
    whole = (tmp_path / "ratings.parquet").read_bytes()
    *_, last = sorted((tmp_path / "ratings.parquet.parts").glob("part-*"))
    (last.with_name(f"_unfinished-{last.name}")).write_bytes(b"PAR1")
    last.write_bytes(last.read_bytes()[:-100])
    (tmp_path / "ratings.parquet").unlink()
    assert run(photos).rated == 4
    assert "is damaged" in caplog.text and not list(last.parent.glob("_unfinished*"))
    assert (tmp_path / "ratings.parquet").read_bytes() == whole


def test_the_table_does_not_depend_on_shards(
    run: Callable[..., JobSummary], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards of 8 and of 16 rows, row groups that cut across them: the same file."""
    monkeypatch.setattr("aesthetic_mllm.jobs.shards.GROUP_ROWS", 6)
    monkeypatch.setattr(rating_job, "SHARD_ROWS", 8)
    run(photos, output="a.parquet")
    monkeypatch.setattr(rating_job, "SHARD_ROWS", 16)
    run(photos, output="b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pyarrow.parquet.read_metadata(tmp_path / "a.parquet").num_row_groups == 4


def test_a_jobs_own_table_is_not_its_input(run: Callable[..., JobSummary], photos: Path, tmp_path: Path) -> None:
    """Nor is a shard of it, nor the table under another name; another job's table is."""
    run(photos / "0001.jpg", photos / "0002.jpg")
    before = (tmp_path / "ratings.parquet").read_bytes()
    (tmp_path / "link.parquet").symlink_to("ratings.parquet")
    (shard,) = (tmp_path / "ratings.parquet.parts").glob("part-*")
    for own in (tmp_path / "ratings.parquet", tmp_path / "link.parquet", shard):
        with pytest.raises(JobError, match="would grow by its own rows; choose another"):
            run(photos / "0003.jpg", own)
    assert (tmp_path / "ratings.parquet").read_bytes() == before
    assert run(tmp_path / "ratings.parquet", output="other.parquet").rated == 2


def test_a_damaged_place_does_not_keep_the_rest_from_being_rated(
    run: Callable[..., JobSummary], photos: Path, tmp_path: Path
) -> None:
    """A row group, of which nothing can be read: told each time, and the table has what is behind it."""
    columns = {"jpg": [path.read_bytes() for path in sorted(photos.iterdir())[:9]]}
    name = tmp_path / "in.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), name, row_group_size=3)
    found = pyarrow.parquet.read_metadata(name).row_group(1).column(0)
    start = found.dictionary_page_offset or found.data_page_offset
    content = bytearray(name.read_bytes())
    content[start : start + 60] = b"\xff" * 60
    name.write_bytes(content)
    summary = run(name, photos)
    assert (summary.rated, summary.problems, summary.failed) == (26, 1, 0)
    assert len(rows_of(tmp_path / "ratings.parquet")) == 26
    assert run(name, photos).problems == 1


def test_a_job_over_a_server_goes_on(assessor: AestheticAssessor, photos: Path, tmp_path: Path) -> None:
    """At another address too: the name stands for the checkpoint. A server that fails ends the run, not the job; a checkpoint
    by another name is another job."""

    def run_job(server: FakeChatServer, *paths: Path, **options: Any) -> JobSummary:
        engine = ServerEngine(ChatClient([server.address], retries=0, concurrency=4), assessor.processor, **options)
        served = ServerAssessor(engine)
        return RatingJob(served, Request.scores(served), tmp_path / "s.parquet").run(find_sources(map(str, paths)))

    with running(FakeChatServer(assessor)) as server:
        assert run_job(server, photos / "0000.jpg", photos / "0001.jpg").rated == 2
        server.troubles = [500]
        with pytest.raises(ServerError):
            run_job(server, photos)
    (photos / "0007.jpg").write_bytes(b"junk")
    with running(FakeChatServer(assessor)) as server:
        summary = run_job(server, photos)
        assert (summary.before, summary.rated, summary.failed) == (2, 17, 1)
        with pytest.raises(JobError, match=r"checkpoint was nano \(served\) .*, now another \(served\)"):
            run_job(server, photos, served_model="another")
    rows = rows_of(tmp_path / "s.parquet")
    wanted = assessor.score(sorted(photos.iterdir()), on_error="return")
    for row, rating in zip(rows, wanted, strict=True):
        assert row["aesthetic_mean"] == (None if isinstance(rating, Exception) else pytest.approx(rating.mean, abs=1e-4))


@pytest.mark.slow
def test_photos_are_read_in_processes(run: Callable[..., JobSummary], photos: Path, tmp_path: Path) -> None:
    """Reader processes give the same file, errors included."""
    (photos / "0004.jpg").write_bytes(b"junk")
    run(photos)
    assert run(photos, output="b.parquet", reading=Reading(processes=2)).failed == 1
    assert (tmp_path / "ratings.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
