"""Ratings that are there already: photos with their means, from what `score` and `assess` wrote."""

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .job_error import JobError

if TYPE_CHECKING:
    import pyarrow.dataset

TEXT_SUFFIXES = (".csv", ".jsonl", ".json")
# Names of a mean in CSV lines and JSON rows: of `score`, then of `assess`.
_MEANS = ("mean", "rating_mean")


@dataclass(frozen=True, slots=True)
class RatedPhoto:
    """A photo with its rating.

    Args:
        key: its path, or `container#` and its row or name within.
        mean: its rating; `None` for a photo that could not be judged.
        sha256: of the file as it was rated; `None` where that was not noted.
        name: what the container calls it, such as the path in a table's column.
    """

    key: str
    mean: float | None
    sha256: str | None = None
    name: str | None = None


class RatedPhotos:
    """The photos of a table.

    Args:
        path: ratings.parquet, the folder of a job, or CSV or JSON lines of `score` or `assess`.
        question: whose ratings; default the first of a table. CSV and JSON have those of one question.

    Raises:
        JobError: it is no such table, or has no such question.
    """

    def __init__(self, path: Path, question: str | None = None):
        self.path, self.question = path, question
        self._dataset: pyarrow.dataset.Dataset | None = None
        if path.suffix.lower() not in TEXT_SUFFIXES or path.is_dir():
            self._dataset = _dataset(path)
            self.question = self._asked(self._dataset.schema.names)
        elif not path.is_file():
            raise JobError(f"{path}: no such file.")
        elif question is not None:
            raise JobError(f"{path} has the ratings of one question; leave out --question, or give a table of parquet.")

    @property
    def total(self) -> int:
        """How many rows a table of parquet has; 0 for other files."""
        return 0 if self._dataset is None else int(self._dataset.count_rows())

    @property
    def know_contents(self) -> bool:
        """Whether the photos' sha256 are known."""
        return self._dataset is not None

    def __iter__(self) -> Iterator[RatedPhoto]:
        if self._dataset is None:
            return _rows_of_text(self.path)
        return self._rows(self._dataset)

    def file_of(self, photo: RatedPhoto) -> Path | None:
        """Where the photo's file is; `None` where there is none.

        Where contents are known it may also lie as seen from the table's folder, or where its container's row says.
        """
        places = [photo.key]
        if photo.sha256 is not None:
            if photo.name is not None:
                places.append(os.path.join(os.path.dirname(photo.key.partition("#")[0]), photo.name))
                places.append(os.path.join(photo.key.partition("#")[0], photo.name))
            places += [os.path.join(self.path.absolute().parent, place) for place in places]
        return next((Path(place) for place in places if os.path.isfile(place)), None)

    def _asked(self, columns: list[str]) -> str:
        found = [name.removesuffix("_mean") for name in columns if name.endswith("_mean")]
        if not found or not {"path", "sha256", "error"} <= {*columns}:
            raise JobError(f"{self.path}: no table that `score` or `assess` wrote; its columns are {', '.join(columns)}.")
        if self.question is not None and self.question not in found:
            raise JobError(f"{self.path} has no ratings of {self.question!r}; it has {', '.join(found)}.")
        return self.question or found[0]

    def _rows(self, dataset: "pyarrow.dataset.Dataset") -> Iterator[RatedPhoto]:
        columns = ("path", "path_bytes", f"{self.question}_mean", "sha256", "name")
        for batch in dataset.to_batches(columns=list(columns)):
            for key, exact, *rest in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
                yield RatedPhoto(key if exact is None else os.fsdecode(exact), *rest)


def is_unchanged(file: Path, photo: RatedPhoto) -> bool:
    """Whether a file has the bytes that were rated; so it is taken where they were not noted.

    Raises:
        OSError: it cannot be read.
    """
    if photo.sha256 is None:
        return True
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == photo.sha256


def _dataset(path: Path) -> "pyarrow.dataset.Dataset":
    import pyarrow
    import pyarrow.dataset

    try:
        found = pyarrow.dataset.dataset(path, format="parquet")  # of a folder without _manifest.json and the like
    except (pyarrow.ArrowException, OSError) as error:
        raise JobError(f"{path}: not a parquet file, or damaged ({error}).") from error
    if path.is_dir() and not found.files:
        raise JobError(f"{path}: no folder of a job.")
    return found


def _rows_of_text(path: Path) -> Iterator[RatedPhoto]:
    # names need not be text; what is none came out as its bytes
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file) if path.suffix.lower() == ".csv" else map(_object, file)
        for number, row in enumerate(rows, 1):
            try:
                yield RatedPhoto(os.fspath(row["path"]), _mean(row))
            except (KeyError, TypeError, ValueError) as error:
                raise JobError(f"{path}: row {number} has no path and rating as `score` writes them ({error!r}).") from error


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None  # told with its number


def _mean(row: dict[str, Any]) -> float | None:
    if row.get("error"):
        return None
    rating = row.get("rating")
    if isinstance(rating, dict):
        return float(rating["mean"])
    return float(next(row[name] for name in _MEANS if name in row))
