"""The photos of a data set that a checkpoint is evaluated on, and those that baselines may learn from."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...data.catalogue import OWN, find_source
from ...data.record import DataError, Record
from ...data.source import Source, read_source
from ...data.splits import lowest_hashes

logger = logging.getLogger(__name__)


@dataclass
class EvaluatedData:
    """A data set's split.

    Args:
        name: the source's, numbered where a source is given twice ("own-2").
        source, root, split: where the records come from.
        records: of the photos that are there, those with ratings and others.
        failed: why photos could not be evaluated, by their path below the root.
        photos: that were to be evaluated, failed ones too.
        passed_over: photos that are missing or have wrong values and are not among the failed ones, because of a limit.
    """

    name: str
    source: Source
    root: Path
    split: str
    records: list[Record]
    failed: dict[str, str] = field(default_factory=dict)
    photos: int = 0
    passed_over: int = 0
    _keys: dict[Path, str] = field(default_factory=dict)
    _train: dict[int, list[Record]] = field(default_factory=dict)

    @classmethod
    def open(cls, name: str, entry: Mapping[str, Any], split: str, limit: int | None = None) -> "EvaluatedData":
        """Reads a data set.

        Args:
            name: of it in the report.
            entry: as of [`find_source`].
            limit: the most photos; default all.

        Raises:
            DataError: no such data set or split, a table that cannot be read, no photo that is there.
        """
        # whoever names a table to evaluate on means all of it, unless the table says otherwise
        source, root = find_source({**entry, "whole": True} if entry["source"] == OWN else dict(entry))
        records, report = read_source(source, root, split, skip_missing=True)
        chosen = some_photos(records, root, limit)
        data = cls(name, source, root, split, chosen)
        if limit is None:  # of a part nobody can say which of the missing ones were in it
            missing = (below(root / image, root) for image in report.missing_images)
            data.failed |= dict.fromkeys(missing, "the file is missing.")
            data.failed |= dict.fromkeys(report.faulty, "its row has wrong values.")
        else:
            data.passed_over = len(set(report.missing_images)) + len(report.faulty)
        data.photos = len({record.image for record in chosen}) + len(data.failed)
        return data

    def path_of(self, record: Record) -> str:
        """The photo's path below the root, with slashes."""
        return below(record.image, self.root)

    def file_elsewhere(self, record: Record) -> str | None:
        """The absolute path of a photo that does not lie below the root; `None` of one that does."""
        photo = os.path.abspath(record.image)
        return None if Path(photo).is_relative_to(os.path.abspath(self.root)) else photo

    @property
    def questions(self) -> list[str]:
        """What people's ratings answer, in the order of the records."""
        return list(dict.fromkeys(record.question for record in self.records if record.mean is not None))

    def rated(self, question: str) -> list[Record]:
        """Records with ratings of a question whose photos have not failed."""
        return [
            record
            for record in self.records
            if record.mean is not None and record.question == question and self.path_of(record) not in self.failed
        ]

    def some(self, count: int, wanted: Callable[[Record], bool] = lambda record: True) -> list[Record]:
        """A fixed part of the records whose photos have not failed, one a photo."""
        good = [record for record in self.records if wanted(record) and self.path_of(record) not in self.failed]
        return some_photos(list({record.image: record for record in good}.values()), self.root, count)

    def train(self, count: int) -> list[Record]:
        """A fixed part of the source's training records; none where it has no such split, or this is it."""
        if count not in self._train:
            self._train[count] = []
            if self.split != "train" and "train" in self.source.splits:
                try:
                    records, _ = read_source(self.source, self.root, "train", skip_missing=True)
                    self._train[count] = some_photos(records, self.root, count)
                except DataError as error:
                    logger.warning("No training photos for the baselines; each fifth is predicted from the others. %s", error)
        return self._train[count]

    def keyed(self, records: Iterable[Record], fails: bool = True) -> dict[str, Record]:
        """Records by the digest of their photos' files, each photo once; what cannot be read is left out.

        Args:
            fails: whether such photos count as failed ones.
        """
        found: dict[str, Record] = {}
        for record in records:
            if record.image not in self._keys:
                try:
                    with open(record.image, "rb") as file:
                        self._keys[record.image] = hashlib.file_digest(file, "sha256").hexdigest()
                except OSError as error:
                    if fails:
                        self.failed[self.path_of(record)] = f"cannot be read ({error.strerror})."
                    continue
            found.setdefault(self._keys[record.image], record)
        return found

    def named(self, records: Iterable[Record]) -> dict[str, Record]:
        """As [`keyed`], by digest and path: where what is done to a photo depends on its name."""
        return {f"{key}:{self.path_of(record)}": record for key, record in self.keyed(records).items()}

    def key(self, record: Record) -> str | None:
        """The digest of a record's photo; `None`: it could not be read."""
        return self._keys.get(record.image)

    def fail(self, reasons: Mapping[str, str], records: Mapping[str, Record]) -> None:
        """Counts photos as failed, by their keys; all that have the same bytes, because one is asked about for all."""
        for key, reason in reasons.items():
            digest = self.key(records[key])
            same = [record for record in self.records if digest is not None and self.key(record) == digest]
            self.failed |= {self.path_of(record): reason for record in (records[key], *same)}


def open_all(entries: Sequence[Mapping[str, Any]], split: str, limit: int | None = None) -> list[EvaluatedData]:
    """Data sets by [`EvaluatedData.open`]; one that is given twice gets a number."""
    opened: list[EvaluatedData] = []
    for entry in entries:
        name = str(entry["source"])
        earlier = sum(data.source.name == name for data in opened)
        opened.append(EvaluatedData.open(f"{name}-{earlier + 1}" if earlier else name, entry, split, limit))
    return opened


def below(path: Path, root: Path) -> str:
    """A path below a root with slashes; of one that lies elsewhere the name, and a digest in place of its folder: reports name no
    machine's folders, and two photos of one name are two."""
    photo, top = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    if photo.is_relative_to(top):
        return photo.relative_to(top).as_posix()
    try:
        folder = Path(os.path.relpath(photo.parent, top))
    except ValueError:  # another drive
        folder = photo.parent
    return f"elsewhere-{hashlib.sha256(folder.as_posix().encode()).hexdigest()[:8]}/{photo.name}"


def some_photos(records: Sequence[Record], root: Path, count: int | None) -> list[Record]:
    """The records of so many photos, chosen by a hash of their paths below the root, in their order."""
    if count is None:
        return list(records)
    chosen = set(lowest_hashes({below(record.image, root) for record in records}, count))
    return [record for record in records if below(record.image, root) in chosen]
