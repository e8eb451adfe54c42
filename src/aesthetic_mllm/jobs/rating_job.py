"""The job: photos in, shards out; what a run that was killed has written is not done again."""

import logging
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..engine.engine import DEFAULT_BATCH_SIZE
from ..inference.base_assessor import BaseAssessor
from ..processing.image_loading import ImageError
from .job_error import JobError
from .reading import PhotoFacts, Readers
from .shards import ShardFolder, key_digest, write_shard
from .sources import Item, Sources, TableRows
from .table import Request, Row, RowMaker, fingerprint, key_bytes, keys, to_table

SUFFIX, PARTS = ".parquet", ".parts"
# A shard is full at so many rows, and is written after so many seconds though it is not.
SHARD_ROWS, SHARD_SECONDS = 2048, 10.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """How photos are read.

    Args:
        processes: that decode photos; 0: threads of this process do.
        batch_size: photos in one forward.
    """

    processes: int = 0
    batch_size: int = DEFAULT_BATCH_SIZE


@dataclass
class JobSummary:
    """What a run did.

    Args:
        before: photos that were done when it began.
        rated: photos that it did, those with errors included.
        retried: photos with errors that it tried again.
        failed: rows with an error in the table now.
        problems: places of the input that cannot be read, such as a closed folder.
        path: of the table, a file or the folder of the shards.
    """

    path: Path
    before: int = 0
    rated: int = 0
    retried: int = 0
    failed: int = 0
    problems: int = 0


class RatingJob:
    """Rates photos into a table, and goes on where an earlier run stopped.

    ```python
    job = RatingJob(assessor, Request.scores(assessor), Path("ratings.parquet"))
    job.run(find_sources(["photos/"]))
    ```

    A photo is known by its key: one that is in the table is not rated again, one that is new comes at the end. An output that
    ends in `.parquet` is one file, made at the end from the shards in the folder `<output>.parts`; another output is that folder.

    Args:
        assessor: that rates.
        request: what is asked of every photo.
        output: the table.
        profile: digest of the file of the assessor's profile, if it has one.
        reading: how photos are read.
    """

    def __init__(
        self,
        assessor: BaseAssessor,
        request: Request,
        output: Path,
        *,
        profile: str | None = None,
        reading: Reading | None = None,
    ):
        self.assessor, self.request, self.output = assessor, request, output
        self.reading = reading or Reading()
        self.fingerprint = fingerprint(assessor, request, profile)
        self._maker = RowMaker(request, self.fingerprint)

    @property
    def parts(self) -> Path:
        """The folder of the shards."""
        return parts_of(self.output)

    def run(
        self, sources: Sources, *, retry_failed: bool = False, progress: Callable[[int], object] = lambda rows: None
    ) -> JobSummary:
        """Rates what is not rated yet.

        Args:
            sources: the photos.
            retry_failed: whether photos with an error are tried again first; those that succeed keep their place in the table.
            progress: is told of so many more photos that are done, those of earlier runs among them.

        Raises:
            JobError: the output belongs to another job or to something else, is part of the input, or cannot be written; or
                another process works at it.
        """
        self.check_output(sources)
        summary = JobSummary(self.output)
        with ShardFolder(self.parts, self.fingerprint) as folder:
            readers = self._readers()
            try:
                if retry_failed:
                    summary.retried = self._retry(folder, sources, readers)
                done = folder.done()
                summary.before = len(done)
                progress(len(done))
                found = self._photos(sources.items(lambda key: key_bytes(key) not in done), summary)
                summary.rated = self._append(folder, self._rows(found, readers), progress)
            finally:
                readers.close()
            if self.output != self.parts:
                folder.consolidate(self.output)
            summary.failed = folder.counts()[1]
        return summary

    def check_output(self, sources: Sources) -> None:
        """Raises a `JobError` where the output cannot be a job's, or is an input of this one."""
        if not self.output.absolute().parent.is_dir():
            raise JobError(f"the output {self.output} must be in a folder that exists.")
        if self.output != self.parts and self.output.exists() and not self.parts.is_dir():
            raise JobError(f"the output {self.output} is there, and no job's: {self.parts} is missing. Choose another name.")
        output, parts = os.path.realpath(self.output), os.path.realpath(self.parts)
        for path in dict.fromkeys(each.path for each in sources.fragments if isinstance(each, TableRows)):
            table = os.path.realpath(path)
            if table == output or os.path.dirname(table) == parts:
                raise JobError(f"{path} belongs to the output {self.output}, which would grow by its own rows; choose another.")

    def rate(self, items: Iterable[Item]) -> list[Row]:
        """The rows of photos, without writing them anywhere."""
        readers = self._readers()
        try:
            return [row for _, row in self._rows(items, readers)]
        finally:
            readers.close()

    def _readers(self) -> Readers:
        import torch

        processes, beside = self.reading.processes, self.assessor.engine.reads_ahead
        ahead = 2 * self.reading.batch_size if beside else self.reading.batch_size
        return Readers(
            self.assessor.processor.image_processor,
            workers=processes or (max(2, os.cpu_count() or 2) if beside else torch.get_num_threads()),
            processes=processes > 0,
            ahead=max(ahead, 2 * processes),
            beside=beside or processes > 0,
        )

    def _photos(self, found: Iterable[Item | ImageError], summary: JobSummary) -> Iterator[Item]:
        for item in found:
            if isinstance(item, Item):
                yield item
            else:
                summary.problems += 1
                logger.warning("%s", item)

    def _rows(self, items: Iterable[Item], readers: Readers) -> Iterator[tuple[str, Row]]:
        """The key and the row of each photo, in order."""
        waiting: deque[PhotoFacts] = deque()

        def photos() -> Iterator[Image.Image | ImageError]:
            for facts, photo in readers.read(items):
                waiting.append(facts)
                yield photo

        for answer in self.request.stream(self.assessor, photos(), self.reading.batch_size):
            facts = waiting.popleft()
            yield facts.key, self._maker.row(facts, answer)

    def _append(self, folder: ShardFolder, rows: Iterator[tuple[str, Row]], progress: Callable[[int], object]) -> int:
        """Writes rows in shards that end where batches do, so that the next run has the same batches."""
        waiting: list[Row] = []
        count, begun = 0, time.monotonic()
        for _, row in rows:
            waiting.append(row)
            if len(waiting) % self.reading.batch_size:
                continue
            progress(self.reading.batch_size)
            if len(waiting) >= SHARD_ROWS or time.monotonic() - begun > SHARD_SECONDS:
                folder.append(waiting)
                count, begun = count + len(waiting), time.monotonic()
                waiting = []
        if waiting:
            folder.append(waiting)
            progress(len(waiting) % self.reading.batch_size)
        return count + len(waiting)

    def _retry(self, folder: ShardFolder, sources: Sources, readers: Readers) -> int:
        """Tries photos with errors again, and writes each shard anew when all of its photos were tried."""
        failed = folder.failed()
        left: dict[Path, set[bytes]] = defaultdict(set)
        for digest, shard in failed.items():
            left[shard].add(digest)
        again: dict[Path, dict[bytes, Row]] = defaultdict(dict)
        found = (item for item in sources.items(lambda key: key_digest(key_bytes(key)) in failed) if isinstance(item, Item))
        count = 0
        for key, row in self._rows(found, readers):
            digest = key_digest(key_bytes(key))
            shard = failed[digest]
            again[shard][digest] = row
            left[shard].discard(digest)
            count += 1
            if not left[shard]:
                _write_again(folder, shard, again.pop(shard))
        for shard, rows in again.items():
            _write_again(folder, shard, rows)
        return count


def parts_of(output: Path) -> Path:
    """Where the shards of an output are."""
    return output.with_name(output.name + PARTS) if output.suffix.lower() == SUFFIX else output


def _write_again(folder: ShardFolder, shard: Path, rows: dict[bytes, Row]) -> None:
    table = folder.table(shard)
    new = [rows.get(key_digest(key), row) for key, row in zip(keys(table), table.to_pylist(), strict=True)]
    write_shard(shard, to_table(new, folder.columns))
