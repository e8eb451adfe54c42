"""What the tasks of an evaluation share: the cache of answers, sizes, times; and the form of what they find."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ...data.record import Record
from ...processing.image_loading import ImageError
from ...processing.rating_scale import Rating
from ...publishing.report import Measure, Result
from ..resampling import Sampled
from .answer_cache import AnswerCache
from .evaluated_data import EvaluatedData
from .sizes import Sizes
from .system import System

BATCH_SIZE = 8


@dataclass(frozen=True)
class Finding:
    """What one system reached in one task on one part of a data set, with its resamples; fields as of [`Result`]."""

    task: str
    data: str
    subject: str
    part: str
    system: str
    count: int
    unit: str
    figures: Mapping[str, Sampled]

    @property
    def place(self) -> tuple[str, str, str, str]:
        """The same for all systems."""
        return self.task, self.data, self.subject, self.part


@dataclass
class Bench:
    """Tasks' surroundings.

    Args:
        cache: of answers.
        sizes: of the tasks.
        seconds: computed, by task.
        notes: what could not be evaluated, and why, in sentences.
    """

    cache: AnswerCache
    sizes: Sizes
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, task: str) -> Iterator[None]:
        """Counts what is computed within for a task: now, and in earlier runs where answers are found in the cache."""
        began, recalled = time.perf_counter(), self.cache.recalled
        try:
            yield
        finally:
            spent = time.perf_counter() - began + self.cache.recalled - recalled
            self.seconds[task] = self.seconds.get(task, 0.0) + spent

    def note(self, text: str) -> None:
        """Remembers a sentence once."""
        if text not in self.notes:
            self.notes.append(text)

    def ratings(self, system: System, data: EvaluatedData) -> dict[str, dict[str, Rating]]:
        """What a system answers to all questions that people ask, by photo key and question; failed photos are counted."""
        scale = system.assessor.processor.rating_scale
        questions = scale.people_questions
        photos = data.keyed(data.some(len(data.records)))

        def ask(records: list[Record]) -> Iterable[dict[str, list[object]] | ImageError]:
            paths = [record.image for record in records]
            for rated in system.assessor.ratings_stream(paths, questions, on_error="return", batch_size=BATCH_SIZE):
                yield rated if isinstance(rated, ImageError) else {key: _packed(one) for key, one in rated.items()}

        def read(found: Mapping[str, Sequence[Any]]) -> dict[str, Rating]:
            return {question: _unpacked(found[question], scale.score_range) for question in questions}

        answers = self.cache.answers(
            "ratings",
            {"checkpoint": system.identity, "questions": questions},
            photos,
            ask,
            BATCH_SIZE,
            f"{system.name}: ratings, {data.name}",
            read,
        )
        data.fail(answers.failed, photos)
        return answers.found


def results(findings: Sequence[Finding], checkpoint: str) -> tuple[Result, ...]:
    """Findings as a report holds them; the checkpoint's with its differences from the baselines on the same rows."""
    others: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in findings:
        if finding.system != checkpoint:
            others.setdefault(finding.place, []).append(finding)
    made = []
    for finding in findings:
        compared = others.get(finding.place, []) if finding.system == checkpoint else []
        differences: dict[str, dict[str, Measure]] = {}
        for other in compared:
            shared = [name for name in finding.figures if name in other.figures]
            if other.count == finding.count and shared:
                differences[other.system] = {name: finding.figures[name].less(other.figures[name]).measure() for name in shared}
        measures = {name: figure.measure() for name, figure in finding.figures.items()}
        made.append(
            Result(*finding.place, finding.system, finding.count, finding.unit, measures, differences),
        )
    return tuple(made)


def _packed(rating: Rating) -> list[object]:
    shares = None if rating.distribution is None else dict(rating.distribution)
    return [rating.mean, rating.std, rating.percentile, shares]


def _unpacked(values: Sequence[Any], score_range: tuple[float, float]) -> Rating:
    mean, std, percentile, shares = values
    numbers = (mean, *(each for each in (std, percentile) if each is not None), *dict(shares or {}).values())
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{numbers} is no rating.")
    return Rating(mean, std, shares, score_range, percentile)
