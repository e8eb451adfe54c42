"""A user's own table ([`read_table`]), with one row an image, or one row a vote.

Columns `image` (relative to the table's folder, or absolute) and `mean` are needed. There may be `spread` (standard deviation),
`histogram` (votes for each step, evenly from the lowest to the highest value), `rater`, `comment`, `question`, `category` and
`split`. With a column `rater` a row is a vote: `mean` is what that person gave, and the rows of one image are gathered.
"""

import difflib
import hashlib
import logging
import math
import os
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..record import Comment, DataError, Record, Vote, histogram_moments
from ..source import NAMED_OFFENDERS, SPLITS, Source
from ..tables import TABLE_SUFFIXES, Rows, cell_text, check_columns, number, read_table

logger = logging.getLogger(__name__)

NEEDED = ("image", "mean")
OPTIONAL = ("spread", "histogram", "rater", "comment", "question", "category", "split")
COMPUTED_FROM_VOTES = ("spread", "histogram")
VALIDATION_PERCENT = TEST_PERCENT = 10


def own_source(
    table: Path,
    score_range: tuple[float, float],
    question: str = "aesthetic",
    higher_is_worse: bool = False,
    columns: Mapping[str, str] | None = None,
    whole: bool = False,
) -> Source:
    """A source that reads a user's own table; the root to read it from is the table's folder.

    Of a table without a column `split`, 80% of the images are for training, 10% for validation and 10% for testing, by hash of
    the image's path below the table's folder. No row is left out: one that cannot be read is an error, whichever split it is in.

    Args:
        table: a file that [`read_table`] reads.
        score_range: lowest and highest possible rating.
        question: what the ratings answer, where a row does not say.
        higher_is_worse: the lowest rating is the best; ratings are then mirrored within the range.
        columns: what the table calls a column, where it is not what this file does: {"image": "file_name", "mean": "mos"}.
        whole: a table without a column `split` is not divided: all of it is for validation and for testing, nothing for training.

    Raises:
        DataError: a range without extent, no question, another kind of file, or `columns` that name what there is not.
    """
    table = Path(table)
    low, high = score_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise DataError(f"{table}: the range is {low:g} to {high:g}, expected (low, high) with low below high.")
    if not question.strip():
        raise DataError(f"{table}: the question is {question!r}, expected one such as 'aesthetic' or 'quality'.")
    if table.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(f"{table}: cannot read {table.suffix or 'a file without suffix'}, expected {', '.join(TABLE_SUFFIXES)}.")
    form = _Form(table.name, low, high, question.strip(), higher_is_worse, _checked_names(table, columns or {}), whole)
    return Source(
        name="own",
        url=str(table),
        licence="the table's owner's terms",
        splits=SPLITS,
        layout=f"{table.name} with columns {', '.join(NEEDED)}; may have {', '.join(OPTIONAL)}",
        read=partial(_read, form=form),
    )


def hash_split(name: str, validation_percent: int, test_percent: int = 0) -> str:
    """A split that depends on nothing but the name.

    Args:
        name: of an image, such as its path within the data set.
        validation_percent, test_percent: shares, of 100, that are not for training.
    """
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 100
    if place < test_percent:
        return "test"
    return "validation" if place < test_percent + validation_percent else "train"


@dataclass(frozen=True)
class _Form:
    """What [`own_source`] was told."""

    table: str
    low: float
    high: float
    question: str
    higher_is_worse: bool
    names: Mapping[str, str]  # of the table's columns, by ours; where they differ
    whole: bool

    def upright(self, value: float) -> float:
        """A rating so that higher is better."""
        # not beyond the range by rounding
        return min(max(self.high - (value - self.low), self.low), self.high) if self.higher_is_worse else value


@dataclass(frozen=True)
class _Row:
    """A line of the table; numbers as they are written there, `image` is an absolute path."""

    line: int
    image: str
    question: str
    value: float
    spread: float | None
    histogram: list[float]
    rater: str
    comment: str
    category: str
    split: str


def _read(root: Path, split: str, form: _Form) -> Iterator[Record]:
    path = root / form.table
    names = [form.names.get(name, name) for name in NEEDED + OPTIONAL]
    columns, lines = _renamed(path, *read_table(path, names), form.names)
    unread = [name for name in columns if name not in NEEDED + OPTIONAL]
    if unread:
        logger.warning("%s: columns that are not read: %s", path, ", ".join(unread))
    both = [name for name in COMPUTED_FROM_VOTES if name in columns]
    if "rater" in columns and both:
        raise DataError(
            f"{path}: a table of votes (column 'rater') cannot have {', '.join(map(repr, both))}: it is computed from them."
        )
    rows = [_row(path, root, line, cells, columns, form) for line, cells in lines]
    _check_range(path, rows, form)
    _check_agreement(path, rows)
    groups: dict[tuple[str, str], list[_Row]] = {}
    for row in rows:
        groups.setdefault((row.image, row.question), []).append(row)
    for group in groups.values():
        _check_repeats(path, group, "rater" in columns)
    undivided = form.whole and "split" not in columns
    for group in groups.values():
        if split != "train" if undivided else group[0].split == split:
            yield _record(path, group, "rater" in columns, form)


def _record(path: Path, group: list[_Row], of_votes: bool, form: _Form) -> Record:
    first = group[0]
    histogram = first.histogram[::-1] if form.higher_is_worse else first.histogram
    mean, spread = form.upright(first.value), first.spread
    votes = [Vote(row.rater, form.upright(row.value)) for row in group] if of_votes else []
    if of_votes:
        mean = statistics.mean(vote.value for vote in votes)
        # one vote tells nothing of how people differ
        spread = statistics.pstdev(vote.value for vote in votes) if len(votes) > 1 else None
    elif histogram and spread is None:
        try:
            spread = histogram_moments(histogram, form.low, form.high)[1]
        except DataError as error:
            raise DataError(f"{path}, line {first.line}: {error}.") from error
    return Record(
        image=Path(first.image),
        data_set="own",
        split=first.split,
        question=first.question,
        mean=mean,
        spread=spread,
        histogram=histogram,
        range_low=form.low,
        range_high=form.high,
        votes=votes,
        comments=[Comment(row.comment) for row in group if row.comment],
        category=first.category,
    )


def _row(path: Path, root: Path, line: int, cells: dict[str, Any], columns: Sequence[str], form: _Form) -> _Row:
    texts = {name: cell_text(path, line, name, cells.get(name)) for name in NEEDED + OPTIONAL if name != "histogram"}
    for name in ("image", "rater"):
        if name in columns and not texts[name]:
            raise DataError(f"{path}, line {line}: {name} is empty.")
    folder = os.path.abspath(root)
    # as the user writes it or not, one image has one path
    image = os.path.abspath(os.path.join(folder, texts["image"]))
    name = Path(image).relative_to(folder).as_posix() if Path(image).is_relative_to(folder) else image
    split = texts["split"] if "split" in columns else hash_split(name, VALIDATION_PERCENT, TEST_PERCENT)
    if split not in SPLITS:
        raise DataError(f"{path}, line {line}: split is {split!r}, expected one of {', '.join(SPLITS)}.")
    return _Row(
        line=line,
        image=image,
        question=texts["question"] or form.question,
        value=number(path, line, "mean", texts["mean"]),
        spread=number(path, line, "spread", texts["spread"]) if texts["spread"] else None,
        histogram=_histogram(path, line, cells.get("histogram")),
        rater=texts["rater"],
        comment=texts["comment"],
        category=texts["category"],
        split=split,
    )


def _check_range(path: Path, rows: list[_Row], form: _Form) -> None:
    outside = [row for row in rows if not form.low <= row.value <= form.high]
    if outside:
        told = ", ".join(f"{row.value:g} of {Path(row.image).name} (line {row.line})" for row in outside[:NAMED_OFFENDERS])
        more = ", ..." if len(outside) > NAMED_OFFENDERS else ""
        lie = "1 value of mean lies" if len(outside) == 1 else f"{len(outside)} values of mean lie"
        raise DataError(f"{path}: {lie} outside of the range {form.low:g} to {form.high:g}: {told}{more}.")


def _check_agreement(path: Path, rows: list[_Row]) -> None:
    """Rows of one image must tell the same split and category."""
    first: dict[str, _Row] = {}
    for row in rows:
        known = first.setdefault(row.image, row)
        for column, one, other in (("split", known.split, row.split), ("category", known.category, row.category)):
            if one != other:
                raise DataError(
                    f"{path}, line {row.line}: {column} of {Path(row.image).name} is {other!r}, but {one!r} in line {known.line}."
                )


def _check_repeats(path: Path, group: list[_Row], of_votes: bool) -> None:
    """One row an image (and question), or one row a person."""
    seen: dict[str, int] = {}
    for row in group:
        if row.rater in seen:
            what = f"a second vote of {row.rater!r} for" if of_votes else "a second row of"
            hint = "" if of_votes else " If rows are votes, add a column 'rater'."
            raise DataError(f"{path}, line {row.line}: {what} {Path(row.image).name}, after line {seen[row.rater]}.{hint}")
        seen[row.rater] = row.line


def _histogram(path: Path, line: int, value: Any) -> list[float]:
    """A list as it is, or numbers in a text, separated by spaces, commas or semicolons, in brackets or not."""
    if not isinstance(value, list | np.ndarray):
        value = re.split(r"[\s,;]+", cell_text(path, line, "histogram", value).strip("[] \t"))
    return [number(path, line, "histogram", str(step)) for step in value if step != ""]


def _checked_names(table: Path, names: Mapping[str, str]) -> dict[str, str]:
    for ours, theirs in names.items():
        if ours not in NEEDED + OPTIONAL:
            near = difflib.get_close_matches(str(ours), NEEDED + OPTIONAL, n=1, cutoff=0.0)[0]
            raise DataError(
                f"{table}: columns: {ours!r} is none of {', '.join(NEEDED + OPTIONAL)}; did you mean {near!r}? Write for example "
                "columns: {image: file_name, mean: mos}."
            )
        if not isinstance(theirs, str) or not theirs.strip():
            raise DataError(f"{table}: columns: {ours} is {theirs!r}, expected the name of a column of the table.")
    return {ours: theirs.strip() for ours, theirs in names.items()}


def _renamed(path: Path, columns: list[str], lines: Rows, names: Mapping[str, str]) -> tuple[list[str], Rows]:
    """The table with our names for its columns; a column that has one of them by chance is not read."""
    if lines:
        try:
            check_columns(path, columns, [names.get(name, name) for name in (*NEEDED, *(names.keys() - set(NEEDED)))])
        except DataError as error:
            raise DataError(f"{error} Other names can be given as columns: {{image: ..., mean: ...}}.") from error
    ours = {theirs: name for name, theirs in names.items()}
    new = {name: ours.get(name, f"{name} (not mapped)" if name in names else name) for name in columns}
    cells = [(line, {new.get(name, name): cell for name, cell in row.items()}) for line, row in lines]
    return [new[name] for name in columns] if lines else columns, cells
