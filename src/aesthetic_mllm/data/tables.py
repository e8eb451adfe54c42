"""Reads tables, a user's own and those of data sets, and says what is wrong with them by file, line and column.

Needs no extra, but for parquet.
"""

import csv
import difflib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .data_error import DataError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
SEPARATORS = (",", ";", "\t")
_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)")

Rows = list[tuple[int, dict[str, Any]]]


def read_table(path: Path, known: Sequence[str]) -> tuple[list[str], Rows]:
    """Columns and rows of a user's table, as spreadsheets and scripts write them.

    CSV is separated by commas, semicolons (with decimal commas) or tabs, whichever the header has most of. JSONL is one object
    a line. Rows without any value are passed over.

    Args:
        path: a file with one of [`TABLE_SUFFIXES`], in any case.
        known: the columns that mean something. They are found in any case and with spaces around them, and are given by these
            names; other columns keep their own, without the spaces.

    Returns:
        Names of the columns, and each row's line number (of parquet: its place, from 1) and cells. Cells of CSV are text; a
        missing value is `None` or an empty text. See [`cell_text`] and [`number`].

    Raises:
        DataError: the file cannot be read or is no such table, or two columns have the same name.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise DataError(f"{path}: cannot read {suffix or 'a file without suffix'}, expected {', '.join(TABLE_SUFFIXES)}.")
    if suffix in (".csv", ".tsv"):
        return _read_csv_table(path, known)
    found, rows = _read_jsonl(path) if suffix == ".jsonl" else _read_parquet(path)
    names = _known_names(path, found, known)
    return list(names.values()), [(line, {names[key]: value for key, value in cells.items()}) for line, cells in rows]


def read_csv(
    path: Path, columns: Sequence[str], delimiter: str = ",", encoding: str = "utf-8-sig"
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells, by column, of each row of a data set's table; more columns than asked for are given too.

    Raises:
        DataError: no such file, no CSV, or columns missing; the nearest ones that are there are named.
    """
    rows = _csv_rows(path, delimiter, encoding)
    _, header = next(rows, (0, []))
    check_columns(path, header, columns)
    for line, cells in rows:
        cells += [""] * (len(header) - len(cells))
        yield line, {name: cell for name, cell in zip(header, cells, strict=False) if name}


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Number (from 1) and text of each line that is not empty. Lines end with \n or \r\n, and with no other character.

    Raises:
        DataError: no such file, or not text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="strict")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


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
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}).") from error


def number(path: Path, line: int, column: str, text: str) -> float:
    """A cell as a number; raises [`DataError`] naming file, line and column."""
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{path}, line {line}: {column} is {text!r}, expected a number.") from error


def cell_text(path: Path, line: int, column: str, value: Any) -> str:
    """A cell of [`read_table`] as text without spaces around it, "" where there is no value; raises [`DataError`] for a list."""
    if isinstance(value, dict | list | tuple | bytes | np.ndarray):
        raise DataError(f"{path}, line {line}: {column} is {value!r:.80}, expected one value.")
    return "" if value is None or value != value else str(value).strip()


def _read_csv_table(path: Path, known: Sequence[str]) -> tuple[list[str], Rows]:
    rows = _csv_rows(path, "\t" if path.suffix.lower() == ".tsv" else None)
    _, header = next(rows, (0, []))
    names = _known_names(path, [name for name in header if name], known)
    found = []
    for line, cells in rows:
        if extra := next((cell for cell in cells[len(header) :] if cell), None):
            raise DataError(
                f"{path}, line {line}: {extra!r:.80} is one cell more than the {len(header)} columns; text with a separator "
                "in it needs quotes."
            )
        cells += [""] * (len(header) - len(cells))
        found.append((line, {names[name]: cell for name, cell in zip(header, cells, strict=False) if name}))
    return list(names.values()), found


def _csv_rows(path: Path, delimiter: str | None, encoding: str = "utf-8-sig") -> Iterator[tuple[int, list[str]]]:
    """The line where a row begins, and its cells; of the header too. Without a delimiter the header tells."""
    start = 1
    try:
        with open(path, newline="", encoding=encoding) as file:
            if delimiter is None:
                header = re.sub(r'"[^"]*"', "", next((line for line in file if line.strip()), ""))
                delimiter = max(SEPARATORS, key=header.count)
                file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            for row in reader:
                cells = [cell.strip() for cell in row]
                if delimiter == ";":  # what they write whose decimal mark is the comma
                    cells = [_DECIMAL_COMMA.sub(r"\1.\2", cell) if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]
                if any(cells):
                    yield start, cells
                start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {start}: not CSV ({error}); is a quote left open there?") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _read_jsonl(path: Path) -> tuple[list[str], Rows]:
    rows: Rows = []
    columns: dict[str, None] = {}
    for line, text in read_lines(path):
        try:
            cells = json.loads(text)
        except ValueError as error:
            raise DataError(f"{path}, line {line}: not JSON ({error}).") from error
        if not isinstance(cells, dict):
            raise DataError(f"{path}, line {line}: {text!r:.80}, expected an object.")
        columns |= dict.fromkeys(cells)
        rows.append((line, cells))
    return list(columns), rows


def _read_parquet(path: Path) -> tuple[list[str], Rows]:
    try:
        import pandas

        frame = pandas.read_parquet(path)
    except ImportError as error:
        raise DataError(f"{path}: parquet needs pandas and pyarrow: pip install 'aesthetic-mllm[train]'.") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise DataError(f"{path}: not a parquet table ({error}).") from error
    frame = frame.astype(object).where(frame.notna(), None).rename(columns=str)
    return list(frame.columns), list(enumerate(frame.to_dict("records"), start=1))


def _known_names(path: Path, found: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """What each column is to be called."""
    by_key = {name.casefold(): name for name in known}
    names = {name: by_key.get(name.strip().casefold(), name.strip()) for name in found}
    if len(set(names.values())) < len(found):
        raise DataError(f"{path}: two columns have the same name; it has {', '.join(map(repr, found))}.")
    return names


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> DataError:
    if isinstance(error, UnicodeDecodeError):
        return DataError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8.")
    return DataError(f"{path}: cannot be read ({error.strerror or error}).")
