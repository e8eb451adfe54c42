"""Lessons: questions about an unlabelled photo whose answers are known, because they were measured or made.

Known of the paper: attribute-based pseudo-labels at three levels and textual cues. Which attributes, that photos are altered,
and all wording are our choice.
"""

import hashlib
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image

from ..editing import EDITS, Edit
from ..editing.measurements import MEASUREMENTS, measure
from ..editing.measurements.pool_statistics import PoolStatistics
from .phrase_bank import Cue, PhraseBank

LEVELS = ("low", "middle", "high")
ALTERED_SHARE = 0.5  # of the lessons of a level that has edits
CONTENT_SHARE = 0.5  # of the high-level lessons of a photo whose content a teacher named
MOST_STRENGTH = 1.2  # times the strong amount; the least is the barely visible one
OPPOSITE = {"better": "worse", "worse": "better", "equal": "equal"}


@dataclass(frozen=True)
class Lesson:
    """One question about one photo or a pair.

    Args:
        level: whose tokens must answer.
        kind: what is asked for: a measurement, what was done to the second photo, or what is to be seen.
        subject: the attribute's or the edit's name, or "content".
        images: one photo, or two: before and after.
        question, cue: as a person would ask and answer.
        label: what the cue says, whatever its wording.
        bin: of a measured attribute, 0 to 4, else `None`.
        signed_strength: of an edit, its amount over the strong amount, else `None`.
        verdict: of an edit, whether it made the photo "better", "worse" or neither ("equal"), else `None`.
    """

    level: Literal["low", "middle", "high"]
    kind: Literal["measured", "altered", "content"]
    subject: str
    images: tuple[Image.Image, ...]
    question: str
    cue: str
    label: str
    bin: int | None = None
    signed_strength: float | None = None
    verdict: str | None = None


def _as_it_is(cue: Cue) -> Cue:
    return cue


class LessonMaker:
    """Makes lessons of photos, the same ones whenever photo, epoch and seed are the same, in whatever process.

    Args:
        bank: wordings.
        statistics: of the pool.
        contents: what a teacher saw in each photo, by the photo's key.
        seed: of everything drawn.
        held_out: word the lessons with what training never shows.
        reword: takes a cue and gives it in other words, such as a [`CueRewriter`]; default the phrase bank's own.
    """

    def __init__(
        self,
        bank: PhraseBank,
        statistics: PoolStatistics,
        contents: Mapping[str, str] | None = None,
        seed: int = 0,
        held_out: bool = False,
        reword: Callable[[Cue], Cue] = _as_it_is,
    ):
        self.reword = reword
        self.bank, self.statistics, self.contents = bank, statistics, contents or {}
        self.seed, self.held_out = seed, held_out
        self.attributes = {level: [name for name in bank.attributes if MEASUREMENTS[name].level == level] for level in LEVELS}
        self.edits = {level: [EDITS[name] for name in bank.edits if EDITS[name].level == level] for level in LEVELS}

    def lesson(self, key: str, image: Image.Image, level: str, epoch: int) -> Lesson:
        """A lesson of one level, drawn for this photo and epoch."""
        rng = self.rng(key, level, epoch)
        if level == "high" and key in self.contents and rng.random() < CONTENT_SHARE:
            return self.content(image, self.contents[key], rng)
        if self.edits[level] and rng.random() < ALTERED_SHARE:
            return self.any_altered(image, level, rng)
        return self.measured(image, rng.choice(self.attributes[level]), rng)

    def rng(self, key: str, level: str, epoch: int) -> random.Random:
        """The source of all chance in a lesson; not Python's `hash`, which differs from process to process."""
        digest = hashlib.sha256(f"{self.seed}:{epoch}:{level}:{key}".encode()).digest()
        return random.Random(int.from_bytes(digest[:8]))

    def measured(self, image: Image.Image, attribute: str, rng: random.Random) -> Lesson:
        """How much of an attribute the photo has."""
        bin = self.statistics.bin(attribute, measure(image, [attribute])[attribute])
        cue = self.reword(self.bank.measured(attribute, bin, rng, self.held_out))
        level = MEASUREMENTS[attribute].level
        return Lesson(level, "measured", attribute, (image,), cue.question, cue.text, cue.label, bin=bin)

    def altered(self, image: Image.Image, edit: Edit, amount: float, rng: random.Random) -> Lesson:
        """What an edit did. Where an edit has words for both directions, the pair is shown in reverse half of the time."""
        before, after = edit.pair(image, amount, rng.randrange(2**31))
        verdict = edit.verdict(amount)
        if edit.less is not None and rng.random() < 0.5:
            before, after, amount, verdict = after, before, -amount, OPPOSITE[verdict]
        direction = "more" if amount >= 0 or edit.less is None else "less"
        cue = self.reword(self.bank.altered(edit.name, direction, edit.strength_word(amount), verdict, rng, self.held_out))
        return Lesson(
            edit.level, "altered", edit.name, (before, after), cue.question, cue.text, cue.label,
            signed_strength=amount / edit.strong, verdict=verdict,
        )  # fmt: skip

    def any_altered(self, image: Image.Image, level: str, rng: random.Random) -> Lesson:
        """What some edit of the level did, by an amount drawn at random; edits that leave the photo as it is are passed over,
        as those of colour do with a grey one."""
        for edit in rng.sample(self.edits[level], len(self.edits[level])):
            lesson = self.altered(image, edit, draw_amount(edit, rng), rng)
            before, after = lesson.images
            if before.size != after.size or before.tobytes() != after.tobytes():
                return lesson
        return self.measured(image, rng.choice(self.attributes[level]), rng)  # a photo of one colour all over

    def worded_anew(self, lesson: Lesson, rng: random.Random) -> Lesson:
        """The same lesson in other words."""
        if lesson.kind == "measured":
            cue = self.bank.measured(lesson.subject, int(lesson.bin or 0), rng, self.held_out)
        elif lesson.kind == "altered":
            _, direction, strength = lesson.label.split(":")
            cue = self.bank.altered(lesson.subject, direction, strength, str(lesson.verdict), rng, self.held_out)
        else:
            cue = self.bank.content(lesson.label.removeprefix("content:"), rng, self.held_out)
        cue = self.reword(cue)
        return replace(lesson, question=cue.question, cue=cue.text)

    def content(self, image: Image.Image, label: str, rng: random.Random) -> Lesson:
        """What is to be seen."""
        cue = self.reword(self.bank.content(label, rng, self.held_out))
        return Lesson("high", "content", "content", (image,), cue.question, cue.text, cue.label)


def draw_amount(edit: Edit, rng: random.Random) -> float:
    """From barely visible to a little more than strong, evenly in ratios; either sign where the edit has both."""
    low, high = edit.range
    size = math.exp(rng.uniform(math.log(edit.barely), math.log(MOST_STRENGTH * edit.strong)))
    signed = -size if low < 0 and rng.random() < 0.5 else size
    return min(max(signed, low), high)
