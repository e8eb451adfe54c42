"""Reads the tables of data sets, and says what is wrong with them by file, line and column."""

import csv
import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .record import DataError


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is not empty.

    Raises:
        DataError: no such file, or not text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="strict")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}).") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def read_csv(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells, by column, of each row of a table with a header; more columns than asked for are given too.

    Raises:
        DataError: no such file, or columns missing; the nearest ones that are there are named.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True)
            check_columns(path, [name.strip() for name in reader.fieldnames or ()], columns)
            for row in reader:
                cells = {
                    name.strip(): (value or "").strip() for name, value in row.items() if isinstance(value, str | None) and name
                }
                yield reader.line_num, cells
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}).") from error


def check_columns(path: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    """Raises [`DataError`] naming each missing column and the nearest that is there."""
    told = []
    for name in wanted:
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1)
            told.append(f"{name!r} (is it {near[0]!r}?)" if near else repr(name))
    if told:
        raise DataError(f"{path}: no column {', '.join(told)}; it has {', '.join(map(repr, found)) or 'none'}.")


def read_json(path: Path) -> Any:
    """Raises [`DataError`] where there is no such file, or no JSON in it."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}).") from error


def number(path: Path, line: int, column: str, text: str) -> float:
    """A cell as a number; raises [`DataError`] naming file, line and column."""
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{path}, line {line}: {column} is {text!r}, expected a number.") from error
