"""What a table of ratings says as a whole: how ratings are spread, by folder and month, and which photos to show."""

import json
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .job_error import JobError
from .shards import Failure, parts_of
from .sources import ARCHIVES, HUB, TABLES
from .table import SCORE_RANGE

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

BINS = 36
# That a job's table has, beside the ratings.
COLUMNS = ("path", "path_bytes", "name", "taken", "error", "checkpoint", "version")
MOST_GROUPS, SHOWN, SHEET, LISTED = 40, 12, 96, 20
# Frames of a folder that were taken within so many seconds are one burst, of which one is shown; looked for among so many photos.
BURST_SECONDS, LOOKED_AT = 2.0, 50 * SHOWN


@dataclass(frozen=True)
class Group:
    """Photos of a folder or a month.

    Args:
        name: of it.
        count: photos with a rating.
        mean: of their ratings.
    """

    name: str
    count: int
    mean: float


@dataclass(frozen=True)
class RatedRow:
    """A photo to show.

    Args:
        path: its key, as text.
        file: the key as the system names it.
        name: what its container calls it.
        mean: its rating.
        sha256: of its file.
        taken: when.
    """

    path: str
    file: str
    name: str | None
    mean: float
    sha256: str | None
    taken: datetime | None

    def is_burst_with(self, other: "RatedRow") -> bool:
        """Whether both seem to be frames of one burst."""
        if self.taken is None or other.taken is None or folder_of(self.path) != folder_of(other.path):
            return False
        return abs((self.taken - other.taken).total_seconds()) <= BURST_SECONDS


@dataclass(frozen=True)
class RatingsSummary:
    """What is told of a table.

    Args:
        question: whose ratings these are.
        score_range: worst and best.
        rated: photos with a rating.
        quantiles: of the ratings, at 10, 25, 50, 75 and 90%.
        mean: of the ratings.
        histogram: how many photos are in each of `BINS` equal parts of the range.
        errors: how often each error is there, the most frequent first.
        failed: rows with an error.
        failures: the first `LISTED` of these.
        folders: with the most photos, by name; `left_out` more are not told.
        months: in order; empty where no photo has a date.
        dated: photos with a date.
        best, worst: the first and last in order; of files with equal bytes one, and of a burst one where there are enough others.
        sheet: from best to worst, evenly over all.
        checkpoint, version: of the first row.
    """

    question: str
    score_range: tuple[float, float]
    rated: int
    quantiles: tuple[float, ...]
    mean: float
    histogram: tuple[int, ...]
    errors: tuple[tuple[str, int], ...]
    failed: int
    failures: tuple[Failure, ...]
    folders: tuple[Group, ...]
    left_out: int
    months: tuple[Group, ...]
    dated: int
    best: tuple[RatedRow, ...]
    worst: tuple[RatedRow, ...]
    sheet: tuple[RatedRow, ...]
    checkpoint: str
    version: str


def summarize(path: Path, question: str | None = None) -> RatingsSummary:
    """Reads a table twice and holds one number a photo.

    Args:
        path: of a file or a folder that a job wrote.
        question: one of the table's; default its first.

    Raises:
        JobError: it is no such table, has no such question, or no photo in it was rated.
    """
    files = _files(path)
    question = _question(path, files[0], question)
    means: list[np.ndarray] = []
    errors: Counter[str] = Counter()
    failures: list[Failure] = []
    folders, months = _Groups(), _Groups()
    first: dict[str, str] = {}
    for table in _tables(files, ["path", "taken", f"{question}_mean", "error", "checkpoint", "version"]):
        if not first and len(table):
            first = {name: str(table.column(name)[0].as_py()) for name in ("checkpoint", "version")}
        ratings = np.array(table.column(f"{question}_mean").to_pylist(), np.float32)  # nothing becomes NaN
        means.append(ratings)
        wrong = table.filter(table.column("error").is_valid()).select(["path", "error"]).to_pylist()
        errors.update(row["error"] for row in wrong)
        failures += [Failure(row["path"], row["error"]) for row in wrong[: LISTED - len(failures)]]
        folders.add(map(folder_of, table.column("path").to_pylist()), ratings)
        months.add((taken and f"{taken:%Y-%m}" for taken in table.column("taken").to_pylist()), ratings)
    ratings = np.concatenate(means) if means else np.empty(0, np.float32)
    rated = ratings[~np.isnan(ratings)]
    if not len(rated):
        raise JobError(f"{path}: no photo in it has a rating.")
    order = np.argsort(-ratings, kind="stable")[: len(rated)]  # NaN comes last
    low, high = _score_range(files[0])
    middle = -(-len(order) // 2)
    sheet = order[np.unique(np.linspace(0, len(order) - 1, min(SHEET, len(order))).round().astype(int))]
    first_half, second_half = order[:middle][:LOOKED_AT], order[middle:][::-1][:LOOKED_AT]
    rows = _rows(files, question, {*first_half.tolist(), *second_half.tolist(), *sheet.tolist()})
    best = _different([rows[place] for place in first_half.tolist()])
    worst = _different([rows[place] for place in second_half.tolist()], best)
    return RatingsSummary(
        question=question,
        score_range=(low, high),
        rated=len(rated),
        quantiles=tuple(map(float, np.quantile(rated, (0.1, 0.25, 0.5, 0.75, 0.9)))),
        mean=float(rated.mean(dtype=np.float64)),
        histogram=tuple(map(int, np.histogram(rated, BINS, (low, high))[0])),
        errors=tuple(errors.most_common(MOST_GROUPS)),
        failed=errors.total(),
        failures=tuple(failures),
        folders=folders.largest(),
        left_out=max(0, len(folders.counts) - MOST_GROUPS),
        months=months.all(),
        dated=sum(months.counts.values()),
        best=best,
        worst=worst,
        sheet=tuple(rows[place] for place in sheet.tolist()),
        checkpoint=first["checkpoint"],
        version=first["version"],
    )


def _different(rows: Sequence[RatedRow], others: Sequence[RatedRow] = ()) -> tuple[RatedRow, ...]:
    """The first `SHOWN` rows, in order, that are photos to see: see `RatingsSummary.best`.

    Args:
        others: that are shown elsewhere.
    """
    shown = {row.sha256 for row in others}
    chosen: list[int] = []
    frames: list[int] = []
    for place, row in enumerate(rows):
        if row.sha256 is not None and row.sha256 in shown:
            continue
        shown.add(row.sha256)
        is_frame = any(row.is_burst_with(rows[other]) for other in chosen)
        (frames if is_frame else chosen).append(place)
        if len(chosen) == SHOWN:
            break
    return tuple(rows[place] for place in sorted((chosen + frames)[:SHOWN]))


def folder_of(path: str) -> str:
    """The folder of a photo, or the table, archive or data set that it is in."""
    container, inside, _ = path.partition("#")
    is_container = container.startswith(HUB) or not os.path.splitext(path)[1] or container.lower().endswith((*ARCHIVES, *TABLES))
    return container if inside and is_container else os.path.dirname(path) or "."


class _Groups:
    """Counts and sums of ratings by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.sums: Counter[str] = Counter()

    def add(self, names: Iterator[str | None], ratings: np.ndarray) -> None:
        for name, rating in zip(names, ratings.tolist(), strict=True):
            if name and rating == rating:
                self.counts[name] += 1
                self.sums[name] += rating

    def all(self) -> tuple[Group, ...]:
        return tuple(Group(name, count, self.sums[name] / count) for name, count in sorted(self.counts.items()))

    def largest(self) -> tuple[Group, ...]:
        kept = {name for name, _ in self.counts.most_common(MOST_GROUPS)}
        return tuple(group for group in self.all() if group.name in kept)


def _files(path: Path) -> list[Path]:
    files = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        parts = parts_of(path)
        if not path.exists() and any(parts.glob("part-*.parquet")):
            raise JobError(
                f"{path} is not there yet: its job is not finished. Run the same command again, or report what it has done so "
                f"far: aesthetic-mllm report {shlex.quote(str(parts))}"
            )
        raise JobError(f"{path}: no such file, or no folder of a job.")
    return files


def _question(path: Path, file: Path, wanted: str | None) -> str:
    import pyarrow
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(file).names
    except (pyarrow.ArrowException, OSError) as error:
        raise JobError(f"{path}: not a parquet file, or damaged ({error}).") from error
    found = [name.removesuffix("_mean") for name in names if name.endswith("_mean")]
    lacks = [name for name in COLUMNS if name not in names]
    if not found or lacks:
        raise JobError(
            f"{path}: no table that `score` or `assess` wrote: it lacks {', '.join(lacks or ['a rating'])}; its columns are "
            f"{', '.join(names)}."
        )
    if wanted is not None and wanted not in found:
        raise JobError(f"{path} has no ratings of {wanted!r}; it has {', '.join(found)}.")
    return wanted or found[0]


def _score_range(file: Path) -> tuple[float, float]:
    import pyarrow.parquet

    said = (pyarrow.parquet.read_schema(file).metadata or {}).get(SCORE_RANGE.encode(), b"1,10")
    low, high = json.loads(f"[{said.decode()}]")
    return float(low), float(high)


def _tables(files: list[Path], columns: list[str]) -> "Iterator[pyarrow.Table]":
    import pyarrow as pa
    import pyarrow.parquet

    for file in files:
        with pyarrow.parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(columns=columns):
                yield pa.Table.from_batches([batch])


def _rows(files: list[Path], question: str, wanted: set[int]) -> dict[int, RatedRow]:
    """The rows at these places."""
    found = {}
    start = 0
    columns = ["path", "path_bytes", "name", f"{question}_mean", "sha256", "taken"]
    for table in _tables(files, columns):
        for place in sorted(each for each in wanted if start <= each < start + len(table)):
            path, exact, *others = (table.column(column)[place - start].as_py() for column in columns)
            found[place] = RatedRow(path, path if exact is None else os.fsdecode(exact), *others)
        start += len(table)
    return found
