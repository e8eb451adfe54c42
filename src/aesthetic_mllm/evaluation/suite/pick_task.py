"""The best of a series: pairs and quads of photos that people rated clearly apart, and photos among damaged copies of themselves.

Each series is shown twice, the second time in the opposite order.
"""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ...data.record import Record
from ...processing.image_loading import ImageError, ImageSource, load_image
from ..damages import DAMAGES
from ..resampling import sampled_mean
from .bench import Bench, Finding
from .evaluated_data import EvaluatedData
from .system import System

PICK_BEST = "pick_best"
PAIRS, QUADS, DAMAGED = "pairs", "quads", "damaged copies"
COPIES = 3
SIDE = 1024  # pixels of the long side at which photos are damaged here


@dataclass(frozen=True)
class Series:
    """Photos of which the best is known.

    Args:
        kind: [`PAIRS`], [`QUADS`] or [`DAMAGED`].
        records: of the photos in the order in which they are shown; of damaged copies the one photo.
        best: place of the best.
        seed: of the damages.
    """

    kind: str
    records: tuple[Record, ...]
    best: int
    seed: str = ""

    def photos(self) -> list[ImageSource]:
        """As they are shown.

        Raises:
            ImageError: the photo to be damaged cannot be read.
        """
        if self.kind != DAMAGED:
            return [record.image for record in self.records]
        image = load_image(self.records[0].image)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        chance = random.Random(self.seed)
        copies: list[Image.Image] = []
        for damage in chance.sample(DAMAGES, len(DAMAGES)):
            before, after = damage.pair(image, 1.0, chance.randrange(2**31))
            if before is image:  # others show less of the photo, and so another photo
                copies.append(after)
            if len(copies) == COPIES:
                break
        copies.insert(self.best, image)
        return list(copies)


def pick_findings(bench: Bench, system: System, data: EvaluatedData) -> list[Finding]:
    """How often the best photo is picked, in both orders, and how often the same one is."""
    findings = []
    scale = system.assessor.processor.rating_scale
    for question in data.questions:
        asked = scale.nearest(question)
        if asked not in scale.questions:
            continue
        for kind, found in make_series(data, question, bench.sizes.series).items():
            rows = _pick(bench, system, data, asked, found)
            if rows:
                right, swapped, same = np.array(rows, dtype=np.float64).T
                figures = {
                    "picked": sampled_mean(right),
                    "picked_swapped": sampled_mean(swapped),
                    "same_pick": sampled_mean(same),
                }
                findings.append(Finding(PICK_BEST, data.name, question, kind, system.name, len(rows), "series", figures))
    return findings


def make_series(data: EvaluatedData, question: str, count: int) -> dict[str, list[Series]]:
    """Series of each kind; fewer where there are not enough photos apart by a standard deviation of people's means.

    Each photo is the best of one series of a kind at most; as one of the others it may come again.
    """
    records = sorted(data.rated(question), key=data.path_of)
    keyed = data.keyed(records)
    records = list(keyed.values())
    means = np.array([record.mean for record in records], dtype=np.float64)
    found: dict[str, list[Series]] = {PAIRS: [], QUADS: [], DAMAGED: []}
    if len(records) < 2:
        return found
    chance = random.Random(f"{data.name}:{question}")
    apart = float(means.std())
    for kind, size in ((PAIRS, 2), (QUADS, 4)):
        for best in chance.sample(range(len(records)), len(records)):
            worse = np.flatnonzero(means <= means[best] - apart).tolist()
            if apart > 0 and len(worse) >= size - 1 and len(found[kind]) < count:
                shown = [best, *chance.sample(worse, size - 1)]
                chance.shuffle(shown)
                found[kind].append(Series(kind, tuple(records[place] for place in shown), shown.index(best)))
    for record in chance.sample(records, min(count, len(records))):
        found[DAMAGED].append(Series(DAMAGED, (record,), chance.randrange(COPIES + 1), data.path_of(record)))
    return found


def _pick(bench: Bench, system: System, data: EvaluatedData, question: str, series: Sequence[Series]) -> list[list[bool]]:
    """Of each series whether the best was picked, in the opposite order, and whether both picks are the same photo."""

    def ask(some: list[Series]) -> Iterable[list[bool] | ImageError]:
        for one in some:
            try:
                photos = one.photos()
                first = picked(system, photos, question, one.kind == PAIRS)
                second = len(photos) - 1 - picked(system, photos[::-1], question, one.kind == PAIRS)
            except ImageError as error:
                yield error
            else:
                yield [first == one.best, second == one.best, first == second]

    items = {_key(data, one): one for one in series}
    kind = series[0].kind if series else ""
    answers = bench.cache.answers(
        PICK_BEST,
        {"checkpoint": system.identity, "question": question, "kind": kind},
        items,
        ask,
        label=f"{system.name}: {kind}, {data.name}",
        read=_three,
    )
    for key, reason in answers.failed.items():
        for record in items[key].records:
            try:
                load_image(record.image)
            except ImageError:
                data.fail({key: reason}, {key: record})
    return list(answers.found.values())


def _three(found: Sequence[bool]) -> list[bool]:
    first, second, same = found
    return [bool(first), bool(second), bool(same)]


def picked(system: System, photos: Sequence[ImageSource], question: str, as_pair: bool) -> int:
    """The place of the photo that a checkpoint calls the best: of two by comparing them, of more by picking one."""
    if as_pair:
        return 0 if system.assessor.compare(photos[0], photos[1], question).probability_first > 0.5 else 1
    return system.assessor.pick(list(photos), 1, question)[0].index


def _key(data: EvaluatedData, series: Series) -> str:
    photos = [str(data.key(record)) for record in series.records]
    return hashlib.sha256(repr((series.kind, photos, series.best, series.seed)).encode()).hexdigest()
