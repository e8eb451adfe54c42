"""The job: photos in, shards out; what a run that was killed has written is not done again."""

import logging
import os
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..engine.engine import DEFAULT_BATCH_SIZE
from ..inference.base_assessor import BaseAssessor
from ..processing.image_loading import ImageError
from .job_error import JobError
from .progress import COMPARING, RATING, TRYING_AGAIN, Counter, Tell, untold
from .reading import PhotoFacts, Readers, file_digest
from .shards import Failure, ShardFolder, content_key, key_digest, parts_of, write_shard
from .sources import Item, Sources, TableRows
from .table import Request, Row, RowMaker, fingerprint, key_bytes, keys, to_table

# A shard is full at so many rows, and is written after so many seconds though it is not.
SHARD_ROWS, SHARD_SECONDS = 2048, 10.0
NAMED = 5  # photos with errors, in a summary
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
    """What a run did. The table has `rated + before + failed` rows.

    Args:
        path: of the table, a file or the folder of the shards.
        rated: photos that it rated, those that it tried again among them.
        before: photos with a rating by an earlier run.
        failed: photos that cannot be judged: rows with an error.
        failures: the first few of these.
        retried: photos with errors that it tried again.
        mended: how many of these have a rating now.
        changed: photos that had a rating, were edited, and were therefore tried again.
        problems: places of the input that cannot be read, such as a closed folder.
    """

    path: Path
    rated: int = 0
    before: int = 0
    failed: int = 0
    failures: tuple[Failure, ...] = ()
    retried: int = 0
    mended: int = 0
    changed: int = 0
    problems: int = 0

    def count(self, folder: ShardFolder, rated_at_start: int) -> None:
        """Takes from the table what is in it now.

        Args:
            folder: of the shards.
            rated_at_start: rows that had a rating when the run began.
        """
        rows, self.failed = folder.counts()
        self.failures = folder.failures(NAMED)
        self.before = rated_at_start - self.changed
        self.rated = rows - self.failed - self.before


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
        self, sources: Sources, *, retry_failed: bool = False, check_changed: bool = False, progress: Tell = untold
    ) -> JobSummary:
        """Rates what is not rated yet.

        Args:
            sources: the photos.
            retry_failed: whether photos with an error are tried again first; those that succeed keep their place in the table.
            check_changed: whether the files of all photos that are done are read, and photos whose bytes have changed are rated
                again in their places.
            progress: is told how far the run is.

        Raises:
            JobError: the output belongs to another job or to something else, is part of the input, or cannot be written; or
                another process works at it.
        """
        self.check_output(sources)
        summary = JobSummary(self.output)
        with ShardFolder(self.parts, self.fingerprint) as folder:
            rows, failed = folder.counts()
            readers = self._readers()
            try:
                again = folder.failed() if retry_failed else {}
                if check_changed:
                    again |= self._changed(folder, sources, progress)
                if again:
                    self._try_again(folder, sources, readers, again, summary, progress)
                self._append(folder, sources, readers, summary, progress)
            finally:
                readers.close()
            if self.output != self.parts:
                folder.consolidate(self.output)
            summary.count(folder, rows - failed)
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

    def _append(self, folder: ShardFolder, sources: Sources, readers: Readers, summary: JobSummary, progress: Tell) -> None:
        """Rates what is not in the table; writes shards that end where batches do, so that the next run has the same batches."""
        done = folder.done()
        counter = Counter(progress, RATING, sources.total)

        def wanted(key: str) -> bool:
            known = key_bytes(key) in done
            if known:
                counter.knew()
            return not known

        waiting: list[Row] = []
        begun = time.monotonic()
        for _, row in self._rows(self._photos(sources.items(wanted), summary), readers):
            waiting.append(row)
            counter.did()
            if len(waiting) % self.reading.batch_size:
                continue
            if len(waiting) >= SHARD_ROWS or time.monotonic() - begun > SHARD_SECONDS:
                folder.append(waiting)
                begun = time.monotonic()
                waiting = []
        if waiting:
            folder.append(waiting)

    def _changed(self, folder: ShardFolder, sources: Sources, progress: Tell) -> dict[bytes, Path]:
        """Photos whose files hold other bytes than when they were rated, as `ShardFolder.places` gives them."""
        done, contents = folder.done(), folder.contents()
        counter = Counter(progress, COMPARING, len(done))
        changed = set()
        for item in sources.items(lambda key: key_bytes(key) in done):
            if isinstance(item, Item):
                key, digest = key_bytes(item.key), file_digest(item.photo)
                if digest is not None and content_key(key, digest) not in contents:  # a file that is gone keeps its row
                    changed.add(key_digest(key))
                counter.did()
        return folder.places(changed)

    def _try_again(
        self,
        folder: ShardFolder,
        sources: Sources,
        readers: Readers,
        places: dict[bytes, Path],
        summary: JobSummary,
        progress: Tell,
    ) -> None:
        """Rates photos again, and writes each shard anew when all of its photos were tried.

        Args:
            places: the shard of each photo, by the digest of its key.
        """
        left: dict[Path, set[bytes]] = defaultdict(set)
        for digest, shard in places.items():
            left[shard].add(digest)
        again: dict[Path, dict[bytes, Row]] = defaultdict(dict)
        counter = Counter(progress, TRYING_AGAIN, len(places))
        found = (item for item in sources.items(lambda key: key_digest(key_bytes(key)) in places) if isinstance(item, Item))
        for key, row in self._rows(found, readers):
            digest = key_digest(key_bytes(key))
            shard = places[digest]
            again[shard][digest] = row
            left[shard].discard(digest)
            counter.did()
            if not left[shard]:
                _write_again(folder, shard, again.pop(shard), summary)
        for shard, rows in again.items():
            _write_again(folder, shard, rows, summary)


def _write_again(folder: ShardFolder, shard: Path, rows: dict[bytes, Row], summary: JobSummary) -> None:
    table = folder.table(shard)
    written = []
    for key, old in zip(keys(table), table.to_pylist(), strict=True):
        new = rows.get(key_digest(key))
        written.append(old if new is None else new)
        if new is None:
            continue
        if old["error"] is None:
            summary.changed += 1
        else:
            summary.retried += 1
            summary.mended += new.get("error") is None
    write_shard(shard, to_table(written, folder.columns))
