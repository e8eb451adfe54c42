"""Rows of results as text for people, as JSON lines or as CSV. A row is what `to_dict` gives, with the photo's path.

File names are bytes on most systems, and need not be text of any encoding; Python holds what is none as surrogates. JSON escapes
them as it does in general, so that Python's `json.loads` gives the name back. CSV and tables have the name's own bytes; Python
reads them with `errors="surrogateescape"`.
"""

import codecs
import csv
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

Row = dict[str, Any]
FORMATS = ("table", "json", "csv")
DECIMALS = 4
# How streams treat what their encoding lacks: see `_bytes_or_escape`.
ANY_NAME = "aesthetic_mllm.any_name"
# Classes of letters that turn the direction of what follows, so that a name looks like another one.
TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
# Values of rows that may hold file names.
NAMES = ("path", "first_path", "second_path", "applied", "error")


def _bytes_or_escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Of a name that is no text its bytes; of a letter that the encoding lacks an escape such as \\u2588."""
    assert isinstance(error, UnicodeEncodeError)
    start = error.start
    is_byte = "\udc80" <= error.object[start] <= "\udcff"
    one = UnicodeEncodeError(error.encoding, error.object, start, start + 1, error.reason)
    return codecs.lookup_error("surrogateescape" if is_byte else "backslashreplace")(one)


codecs.register_error(ANY_NAME, _bytes_or_escape)


@contextmanager
def writing_any_name(stream: TextIO) -> Iterator[TextIO]:
    """A stream such as standard output, while rows with any name can be written to it."""
    errors, reconfigure = stream.errors, getattr(stream, "reconfigure", None)
    if reconfigure is None:  # not a stream of bytes
        yield stream
        return
    reconfigure(errors=ANY_NAME)
    try:
        yield stream
    finally:
        reconfigure(errors=errors)


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
        row = rounded(row)
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
        try:
            line.encode(self.stream.encoding or "utf-8")
        except UnicodeEncodeError:
            line = json.dumps(row, allow_nan=False)
        print(line, file=self.stream, flush=True)


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
        named = {key: printable(row[key]) for key in NAMES if isinstance(row.get(key), str)}
        print(self.draw(row | named), file=self.stream, flush=True)


def printable(name: str) -> str:
    """A name on one line: line ends and what else steers a terminal are escaped, also what turns the direction of writing."""
    return "".join(letter.encode("unicode_escape").decode() if _steers(letter) else letter for letter in name)


def _steers(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(letter) in TURNS


def rounded(value: Any) -> Any:
    """The value with all numbers in it rounded to so many decimals that nothing is lost which means anything."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value
