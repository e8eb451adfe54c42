"""A cluster's rows are a local job's: with one actor and with two, and where one is killed in the middle."""

import pickle
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.jobs.job_error import JobError
from aesthetic_mllm.jobs.rating_job import RatingJob
from aesthetic_mllm.jobs.shards import KeySet, ShardFolder
from aesthetic_mllm.jobs.sources import Files, Item, Sources, find_sources
from aesthetic_mllm.jobs.table import Request
from jobs_archive import write_archive
from photo_files import jpeg_bytes, scene

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]
ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

COUNT, A_FRAGMENT = 120, 8


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=150_000_000)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(COUNT):
        (folder / f"{number:03}.jpg").write_bytes(jpeg_bytes(scene(50 + number, 50)))
    (folder / "050.jpg").write_bytes(b"junk")
    return folder


@pytest.fixture(scope="module")
def sources(photos: Path) -> Sources:
    """The photos in small fragments, so that there is work for two."""
    paths = sorted(map(str, photos.iterdir()))
    return Sources([Files(tuple(paths[start : start + A_FRAGMENT])) for start in range(0, len(paths), A_FRAGMENT)], total=COUNT)


@pytest.fixture(scope="module")
def local(checkpoint: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a local job says."""
    assessor = AestheticAssessor.from_pretrained(checkpoint)
    output = tmp_path_factory.mktemp("local") / "ratings.parquet"
    RatingJob(assessor, Request.scores(assessor), output).run(find_sources([str(photos)]))
    return pyarrow.parquet.read_table(output).to_pylist()


def assert_same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    by_path = sorted(found, key=lambda row: row["path"])
    assert [row["path"] for row in by_path] == [row["path"] for row in wanted]
    for one, other in zip(by_path, wanted, strict=True):
        assert one["aesthetic_mean"] == pytest.approx(other["aesthetic_mean"], abs=1e-5)
        assert {key: one[key] for key in ("sha256", "error", "checkpoint", "version")} == {
            key: other[key] for key in ("sha256", "error", "checkpoint", "version")
        }


def kill_an_actor(name: str, parts: Path) -> list[int]:
    """Kills the process of one actor as soon as two shards are there; its id."""
    psutil = pytest.importorskip("psutil")
    end = time.monotonic() + 900
    while time.monotonic() < end:
        if len(list(parts.glob("part-*"))) >= 2:
            for process in psutil.Process().children(recursive=True):
                if name in " ".join(process.cmdline()):
                    process.send_signal(signal.SIGKILL)
                    return [process.pid]
        time.sleep(0.05)
    return []


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("actors", [1, 2])
def test_rows_are_those_of_a_local_job(
    checkpoint: Path, sources: Sources, local: list[dict[str, Any]], tmp_path: Path, actors: int
) -> None:
    from aesthetic_mllm.integrations.ray import Pool, Rating, run_job

    output = tmp_path / "ratings.parquet"
    summary = run_job(sources, output, Rating(str(checkpoint)), Pool(actors))
    assert (summary.rated, summary.failed) == (COUNT - 1, 1)
    rows = pyarrow.parquet.read_table(output).to_pylist()
    assert [row["path"] for row in rows] == [row["path"] for row in local]  # in the same order
    assert_same(rows, local)


@pytest.mark.usefixtures("cluster")
def test_a_killed_actor_loses_nothing(checkpoint: Path, sources: Sources, local: list[dict[str, Any]], tmp_path: Path) -> None:
    """One of two is killed in the middle; then the local job finds nothing left to do, and another job is refused."""
    from aesthetic_mllm.integrations.ray import Pool, Rating, run_job

    output = tmp_path / "ratings.parquet"
    killed: list[int] = []
    killer = threading.Thread(target=lambda: killed.extend(kill_an_actor("ShardWriter", tmp_path / "ratings.parquet.parts")))
    killer.start()
    summary = run_job(sources, output, Rating(str(checkpoint)), Pool(2))
    killer.join()
    assert len(killed) == 1 and summary.rated == COUNT - 1
    assert_same(pyarrow.parquet.read_table(output).to_pylist(), local)
    assessor = AestheticAssessor.from_pretrained(checkpoint)
    assert RatingJob(assessor, Request.scores(assessor), output).run(sources).rated == 0
    with pytest.raises(JobError, match="another job's"):
        run_job(sources, output, Rating(str(checkpoint), question="quality"))


@pytest.mark.usefixtures("cluster")
def test_rays_own_checkpoints(checkpoint: Path, sources: Sources, local: list[dict[str, Any]], tmp_path: Path) -> None:
    """A pipeline that stopped after some of the photos rates only the others when it runs again."""
    from ray.data.checkpoint import CheckpointConfig

    from aesthetic_mllm.integrations.ray import Rating, rate, read_photos

    context = ray.data.DataContext.get_current()
    context.checkpoint_config = CheckpointConfig(
        id_column="path", checkpoint_path=str(tmp_path / "done"), delete_checkpoint_on_success=False
    )
    try:
        some = Sources(sources.fragments[:5], total=40)
        rate(read_photos(some), Rating(str(checkpoint))).write_parquet(str(tmp_path / "ratings"))
        first = set((tmp_path / "ratings").iterdir())
        rate(read_photos(sources), Rating(str(checkpoint))).write_parquet(str(tmp_path / "ratings"), mode="append")
    finally:
        context.checkpoint_config = None
    more = set((tmp_path / "ratings").iterdir()) - first
    assert sum(pyarrow.parquet.read_metadata(file).num_rows for file in more) == COUNT - 40
    assert_same(pyarrow.parquet.read_table(tmp_path / "ratings").to_pylist(), local)


def test_an_archive_is_rated_shard_by_shard(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more of it is in memory than is read ahead, and a task that is done again goes on behind the shards that are there."""
    from aesthetic_mllm.integrations import ray as on_ray

    archive = write_archive(tmp_path / "0.tar", [(f"{number}.jpg", jpeg_bytes(scene(50 + number, 50))) for number in range(10)])
    job = on_ray.Rating(str(checkpoint), batch_size=1).job(tmp_path / "out")
    monkeypatch.setattr(on_ray, "SHARD_ROWS", 4)
    with ShardFolder(job.parts, job.fingerprint) as folder:
        KeySet(()).save(job.parts / "_unfinished-done.npy")
        writer = on_ray.ShardWriter(str(job.parts / "_unfinished-done.npy"), job.fingerprint, on_ray.Rating(str(checkpoint)))
        (fragment,) = find_sources([archive]).fragments
        task = {"number": [3], "fragment": [pickle.dumps(fragment)]}
        held = _most_held(monkeypatch)
        assert writer(task) == {"problems": [0]} and max(held) < 10
        assert [path.name for path in sorted(job.parts.glob("part-*"))] == [f"part-000003-000{part}.parquet" for part in range(3)]
        (job.parts / "part-000003-0002.parquet").unlink()
        rated: list[int] = []
        rate = writer.job.rate
        monkeypatch.setattr(writer.job, "rate", lambda items: (rows := rate(items), rated.append(len(rows)))[0])
        writer(task)
        assert rated == [2, 0]
        folder.look_again()
        assert folder.counts() == (10, 0) and folder.next_number() == 4
        folder.consolidate(tmp_path / "out.parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["name"] for row in rows] == [f"{number}.jpg" for number in range(10)]


def _most_held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many photos of an archive were read, less those that are rated, whenever one more is."""
    from aesthetic_mllm.jobs import rating_job, sources

    held, now = [0], 0
    made, row = sources.Item, rating_job.RowMaker.row

    def item(*arguments: Any) -> Any:
        nonlocal now
        now += 1
        held.append(now)
        return made(*arguments)

    def rated(*arguments: Any) -> Any:
        nonlocal now
        now -= 1
        return row(*arguments)

    monkeypatch.setattr(sources, "Item", item)
    monkeypatch.setattr(rating_job.RowMaker, "row", rated)
    return held


def test_a_pipeline_reads_a_fragment_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block comes before the last photo is read; a fragment without photos has a block of none."""
    from aesthetic_mllm.integrations import ray as on_ray

    monkeypatch.setattr(on_ray, "ROWS_A_BLOCK", 2)
    seen: list[str] = []

    class Fragment:
        def items(self, wanted: Any) -> Iterator[Item]:
            for number in range(5):
                seen.append(str(number))
                yield Item(str(number), b"x")

    blocks = on_ray.Blocks(Fragment())()
    first = next(blocks)
    assert len(seen) == 2 and first.column("path").to_pylist() == ["0", "1"]
    assert [len(block) for block in blocks] == [2, 1]
    assert [len(block) for block in on_ray.Blocks(Files(()))()] == [0] and isinstance(first, pa.Table)
