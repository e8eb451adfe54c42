"""Jobs on a cluster with Ray Data: a pool of actors, each with its own copy of the model; the rows of a local job.

There are two ways, which differ in who remembers what is done.

- [`run_job`] writes the folder of a local job: shards and manifest. A fragment of the input (256 files, a row group, an archive,
  a data set of the Hub) is one task, which writes a shard every `SHARD_ROWS` photos. A run that goes on looks up what is done
  among 16 bytes a photo. The local command goes on in that folder, and the other way round.
- [`read_photos`] and [`rate`] are steps of any Ray Data pipeline, with Ray's own `CheckpointConfig(id_column="path")`. It holds
  all ids that are done as Python strings, once for each actor that filters by them, and filters after reading. It is the simpler
  way up to a few million photos.
"""

import itertools
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray.data
from ray.data import ActorPoolStrategy
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from ..inference.assessor import AestheticAssessor
from ..jobs.job_error import JobError
from ..jobs.rating_job import SHARD_ROWS, JobSummary, RatingJob, Reading
from ..jobs.shards import UNFINISHED, KeySet, ShardFolder, key_digest, shard_path, write_shard, written, written_parts
from ..jobs.sources import Fragment, Item, Sources
from ..jobs.table import Request, key_bytes, schema, text, to_table
from ..processing.image_loading import ImageError

# What the photos of a pipeline are before they are rated: `photo` holds a file's bytes; nothing where the path is a file.
PHOTOS = pa.schema(
    {"path": pa.string(), "path_bytes": pa.binary(), "name": pa.string(), "photo": pa.binary(), "file": pa.binary()}
)
ROWS_A_BLOCK = 256


@dataclass(frozen=True)
class Rating:
    """What every actor does.

    Args:
        model: folder that every node sees, or Hub id; default the embedded checkpoint.
        question: default the checkpoint's own.
        attributes: whether attributes are rated too.
        assess: whether everything is asked that the checkpoint can say; then question and attributes do not matter.
        dtype, device: of the model; default the GPU where there is one.
        batch_size: photos in one forward.
    """

    model: str | None = None
    question: str | None = None
    attributes: bool = False
    assess: bool = False
    dtype: str = "float32"
    device: str | None = None
    batch_size: int = 8

    def job(self, output: Path = Path("ratings"), device: str | None = None) -> RatingJob:
        """Loads the model."""
        assessor = AestheticAssessor.from_pretrained(self.model, dtype=self.dtype, device=device or self.device)
        scores = Request.scores(assessor, self.question, attributes=self.attributes)
        request = Request.assessments(assessor) if self.assess else scores
        return RatingJob(assessor, request, output, reading=Reading(batch_size=self.batch_size))


@dataclass(frozen=True)
class Pool:
    """The actors.

    Args:
        size: how many.
        num_gpus, num_cpus: of each.
    """

    size: int = 1
    num_gpus: float = 0
    num_cpus: float = 1

    def options(self) -> dict[str, Any]:
        """Arguments of `map_batches`."""
        return {"compute": ActorPoolStrategy(size=self.size), "num_gpus": self.num_gpus, "num_cpus": self.num_cpus}


def run_job(sources: Sources, output: Path, rating: Rating | None = None, pool: Pool | None = None) -> JobSummary:
    """Rates what is not rated yet, as [`RatingJob.run`] does.

    Args:
        sources: photos that every node sees at their paths.
        output: the table; its folder of shards must be seen by every node.
        rating: what the actors do.
        pool: how many there are.

    Raises:
        JobError: as of [`RatingJob.run`].
    """
    rating, pool = rating or Rating(), pool or Pool()
    job = rating.job(output, device="cpu")
    job.check_output(sources)
    summary = JobSummary(output, problems=len(sources.problems))
    with ShardFolder(job.parts, job.fingerprint) as folder:
        rows, failed = folder.counts()
        done = folder.done()
        numbers = itertools.count(folder.next_number())
        tasks = [
            {"number": number, "fragment": pickle.dumps(fragment)}
            for number, fragment in zip(numbers, sources.fragments, strict=False)
        ]
        known = job.parts.absolute() / f"{UNFINISHED}done.npy"
        with written(known, known.with_name(f"{UNFINISHED}{known.name}")) as unfinished:
            done.save(unfinished)  # not in the object store: actors that start again after a node is lost would not find it
        arguments = (str(known), dict(job.fingerprint), rating)
        results = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            ShardWriter, batch_size=1, fn_constructor_args=arguments, **pool.options()
        )
        for row in results.iter_rows():
            summary.problems += row["problems"]
        folder.look_again()
        if output != job.parts:
            folder.consolidate(output)
        summary.count(folder, rows - failed)
    return summary


def read_photos(sources: Sources) -> "ray.data.Dataset":
    """A data set of photos to rate, a fragment a task: columns as of `PHOTOS`. Places that cannot be read are left out."""
    return ray.data.read_datasource(_PhotoSource(sources.fragments), override_num_blocks=max(1, len(sources.fragments)))


def rate(photos: "ray.data.Dataset", rating: Rating | None = None, pool: Pool | None = None) -> "ray.data.Dataset":
    """The rows of a local job, of photos as [`read_photos`] gives them."""
    rating, pool = rating or Rating(), pool or Pool()
    return photos.map_batches(
        _Rater, batch_size=ROWS_A_BLOCK, batch_format="pyarrow", fn_constructor_args=(rating,), **pool.options()
    )


class _Rater:
    """An actor that turns photos into rows."""

    def __init__(self, rating: Rating):
        self.job = rating.job()
        self.columns = schema(self.job.fingerprint)

    def __call__(self, photos: pa.Table) -> pa.Table:
        return to_table(self.job.rate(map(_as_item, photos.to_pylist())), self.columns)


class ShardWriter:
    """An actor that rates a fragment and writes its shards; done again after a crash, it goes on behind the last whole one.

    Args:
        known: file of a [`KeySet`] in the job's folder: what earlier runs have done.
        fingerprint: of the job.
        rating: what to do.
    """

    def __init__(self, known: str, fingerprint: dict[str, Any], rating: Rating):
        self.job = rating.job()
        if self.job.fingerprint != fingerprint:
            raise JobError(f"the checkpoint is another one on this node: {self.job.fingerprint}, and not {fingerprint}.")
        self.folder, self.done = Path(known).parent, KeySet.load(Path(known))

    def __call__(self, tasks: dict[str, Any]) -> dict[str, list[int]]:
        """How many places of each task's fragment cannot be read.

        Args:
            tasks: "number" of each one's shards, and its "fragment", pickled.
        """
        fragments = map(pickle.loads, tasks["fragment"])
        return {"problems": [self._write(*each) for each in zip(map(int, tasks["number"]), fragments, strict=True)]}

    def _write(self, number: int, fragment: Fragment) -> int:
        part, earlier = written_parts(self.folder, number)
        problems = 0

        def photos() -> Iterator[Item]:
            nonlocal problems
            for item in fragment.items(lambda key: self._is_new(key_bytes(key), earlier)):
                if isinstance(item, Item):
                    yield item
                else:
                    problems += 1

        left = photos()
        while rows := self.job.rate(itertools.islice(left, SHARD_ROWS)):
            write_shard(shard_path(self.folder, number, part), to_table(rows, schema(self.job.fingerprint)))
            part += 1
        return problems

    def _is_new(self, key: bytes, earlier: set[bytes]) -> bool:
        return key not in self.done and key_digest(key) not in earlier


class _PhotoSource(Datasource):
    """Reads fragments, each in a task of its own."""

    def __init__(self, fragments: Iterable[Fragment]):
        super().__init__()
        self.fragments = list(fragments)

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, parallelism: int, *arguments: Any, **options: Any) -> list[ReadTask]:
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        return [ReadTask(Blocks(fragment), unknown, PHOTOS) for fragment in self.fragments]


@dataclass(frozen=True)
class Blocks:
    """A fragment's photos as blocks."""

    fragment: Fragment

    def __call__(self) -> Iterator[pa.Table]:
        rows = (_as_row(item) for item in self.fragment.items(lambda key: True) if not isinstance(item, ImageError))
        yield pa.Table.from_pylist(list(itertools.islice(rows, ROWS_A_BLOCK)), PHOTOS)  # one at least, for its columns
        while block := list(itertools.islice(rows, ROWS_A_BLOCK)):
            yield pa.Table.from_pylist(block, PHOTOS)


def _as_row(item: Item) -> dict[str, Any]:
    path, is_file = text(item.key), isinstance(item.photo, str)
    return {
        "path": path,
        "path_bytes": None if path == item.key else key_bytes(item.key),
        "name": item.name,
        "photo": None if is_file else item.photo,
        "file": key_bytes(item.photo) if isinstance(item.photo, str) else None,
    }


def _as_item(row: dict[str, Any]) -> Item:
    key = row["path"] if row["path_bytes"] is None else row["path_bytes"].decode("utf-8", "surrogateescape")
    photo = row["photo"] if row["file"] is None else row["file"].decode("utf-8", "surrogateescape")
    return Item(key, photo, row["name"])
