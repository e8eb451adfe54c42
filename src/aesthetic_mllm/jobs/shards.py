"""A job's folder: a manifest and parquet shards, of which each is whole or not there."""

import errno
import json
import logging
import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout

from .job_error import JobError
from .table import Row, keys, schema, to_table

if TYPE_CHECKING:
    import pyarrow

FORMAT = 1
# Names with such beginnings are passed over by whoever reads the folder as a table: pandas, Arrow, Spark, DuckDB.
MANIFEST, LOCK = "_manifest.json", ".lock"
UNFINISHED, DAMAGED = "_unfinished-", "_damaged-"
SUFFIX, PARTS = ".parquet", ".parts"
_SHARD = re.compile(r"part-\d{6,}(-\d{4,})?\.parquet")
# Rows that the consolidated table holds in a row group, and that are in memory while it is written.
GROUP_ROWS = 16_384
logger = logging.getLogger(__name__)


class Failure(NamedTuple):
    """A photo that cannot be judged, and why."""

    path: str
    reason: str


def parts_of(output: Path) -> Path:
    """Where the shards of an output are."""
    return output.with_name(output.name + PARTS) if output.suffix.lower() == SUFFIX else output


def shard_path(folder: Path, number: int, part: int | None = None) -> Path:
    """Where a shard is, or a part of those that have one number."""
    return folder / (f"part-{number:06}.parquet" if part is None else f"part-{number:06}-{part:04}.parquet")


def written_parts(folder: Path, number: int) -> tuple[int, set[bytes]]:
    """How many parts of a number are written, the first ones without a gap, and the digests of their keys."""
    part, digests = 0, set[bytes]()
    while (shard := shard_path(folder, number, part)).exists():
        try:
            digests.update(map(key_digest, keys(_read(shard, ("path", "path_bytes")))))
        except _DamageError:
            break
        part += 1
    return part, digests


def write_shard(shard: Path, table: "pyarrow.Table") -> None:
    """Writes a shard in the place of what is there; whoever looks sees one of both, and both are whole."""
    import pyarrow.parquet

    with written(shard, shard.with_name(f"{UNFINISHED}{uuid4().hex}-{shard.name}")) as unfinished:
        with open(unfinished, "wb") as file:
            # checksums tell damage from odd values when the shard is read
            pyarrow.parquet.write_table(table, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def written(path: Path, unfinished: Path) -> Iterator[Path]:
    """Where to write a file that takes its place when it is whole, and is removed when it is not.

    Raises:
        JobError: it cannot be written, such as on a full disk.
    """
    import pyarrow as pa

    try:
        yield unfinished
        os.replace(unfinished, path)
    except (OSError, pa.ArrowException) as error:
        raise JobError(_unwritten(path, error)) from error
    finally:
        try:
            unfinished.unlink(missing_ok=True)
        except OSError:
            pass  # the next run removes it


def _unwritten(path: Path, error: Exception) -> str:
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on {path.parent} for {path.name}; make room, then run the same command again: it goes on there."
    return f"{path} cannot be written ({_reason(error)}); when it can, run the same command again: it goes on there."


def key_digest(key: bytes) -> bytes:
    """16 bytes for a key: among a hundred million keys two are the same with a probability of 10^-23."""
    return blake2b(key, digest_size=16).digest()


def content_key(key: bytes, sha256: str) -> bytes:
    """For a [`KeySet`] of photos and what was in their files."""
    return key + b"\0" + sha256.encode()


class KeySet:
    """Keys that are known, in 16 bytes each."""

    def __init__(self, digests: Sequence[bytes]):
        self._sorted = np.sort(np.array(digests, dtype="S16"))

    def __len__(self) -> int:
        return len(self._sorted)

    def __contains__(self, key: bytes) -> bool:
        digest = np.array(key_digest(key), dtype="S16")
        place = int(np.searchsorted(self._sorted, digest))
        return place < len(self._sorted) and bool(self._sorted[place] == digest)

    def save(self, path: Path) -> None:
        """Writes a file for [`load`]."""
        np.save(path, self._sorted)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keys of a file, which stays on disk and is looked up there."""
        found = cls(())
        found._sorted = np.load(path, mmap_mode="r" if path.stat().st_size > 4096 else None)
        return found


class ShardFolder:
    """The folder of one job, while nobody else works in it.

    Args:
        folder: made if need be.
        fingerprint: of the job, as `table.fingerprint` gives it.

    Raises:
        JobError: the folder belongs to another job or to something else, or another process works in it.
    """

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any]):
        self.folder = folder
        self.columns = schema(fingerprint)
        if folder.exists() and not (folder / MANIFEST).is_file() and _foreign(folder):
            raise JobError(f"the output {folder} is no job's folder and not empty; choose another.")
        try:
            folder.mkdir(exist_ok=True)
            self._lock = FileLock(folder / LOCK, timeout=0)
            self._lock.acquire()
        except Timeout as error:
            raise JobError(f"another process is at work in {folder}; wait for it, or choose another output.") from error
        except OSError as error:
            raise JobError(_unwritten(folder, error)) from error
        try:
            self._check_manifest(fingerprint)
            self.shards = self._whole_shards()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets others work in the folder."""
        self._lock.release()

    def next_number(self) -> int:
        """The number of the next shard."""
        return _order(self.shards[-1])[0] + 1 if self.shards else 0

    def append(self, rows: Sequence[Row]) -> None:
        """Writes the next shard."""
        shard = shard_path(self.folder, self.next_number())
        write_shard(shard, to_table(rows, self.columns))
        self.shards.append(shard)

    def look_again(self) -> None:
        """Finds the shards that others have written."""
        self.shards = self._whole_shards()

    def table(self, shard: Path) -> "pyarrow.Table":
        """All of a shard.

        Raises:
            JobError: it cannot be read; if it is damaged, it is put aside for the next run to rate its photos again.
        """
        return self._table(shard)

    def tables(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[Path, pyarrow.Table]]":
        """Each shard with its table, in order."""
        for shard in self.shards:
            yield shard, self._table(shard, columns)

    def done(self) -> KeySet:
        """The keys of all rows."""
        return KeySet([key_digest(key) for _, table in self.tables(("path", "path_bytes")) for key in keys(table)])

    def failed(self) -> dict[bytes, Path]:
        """The digests of the keys of rows with an error, and their shards."""
        found: dict[bytes, Path] = {}
        for shard, table in self.tables(("path", "path_bytes", "error")):
            wrong = table.filter(table.column("error").is_valid())
            found |= {key_digest(key): shard for key in keys(wrong)}
        return found

    def contents(self) -> KeySet:
        """What the photos of all rows were when they were read, as [`content_key`] says it."""
        columns = ("path", "path_bytes", "sha256")
        return KeySet([
            key_digest(content_key(key, sha256 or ""))
            for _, table in self.tables(columns)
            for key, sha256 in zip(keys(table), table.column("sha256").to_pylist(), strict=True)
        ])  # fmt: skip

    def places(self, wanted: Container[bytes]) -> dict[bytes, Path]:
        """The shards of rows, by the digests of their keys.

        Args:
            wanted: digests of keys.
        """
        found: dict[bytes, Path] = {}
        for shard, table in self.tables(("path", "path_bytes")):
            found |= {digest: shard for digest in map(key_digest, keys(table)) if digest in wanted}
        return found

    def failures(self, most: int) -> tuple[Failure, ...]:
        """The first rows with an error."""
        found: list[Failure] = []
        for _, table in self.tables(("path", "error")):
            wrong = table.filter(table.column("error").is_valid()).slice(0, most - len(found))
            found += map(Failure, wrong.column("path").to_pylist(), wrong.column("error").to_pylist())
            if len(found) == most:
                break
        return tuple(found)

    def counts(self) -> tuple[int, int]:
        """Rows, and how many of them have an error."""
        errors = [table.column("error") for _, table in self.tables(("error",))]
        rows = sum(len(column) for column in errors)
        return rows, rows - sum(column.null_count for column in errors)

    def consolidate(self, output: Path) -> None:
        """Writes all rows to one file, which holds the same whatever shards they come from."""
        import pyarrow as pa
        import pyarrow.parquet

        with (
            written(output, self.folder / f"{UNFINISHED}{output.name}") as unfinished,
            pyarrow.parquet.ParquetWriter(unfinished, self.columns, compression="zstd") as writer,
        ):
            waiting = self.columns.empty_table()
            for _, table in self.tables():
                waiting = pa.concat_tables([waiting, table])
                while len(waiting) >= GROUP_ROWS:
                    writer.write_table(waiting.slice(0, GROUP_ROWS).combine_chunks())
                    waiting = waiting.slice(GROUP_ROWS).combine_chunks()
            if len(waiting):
                writer.write_table(waiting.combine_chunks())

    def _check_manifest(self, fingerprint: Mapping[str, Any]) -> None:
        path = self.folder / MANIFEST
        if not path.exists():
            self._write(path, json.dumps({"format": FORMAT, "job": dict(fingerprint)}, indent=1))
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise JobError(_unread(path, error)) from error
        except ValueError as error:
            raise JobError(f"{path} is no manifest of a job ({error}); choose another output.") from error
        if not (isinstance(found, dict) and isinstance(found.get("job"), dict) and "format" in found):
            raise JobError(f"{path} is no manifest of a job (it has no format and job); choose another output.")
        earlier, known = found["job"], found["format"]
        names = sorted(earlier.keys() | fingerprint.keys())
        differ = [name for name in names if earlier.get(name) != fingerprint.get(name)]
        if differ or known != FORMAT:
            said = "; ".join(f"{name} was {earlier.get(name)}, now {fingerprint.get(name)}" for name in differ)
            raise JobError(
                f"{self.folder} holds another job's ratings ({said or 'of another format'}). Choose another output, or ask for "
                "the same."
            )

    def _write(self, path: Path, content: str) -> None:
        with written(path, path.with_name(UNFINISHED + path.name)) as unfinished:
            unfinished.write_text(content + "\n", encoding="utf-8")

    def _whole_shards(self) -> list[Path]:
        """The shards that are there; a damaged one, which only a broken disk or a copy leaves behind, is put aside.

        Raises:
            JobError: a shard cannot be read now, and may be whole.
        """
        for unfinished in self.folder.glob(f"{UNFINISHED}*"):
            unfinished.unlink()
        found = []
        for path in sorted(self.folder.iterdir()):
            if _SHARD.fullmatch(path.name):
                try:
                    _read(path, ("path", "path_bytes", "error"))
                except _DamageError as error:
                    aside = _put_aside(path)
                    logger.warning("%s is damaged (%s); it is now %s, and its photos are rated again.", path, error, aside.name)
                else:
                    found.append(path)
        return sorted(found, key=_order)

    def _table(self, shard: Path, columns: Sequence[str] | None = None) -> "pyarrow.Table":
        try:
            return _read(shard, columns)
        except _DamageError as error:
            raise JobError(
                f"{shard} is damaged ({error}); it is now {_put_aside(shard).name}. Run the same command again to rate its "
                "photos again."
            ) from error


class _DamageError(Exception):
    """A file that can be read, and is not what was written."""


def _order(shard: Path) -> tuple[int, int]:
    _, number, *part = shard.stem.split("-")
    return int(number), int(part[0]) if part else 0


def _read(shard: Path, columns: Sequence[str] | None = None) -> "pyarrow.Table":
    """A shard's table.

    Raises:
        JobError: it cannot be read now.
        _DamageError: it never can be.
    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with open(shard, "rb"), pyarrow.parquet.ParquetFile(shard, page_checksum_verification=True) as file:
            return file.read(None if columns is None else list(columns))
    except (OSError, pa.ArrowException) as error:
        # Arrow calls some damage an OSError, too, but only the system's errors have numbers
        if isinstance(error, pa.ArrowMemoryError) or getattr(error, "errno", None) is not None:
            raise JobError(_unread(shard, error)) from error
        raise _DamageError(_reason(error)) from error


def _unread(path: Path, error: Exception) -> str:
    return f"{path} cannot be read now ({_reason(error)}). Nothing was changed; when it can, run the same command again."


def _reason(error: Exception) -> str:
    """An error's words, without line ends and the system's number."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())


def _put_aside(shard: Path) -> Path:
    """The new name of a damaged shard, which readers of the folder pass over."""
    aside = shard.with_name(f"{DAMAGED}{uuid4().hex[:8]}-{shard.name}")
    os.replace(shard, aside)
    return aside


def _foreign(folder: Path) -> bool:
    """Whether a folder without a manifest holds more than what a job that was killed at its start leaves behind."""
    if not folder.is_dir():
        raise JobError(f"the output {folder} is a file, not a folder.")
    return any(path.name not in (LOCK, UNFINISHED + MANIFEST) for path in folder.iterdir())
