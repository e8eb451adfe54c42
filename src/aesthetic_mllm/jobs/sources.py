"""Where a job's photos come from: files, tables, WebDataset archives, data sets; each in fragments that can be read on their own.

A fragment is a small object that can be sent to another process. What it yields are [`Item`]s with keys that are unique in a job,
or an `ImageError` for a place where photos may be and that cannot be read.
"""

import json
import lzma
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from ..inference.photo_files import FoundPhotos, find_photos, readable_suffixes
from ..processing.image_loading import ImageError, UnreadableImageError
from .columns import cell_value, choose_column, dataset_columns, table_columns
from .job_error import JobError

FILES_A_FRAGMENT = 256
ROWS_A_FRAGMENT = 1024
ARCHIVES = (".tar", ".tar.gz", ".tgz")
TABLES = (".parquet",)
# Files that `datasets` writes into the folder of a data set, and into that of one with splits.
STATE, SPLITS = "state.json", "dataset_dict.json"
HUB = "hf://datasets/"
# A column of a job's own table, which may be another job's input.
NO_PHOTOS = "path_bytes"

Wanted = Callable[[str], bool]


class ContainerKind(StrEnum):
    """What holds many photos and is no folder of them, in words."""

    TABLE = "a table"
    ARCHIVE = "an archive"
    SAVED = "a saved data set"
    HUB = "a data set on the Hub"


@dataclass(frozen=True)
class Item:
    """One photo of a job.

    Args:
        key: what tells it apart: its path, or `container#` and its row or name within.
        photo: path, or the bytes of a file.
        name: what the container calls it, such as the path in a table's column; `None` for a file.
    """

    key: str
    photo: str | bytes
    name: str | None = None


class Fragment(Protocol):
    """A part of the input."""

    def items(self, wanted: Wanted) -> Iterator[Item | ImageError]:
        """The photos whose keys are wanted, in order; what is not wanted is not read where that can be helped."""
        ...


@dataclass(frozen=True)
class Files:
    """Photos that are files of their own."""

    paths: tuple[str, ...]

    def items(self, wanted: Wanted) -> Iterator[Item | ImageError]:
        return (Item(path, path) for path in self.paths if wanted(path))


@dataclass(frozen=True)
class TableRows:
    """A row group of a parquet file, of which one column holds photos or their paths.

    Args:
        path: of the file.
        group: number of the row group.
        first: row of the file with which it begins.
        count: rows in it.
        column: with photos as bytes, as `datasets` stores images, or paths, which are relative to the file's folder.
    """

    path: str
    group: int
    first: int
    count: int
    column: str

    def items(self, wanted: Wanted) -> Iterator[Item | ImageError]:
        import pyarrow as pa
        import pyarrow.parquet

        keys = [f"{self.path}#{row}" for row in range(self.first, self.first + self.count)]
        flags = [wanted(key) for key in keys]
        if not any(flags):
            return
        place = 0
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=64, row_groups=[self.group], columns=[self.column]):
                    for cell in batch.column(0):
                        if flags[place]:
                            yield _item(keys[place], cell_value(cell), os.path.dirname(self.path))
                        place += 1
        except (pa.ArrowException, OSError) as error:
            yield _lost(self.path, self.first + place, self.first + self.count, error)


@dataclass(frozen=True)
class Archive:
    """A tar file of a WebDataset: its members that are photos."""

    path: str

    def items(self, wanted: Wanted) -> Iterator[Item | ImageError]:
        suffixes = readable_suffixes()
        seen: Counter[str] = Counter()
        try:
            with tarfile.open(self.path) as archive:
                remembered: Any = archive
                while (member := archive.next()) is not None:
                    remembered.members.clear()  # else all of them stay in memory
                    if not member.isfile() or os.path.splitext(member.name)[1].lower() not in suffixes:
                        continue
                    seen[member.name] += 1
                    again = f"#{seen[member.name]}" if seen[member.name] > 1 else ""
                    key = f"{self.path}#{member.name}{again}"
                    if wanted(key) and (content := archive.extractfile(member)) is not None:
                        yield Item(key, content.read(), member.name)
                # a damaged header is an end to tarfile; the real one is the file's, or two blocks of zeros
                remembered.fileobj.seek(archive.offset)
                if remembered.fileobj.read(2 * tarfile.BLOCKSIZE).strip(b"\0"):
                    raise tarfile.ReadError(f"no member can be read at byte {archive.offset:,}, nor behind it")
        except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            yield UnreadableImageError(self.path, f"an archive that is damaged or truncated ({error}).")


@dataclass(frozen=True)
class SavedRows:
    """Rows of a data set that `datasets` saved to disk.

    Args:
        folder: of `save_to_disk`.
        first, count: the rows.
        column: as of `TableRows`; paths are relative to the folder.
    """

    folder: str
    first: int
    count: int
    column: str

    def items(self, wanted: Wanted) -> Iterator[Item | ImageError]:
        import pyarrow as pa

        rows = range(self.first, self.first + self.count)
        flags = {row: wanted(f"{self.folder}#{row}") for row in rows}
        if not any(flags.values()):
            return
        row = self.first
        try:
            dataset = _undecoded(_datasets().load_from_disk(self.folder), self.column).select_columns([self.column])
            tables = dataset.with_format("arrow")
            for row in rows:
                if flags[row]:
                    yield _item(f"{self.folder}#{row}", cell_value(tables[row].column(0)[0]), self.folder)
        except (pa.ArrowException, OSError, ValueError) as error:
            yield _lost(self.folder, row, rows.stop, error)


@dataclass(frozen=True)
class HubRows:
    """All rows of a data set on the Hub, which comes as a stream.

    Args:
        name: of the repository, such as "me/photos".
        split: of the data set.
        column: as of `TableRows`.
    """

    name: str
    split: str
    column: str

    def items(self, wanted: Wanted) -> Iterator[Item | ImageError]:
        row = 0
        try:
            dataset = _undecoded(_datasets().load_dataset(self.name, split=self.split, streaming=True), self.column)
            for values in dataset.select_columns([self.column]):
                if wanted(self.key(row)):
                    yield _item(self.key(row), values[self.column], "")
                row += 1
        except Exception as error:  # networks, file formats and decoders raise anything
            yield _lost(f"{HUB}{self.name}/{self.split}", row, None, error)

    def key(self, row: int) -> str:
        return f"{HUB}{self.name}/{self.split}#{row}"


@dataclass
class Sources:
    """What a job is to rate.

    Args:
        fragments: in order.
        problems: folders within the given ones that cannot be read.
        total: how many photos there are, as far as it is known without reading them.
        remark: about files that were passed over; empty where there are none.
    """

    fragments: list[Fragment] = field(default_factory=list)
    problems: list[ImageError] = field(default_factory=list)
    total: int | None = 0
    remark: str = ""

    def items(self, wanted: Wanted = lambda key: True) -> Iterator[Item | ImageError]:
        """All photos that are wanted, in order."""
        yield from self.problems
        for fragment in self.fragments:
            yield from fragment.items(wanted)


def find_sources(paths: Iterable[str], *, column: str | None = None, split: str | None = None) -> Sources:
    """What paths mean: photos, folders of photos, parquet files, tar files, data sets.

    Args:
        paths: a folder means the photos in it and below, unless `datasets` saved it; `hf://datasets/NAME` is a data set of the
            Hub. What is named twice counts once.
        column: of tables and data sets; default the one that holds images, else one that is named as paths are.
        split: of data sets; default their only one.

    Raises:
        JobError: a path means no photos, or which column or split is meant cannot be told.
    """
    found = Sources()
    files: dict[str, None] = {}
    listed: dict[str, None] = {}
    containers = set()
    passed_over: Counter[str] = Counter()

    def end_of_files() -> None:
        names = list(files)
        found.fragments += [
            Files(tuple(names[start : start + FILES_A_FRAGMENT])) for start in range(0, len(names), FILES_A_FRAGMENT)
        ]
        found.total = None if found.total is None else found.total + len(names)
        listed.update(files)
        files.clear()

    for path in paths:
        name = os.fspath(path)
        fragments = _container(name, column, split)
        if fragments is None:
            photos = find_photos([name])
            passed_over += photos.passed_over
            for photo in photos.photos:
                if not isinstance(photo, ImageError):
                    if str(photo) not in listed:
                        files[str(photo)] = None
                elif photo.source in (name, str(Path(name))):
                    raise JobError(str(photo))
                else:
                    found.problems.append(photo)
        elif os.path.realpath(name) not in containers:
            containers.add(os.path.realpath(name))
            end_of_files()
            found.fragments += fragments
            counts = [getattr(fragment, "count", None) for fragment in fragments]
            known = found.total is not None and None not in counts
            found.total = (found.total or 0) + sum(count or 0 for count in counts) if known else None
    end_of_files()
    found.remark = FoundPhotos(passed_over=passed_over).remark()
    return found


def container_kind(name: str) -> ContainerKind | None:
    """What a path is that holds many photos; `None` for a photo, a folder of photos, and what is not there."""
    if name.startswith(HUB):
        return ContainerKind.HUB
    if os.path.isdir(name):
        is_saved = any(os.path.isfile(os.path.join(name, file)) for file in (SPLITS, STATE))
        return ContainerKind.SAVED if is_saved else None
    if not os.path.isfile(name):
        return None
    if name.lower().endswith(ARCHIVES):
        return ContainerKind.ARCHIVE
    return ContainerKind.TABLE if name.lower().endswith(TABLES) else None


def _container(name: str, column: str | None, split: str | None) -> Sequence[Fragment] | None:
    """The fragments of what holds many photos; `None` for a photo, or a folder of them."""
    kind = container_kind(name)
    if kind is ContainerKind.HUB:
        return [_hub_rows(name.removeprefix(HUB).strip("/"), column, split)]
    if kind is ContainerKind.SAVED:
        return _saved_rows(Path(name), column, split)
    if kind is ContainerKind.ARCHIVE:
        return [Archive(name)]
    return _table_rows(name, column) if kind is ContainerKind.TABLE else None


def _table_rows(name: str, column: str | None) -> list[Fragment]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(name) as file:
            found = table_columns(file.schema_arrow)
            found.pop(NO_PHOTOS, None)
            column = choose_column(name, found, column)
            counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    except (pyarrow.ArrowException, OSError) as error:
        raise JobError(f"{name}: not a parquet file, or damaged ({error}).") from error
    return [TableRows(name, group, sum(counts[:group]), count, column) for group, count in enumerate(counts)]


def _saved_rows(folder: Path, column: str | None, split: str | None) -> list[Fragment] | None:
    import pyarrow as pa

    try:
        if os.path.isfile(folder / SPLITS):  # also where the folder is closed, unlike Path.is_file
            splits = json.loads((folder / SPLITS).read_text(encoding="utf-8"))["splits"]
            folder = folder / _only(str(folder), "split", splits, split)
        if not (os.path.isfile(folder / STATE) and os.path.isfile(folder / "dataset_info.json")):
            return None
        dataset = _datasets().load_from_disk(str(folder))
    except JobError:
        raise
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise JobError(f"{folder}: a data set that is damaged or cannot be read ({error}).") from error
    column = choose_column(str(folder), dataset_columns(dataset), column)
    starts = range(0, len(dataset), ROWS_A_FRAGMENT)
    return [SavedRows(str(folder), start, min(ROWS_A_FRAGMENT, len(dataset) - start), column) for start in starts]


def _hub_rows(name: str, column: str | None, split: str | None) -> HubRows:
    datasets = _datasets()
    try:
        with _quiet_hub():
            split = _only(f"{HUB}{name}", "split", datasets.get_dataset_split_names(name), split)
            dataset = datasets.load_dataset(name, split=split, streaming=True)
    except (OSError, ValueError) as error:
        raise JobError(
            f"{HUB}{name}: cannot be loaded ({str(error).rstrip('.')}). Check the name, the network, and the token."
        ) from error
    return HubRows(name, split, choose_column(f"{HUB}{name}", dataset_columns(dataset), column))


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Leaves out the lines that the Hub's client logs for each try of a request, of which the error that follows says enough."""
    from huggingface_hub.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _only(name: str, what: str, found: Sequence[str], wanted: str | None) -> str:
    """The wanted one, or the only one that there is."""
    if wanted in found:
        return str(wanted)
    if wanted is None and len(found) == 1:
        return found[0]
    raise JobError(f"{name} has the {what}s {', '.join(found)}; choose one with --{what}.")


def _undecoded(dataset: Any, column: str) -> Any:
    """The data set with the column's photos as files, as they were stored."""
    is_image = type((dataset.features or {}).get(column)).__name__ == "Image"
    return dataset.cast_column(column, _datasets().Image(decode=False)) if is_image else dataset


def _item(key: str, value: Any, folder: str) -> Item:
    """A row's photo; what is neither bytes nor a path is a photo of no bytes, which cannot be read."""
    content, name = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, value)
    name = name if isinstance(name, str) else None
    if isinstance(content, bytes):
        return Item(key, content, name)
    return Item(key, b"", name) if name is None else Item(key, os.path.join(folder, name), name)


def _lost(source: str, first: int, end: int | None, error: Exception) -> ImageError:
    """What stands for rows that cannot be read."""
    rows = f"from {first} on" if end is None else f"{first} to {end - 1}"
    return UnreadableImageError(source, f"rows {rows} are damaged or cannot be read ({' '.join(str(error).split())}).")


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise JobError("data sets need the library `datasets`: pip install 'aesthetic-mllm[jobs]'.") from error
    return datasets
