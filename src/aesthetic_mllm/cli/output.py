"""Rows of ratings as a table, as JSON lines or as CSV."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from typing import Any, Protocol, TextIO

COLUMNS = ("path", "question", "mean", "std", "distribution", "score_range", "error")
FORMATS = ("table", "json", "csv")
BLOCKS = " ▁▂▃▄▅▆▇█"


class RowWriter(Protocol):
    """Prints rows one by one."""

    def write(self, row: dict[str, Any]) -> None: ...


def rating_row(path: str, question: str | None, result: Any) -> dict[str, Any]:
    """The row of a rating, or of the error in its place; the keys are `COLUMNS`."""
    row = dict.fromkeys(COLUMNS) | {"path": path, "question": question}
    if isinstance(result, Exception):
        return row | {"error": getattr(result, "reason", str(result))}
    return row | {
        "mean": round(result.mean, 4),
        "std": None if result.std is None else round(result.std, 4),
        "distribution": None
        if result.distribution is None
        else {word: round(share, 4) for word, share in result.distribution.items()},
        "score_range": list(result.score_range),
    }


def writer(form: str, stream: TextIO) -> RowWriter:
    """The writer of one of `FORMATS`."""
    writers: dict[str, Callable[[TextIO], RowWriter]] = {"table": TableWriter, "json": JsonWriter, "csv": CsvWriter}
    return writers[form](stream)


class JsonWriter:
    """One JSON object a line."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, row: dict[str, Any]) -> None:
        print(json.dumps(row, ensure_ascii=False, allow_nan=False), file=self.stream, flush=True)


class CsvWriter:
    """A header and a line a row; distribution and range are JSON inside their cells."""

    def __init__(self, stream: TextIO):
        self.stream = stream
        self.csv = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        self.csv.writeheader()

    def write(self, row: dict[str, Any]) -> None:
        self.csv.writerow({key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()})
        self.stream.flush()


class TableWriter:
    """For people: mean, spread, a bar over the range, and the level words' shares as small blocks, the likeliest one full."""

    BAR = 20

    def __init__(self, stream: TextIO):
        self.stream = stream
        self.started = False

    def write(self, row: dict[str, Any]) -> None:
        width = max(24, min(60, shutil.get_terminal_size().columns - 60))
        if row["error"] is not None:
            print(f"{_shorten(row['path'], width):{width}}  cannot be judged: {row['error']}", file=self.stream, flush=True)
            return
        if not self.started:
            self.started = True
            low, high = row["score_range"]
            words = "|".join(word for word in (row["distribution"] or {}))
            print(f"{'photo':{width}}  {row['question']}, {low:g} to {high:g}{'':{8}}{words}", file=self.stream)
        low, high = row["score_range"]
        share = (row["mean"] - low) / (high - low)
        bar = "█" * round(share * self.BAR) + "·" * (self.BAR - round(share * self.BAR))
        std = "" if row["std"] is None else f" ±{row['std']:.1f}"
        shares = list((row["distribution"] or {}).values())
        levels = "".join(BLOCKS[round(share / max(shares) * (len(BLOCKS) - 1))] for share in shares)
        print(f"{_shorten(row['path'], width):{width}}  {row['mean']:4.1f}{std}  {bar}  {levels}", file=self.stream, flush=True)


def _shorten(path: str, width: int) -> str:
    """The path's end, which tells photos apart."""
    return path if len(path) <= width else "…" + os.fspath(path)[-(width - 1) :]
