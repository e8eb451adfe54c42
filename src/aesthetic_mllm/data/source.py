"""A data set as its users have it on disk, opened as a `datasets.Dataset` of records."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from datasets import Dataset

from .record import RECORD_FEATURES, DataError, Record

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
NAMED_OFFENDERS = 5  # in messages


@dataclass(frozen=True)
class Source:
    """A public data set.

    Args:
        name: such as "ava".
        url: where it is described or downloaded.
        licence: its terms, in a line.
        splits: those that the source itself defines, or ours where the docstring says so.
        layout: the files and folders that are read, for error messages.
        read: root folder and split to records, in the source's order; it raises [`DataError`] where a table is missing or wrong,
            and does not look at the image files.
    """

    name: str
    url: str
    licence: str
    splits: tuple[str, ...]
    layout: str
    read: Callable[[Path, str], Iterable[Record]]


@dataclass
class SourceReport:
    """What was left out of a data set, and why; filled while it is read."""

    records: int = 0
    missing_images: list[str] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """In one line, naming the first offenders."""
        parts = []
        for one, several, names in (
            ("image is missing", "images are missing", self.missing_images),
            ("record has wrong values", "records have wrong values", self.faulty),
        ):
            if names:
                what = one if len(names) == 1 else several
                more = ", ..." if len(names) > NAMED_OFFENDERS else ""
                parts.append(f"{len(names)} {what}: {', '.join(names[:NAMED_OFFENDERS])}{more}")
        return "; ".join(parts) or "nothing was left out"


def read_source(source: Source, root: str | Path, split: str, skip_missing: bool = False) -> tuple[list[Record], SourceReport]:
    """The records of one split, checked.

    Args:
        root: the data set's folder.
        split: one of the source's.
        skip_missing: leave out records whose image is missing or whose values are wrong, and say so; otherwise they are an error.

    Raises:
        DataError: no such split or folder, no records, a table that cannot be read, images that are missing, wrong values.
    """
    root = Path(root)
    if split not in source.splits:
        raise DataError(f"{source.name} has no split {split!r}; choose one of {', '.join(source.splits)}.")
    if not root.is_dir():
        raise DataError(f"{source.name}: no folder {root}; expected there: {source.layout}.")
    report = SourceReport()
    records = list(_sound(source, root, split, report))
    report.records = len(records)
    if (report.missing_images or report.faulty) and not skip_missing:
        raise DataError(f"{source.name}, {split}: {report.summary()}. Correct them, or leave them out with --skip-missing.")
    if not records:
        left_out = f" after leaving some out ({report.summary()})" if report.missing_images or report.faulty else ""
        raise DataError(f"{source.name}: no records of the split {split} below {root}{left_out}; read from {source.layout}.")
    if report.missing_images or report.faulty:
        logger.warning("%s, %s: %s", source.name, split, report.summary())
    return records, report


def open_source(source: Source, root: str | Path, split: str, skip_missing: bool = False) -> Dataset:
    """As [`read_source`], as a data set with [`RECORD_FEATURES`]; images are read when a row is asked for."""
    records, _ = read_source(source, root, split, skip_missing)
    return as_dataset(records)


def as_dataset(records: Iterable[Record]) -> Dataset:
    """Records as a data set with [`RECORD_FEATURES`]."""
    rows = [record.row() for record in records]
    return Dataset.from_dict({name: [row[name] for row in rows] for name in RECORD_FEATURES}, features=RECORD_FEATURES)


def _sound(source: Source, root: Path, split: str, report: SourceReport) -> Iterator[Record]:
    for record in source.read(root, split):
        faults = record.faults()
        if faults:
            report.faulty.append(f"{record.image.name} ({', '.join(faults)})")
        elif not record.image.is_file():
            report.missing_images.append(_below(record.image, root))
        else:
            yield record if record.licence else replace(record, licence=source.licence)


def _below(path: Path, root: Path) -> str:
    absolute, top = path.absolute(), root.absolute()
    return str(absolute.relative_to(top)) if absolute.is_relative_to(top) else str(path)
