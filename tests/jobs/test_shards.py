"""A job's folder on a bad day: shards that cannot be read or are damaged, a full disk, a manifest that is none."""

import errno
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from aesthetic_mllm.jobs.job_error import JobError
from aesthetic_mllm.jobs.shards import DAMAGED, MANIFEST, ShardFolder

FINGERPRINT: dict[str, Any] = {
    "checkpoint": "c", "questions": ["aesthetic"], "assess": False, "levels": ["bad", "good"], "score_range": [1, 10]
}  # fmt: skip
NAMES = [f"{number}.jpg" for number in range(40)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of two shards with forty rows each."""
    made = tmp_path / "o.parquet.parts"
    with ShardFolder(made, FINGERPRINT) as shards:
        for part in "ab":
            shards.append([{"path": part + name, "sha256": os.urandom(32).hex()} for name in NAMES])
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".parquet"}


def overwrite(shard: Path, column: str, count: int = 16) -> None:
    """Changes bytes in the middle of a column's values."""
    group = pyarrow.parquet.read_metadata(shard).row_group(0)
    found = next(each for each in map(group.column, range(group.num_columns)) if each.path_in_schema == column)
    start = found.dictionary_page_offset or found.data_page_offset
    content = bytearray(shard.read_bytes())
    for place in range(start + found.total_compressed_size // 2, start + found.total_compressed_size // 2 + count):
        content[place] ^= 0x5A
    shard.write_bytes(content)


def no_space(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "error",
    [PermissionError(errno.EACCES, "Permission denied"), OSError(errno.EIO, "Input/output error"), pa.ArrowMemoryError("malloc")],
)
def test_a_shard_that_cannot_be_read_now_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Closed, a disk that fails, memory that is short: the shard may be whole, so the job ends, and nothing is changed."""
    before = contents(folder)

    def read(*arguments: object, **options: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(pyarrow.parquet, "ParquetFile", read)
        with pytest.raises(JobError, match=r"part-000000\.parquet cannot be read now .*Nothing was changed.*run the same"):
            ShardFolder(folder, FINGERPRINT)
    assert contents(folder) == before
    with ShardFolder(folder, FINGERPRINT) as shards:
        assert shards.counts() == (80, 0)


def test_a_damaged_shard_is_put_aside_for_whoever_wants_to_save_it(folder: Path) -> None:
    shard = folder / "part-000001.parquet"
    shard.write_bytes(shard.read_bytes()[:-50])
    damaged = shard.read_bytes()
    with ShardFolder(folder, FINGERPRINT) as shards:
        assert shards.counts() == (40, 0) and shards.next_number() == 1
    (aside,) = folder.glob(f"{DAMAGED}*")
    assert aside.read_bytes() == damaged and not shard.exists()


def test_damage_anywhere_in_a_shard_is_found_when_the_table_is_made(folder: Path, tmp_path: Path) -> None:
    """A column that a job does not look at: the error names the shard, no table is left, and the next run lacks the shard."""
    overwrite(folder / "part-000000.parquet", "sha256")
    with ShardFolder(folder, FINGERPRINT) as shards:
        with pytest.raises(JobError, match=r"part-000000\.parquet is damaged .*Run the same command again"):
            shards.consolidate(tmp_path / "o.parquet")
    assert not (tmp_path / "o.parquet").exists() and not list(folder.glob("_unfinished*"))
    with ShardFolder(folder, FINGERPRINT) as shards:
        assert len(shards.done()) == 40
        shards.consolidate(tmp_path / "o.parquet")
    assert pyarrow.parquet.read_metadata(tmp_path / "o.parquet").num_rows == 40


@pytest.mark.parametrize("full", ["shard", "manifest", "table", "lock"])
def test_a_full_disk_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str) -> None:
    """Wherever the space ends: nothing unfinished stays, and what was there does."""
    before = contents(folder)
    remedy = pytest.raises(JobError, match="no space left on .*run the same command again")
    if full == "manifest":
        monkeypatch.setattr(Path, "write_text", no_space)
        with remedy:
            ShardFolder(tmp_path / "new.parts", FINGERPRINT)
    elif full == "lock":
        monkeypatch.setattr(Path, "mkdir", no_space)
        with remedy:
            ShardFolder(tmp_path / "new.parts", FINGERPRINT)
    else:
        with ShardFolder(folder, FINGERPRINT) as shards:
            if full == "shard":
                monkeypatch.setattr(os, "fsync", no_space)
                with remedy:
                    shards.append([{"path": "c"}])
            else:
                monkeypatch.setattr(pyarrow.parquet.ParquetWriter, "write_table", no_space)
                with remedy:
                    shards.consolidate(tmp_path / "o.parquet")
    assert contents(folder) == before and not list(tmp_path.glob("**/_unfinished*"))


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '{"format": 1, "job": []}', '{"format": 1, "job": null}', "\xff"])
def test_what_is_no_manifest_is_told(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_bytes(content.encode("latin-1"))
    before = contents(folder)
    with pytest.raises(JobError, match="is no manifest of a job .*choose another output"):
        ShardFolder(folder, FINGERPRINT)
    assert contents(folder) == before
