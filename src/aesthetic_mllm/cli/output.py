"""Rows of results as text for people, as JSON lines or as CSV. A row is what `to_dict` gives, with the photo's path."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

Row = dict[str, Any]
FORMATS = ("table", "json", "csv")
DECIMALS = 4


@dataclass(frozen=True)
class Layout:
    """How a command's rows look.

    Args:
        columns: of CSV.
        flat: the CSV lines of a row, with columns as keys; those that lack are left empty.
        draw: the text of a row, without the last line's end.
    """

    columns: Sequence[str]
    flat: Callable[[Row], Iterable[Row]]
    draw: Callable[[Row], str]


class RowWriter(Protocol):
    """Prints rows one by one; each is out when `write` returns."""

    def write(self, row: Row) -> None: ...


def writer(form: str, stream: TextIO, layout: Layout) -> RowWriter:
    """The writer of one of `FORMATS`."""
    if form == "json":
        return JsonWriter(stream)
    return CsvWriter(stream, layout) if form == "csv" else TextWriter(stream, layout)


class JsonWriter:
    """One JSON object a line."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, row: Row) -> None:
        print(json.dumps(rounded(row), ensure_ascii=False, allow_nan=False), file=self.stream, flush=True)


class CsvWriter:
    """A header, and a line or more a row; values that are not flat are JSON inside their cells."""

    def __init__(self, stream: TextIO, layout: Layout):
        self.stream, self.flat = stream, layout.flat
        self.csv = csv.DictWriter(stream, layout.columns, lineterminator="\n")
        self.csv.writeheader()

    def write(self, row: Row) -> None:
        for line in self.flat(rounded(row)):
            self.csv.writerow(
                {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in line.items()}
            )
        self.stream.flush()


class TextWriter:
    """What a row says, for people."""

    def __init__(self, stream: TextIO, layout: Layout):
        self.stream, self.draw = stream, layout.draw

    def write(self, row: Row) -> None:
        print(self.draw(row), file=self.stream, flush=True)


def rounded(value: Any) -> Any:
    """The value with all numbers in it rounded to so many decimals that nothing is lost which means anything."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value
