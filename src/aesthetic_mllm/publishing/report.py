"""`report.json`: what was measured of a checkpoint, by which baselines, on which photos.

A report is a flat list of results, like a tidy table, and holds aggregates alone: no photo, no rating of a single one.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

FORMAT = 1


class ReportError(ValueError):
    """A file is no evaluation report, or one of another format."""


@dataclass(frozen=True)
class Measure:
    """A figure with its 95% interval.

    Args:
        value: as defined by [`MEASURES`].
        interval: by bootstrap or Wilson's formula; `None` where there is too little to tell.
    """

    value: float
    interval: tuple[float, float] | None = None

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        interval = found.get("interval")
        if interval is not None:
            low, high = interval
            interval = (_finite(low), _finite(high))
        return cls(_finite(found["value"]), interval)


@dataclass(frozen=True)
class Result:
    """What one system reached in one task on one part of a data set.

    Args:
        task: "ratings", "attributes", "damage", "pick_best", "suggestions", "comments", "personal" or "label_efficiency".
        data: the data set, such as "biq2021".
        subject: what was asked for: a question, an attribute, an edit, a style of comments, a method.
        part: of the data: "all", a category, "k=10", "10% of the labels".
        system: who answered: the checkpoint's name as in `Report.checkpoint["name"]`, or a baseline's.
        count: how many photos, people, views or comments (`unit`).
        unit: what `count` counts, in the plural.
        measures: by name, as in [`MEASURES`].
        differences: by baseline and measure: this system less the baseline, with the interval of a paired bootstrap.
    """

    task: str
    data: str
    subject: str
    part: str
    system: str
    count: int
    unit: str
    measures: Mapping[str, Measure]
    differences: Mapping[str, Mapping[str, Measure]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        values = dict(found)
        values["measures"] = _measures(found["measures"])
        values["differences"] = {name: _measures(rows) for name, rows in found.get("differences", {}).items()}
        return cls(**values)


@dataclass(frozen=True)
class DataSummary:
    """Which photos were asked about.

    Args:
        split: of the source.
        photos: that were read.
        failed: why, by the photo's file name.
        seen: photos of them that the checkpoint was trained on; `None`: not known.
        licence, url: of the data set.
    """

    split: str
    photos: int
    failed: Mapping[str, str] = field(default_factory=dict)
    seen: int | None = None
    licence: str = ""
    url: str = ""


@dataclass(frozen=True)
class Report:
    """An evaluation of a checkpoint.

    Args:
        checkpoint: "name" (a Hub id, or a folder's last part, never a path), "digest" (SHA-256 of the weights), "parameters",
            "questions", "dtype", "device".
        versions: of "aesthetic_mllm", "torch", "transformers", "python".
        machine: such as "Linux x86_64, 2 cores".
        made: date and time in UTC, ISO 8601.
        seconds: computed, by task, over all runs that made the report.
        data: by data set.
        results: the figures.
        curves: what is drawn: by "data/subject" lists of points, aggregates too: "calibration" bins with `rated`, `given` and
            `count`.
    """

    checkpoint: Mapping[str, Any]
    versions: Mapping[str, str]
    machine: str
    made: str
    seconds: Mapping[str, float]
    data: Mapping[str, DataSummary]
    results: tuple[Result, ...]
    curves: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The checkpoint's."""
        return str(self.checkpoint["name"])

    def find(self, **wanted: str) -> list[Result]:
        """The results whose fields are these, such as `find(task="ratings", part="all")`."""
        return [result for result in self.results if all(getattr(result, key) == value for key, value in wanted.items())]

    def _check(self) -> None:
        """Raises `ValueError` where a field holds something else than it says."""
        fields = {"checkpoint": self.checkpoint, "versions": self.versions, "seconds": self.seconds, "curves": self.curves}
        for name, value in fields.items():
            if not isinstance(value, Mapping):
                raise ValueError(f"{name} is {value!r}, not a mapping")
        if not isinstance(self.checkpoint.get("name"), str):
            raise ValueError("checkpoint.name is not there")
        if not isinstance(self.made, str) or not isinstance(self.machine, str):
            raise ValueError("made and machine are texts")
        for seconds in self.seconds.values():
            _finite(seconds)
        counts = [(f"data.{name}.photos", data.photos) for name, data in self.data.items()]
        for name, count in [*counts, *((f"count of {result.task}", result.count) for result in self.results)]:
            if isinstance(count, bool) or not isinstance(count, int):
                raise ValueError(f"{name} is {count!r}, not a number")

    def save(self, path: Path) -> None:
        """Writes JSON that [`load`] reads."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what [`save`] wrote.

        Raises:
            ReportError: the file cannot be read, is no report, or of another format.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        except RecursionError as error:
            raise ReportError(f"{path}: its values are nested too deep.") from error
        except OSError as error:
            raise ReportError(f"{path}: cannot be read ({error.strerror}).") from error
        except ValueError as error:
            raise ReportError(f"{path}: not JSON ({error}).") from error
        if not isinstance(found, dict) or "format" not in found or "results" not in found:
            raise ReportError(f"{path}: not a report of `aesthetic-mllm evaluate`.")
        if found.pop("format") != FORMAT:
            raise ReportError(f"{path}: a report of another version; run `aesthetic-mllm evaluate` again.")
        try:
            found["data"] = {name: DataSummary(**summary) for name, summary in found["data"].items()}
            found["results"] = tuple(Result.from_json(result) for result in found["results"])
            report = cls(**found)
            report._check()
            return report
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ReportError(f"{path}: not a whole report ({error}).") from error


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no finite number")


def systems(results: Iterable[Result]) -> list[str]:
    """Whose results they are, each once, in order of appearance."""
    return list(dict.fromkeys(result.system for result in results))


def _measures(found: Mapping[str, Any]) -> dict[str, Measure]:
    return {name: Measure.from_json(measure) for name, measure in found.items()}
