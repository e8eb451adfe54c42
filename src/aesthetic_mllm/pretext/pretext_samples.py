"""Pretext samples: questions about an unlabelled photo whose answers are known, because they were measured or made.

Known of the paper: attribute-based pseudo-labels at three levels and textual target texts. Which attributes, that photos are
    altered,
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
from .phrase_bank import PhraseBank, TargetText

LEVELS = ("low", "middle", "high")
ALTERED_SHARE = 0.5  # of the pretext samples of a level that has edits
CONTENT_SHARE = 0.5  # of the high-level pretext samples of a photo whose content a teacher named
MOST_STRENGTH = 1.2  # times the strong amount; the least is the barely visible one
OPPOSITE = {"better": "worse", "worse": "better", "equal": "equal"}


@dataclass(frozen=True)
class PretextSample:
    """One question about one photo or a pair.

    Args:
        level: whose tokens must answer.
        kind: what is asked for: a measurement, what was done to the second photo, or what is to be seen.
        subject: the attribute's or the edit's name, or "content".
        images: one photo, or two: before and after.
        question, target text: as a person would ask and answer.
        label: what the target text says, whatever its wording.
        bin: of a measured attribute, 0 to 4, else `None`.
        signed_strength: of an edit, its amount over the strong amount, else `None`.
        verdict: of an edit, whether it made the photo "better", "worse" or neither ("equal"), else `None`.
    """

    level: Literal["low", "middle", "high"]
    kind: Literal["measured", "altered", "content"]
    subject: str
    images: tuple[Image.Image, ...]
    question: str
    target_text: str
    label: str
    bin: int | None = None
    signed_strength: float | None = None
    verdict: str | None = None


def _as_it_is(target_text: TargetText) -> TargetText:
    return target_text


class PretextSampleMaker:
    """Makes pretext samples of photos, the same ones whenever photo, epoch and seed are the same, in whatever process.

    Args:
        bank: wordings.
        statistics: of the pool.
        contents: what a teacher saw in each photo, by the photo's key.
        seed: of everything drawn.
        held_out: word the pretext samples with what training never shows.
        reword: takes a target text and gives it in other words, such as a [`TargetTextRewriter`]; default the phrase bank's own.
    """

    def __init__(
        self,
        bank: PhraseBank,
        statistics: PoolStatistics,
        contents: Mapping[str, str] | None = None,
        seed: int = 0,
        held_out: bool = False,
        reword: Callable[[TargetText], TargetText] = _as_it_is,
    ):
        self.reword = reword
        self.bank, self.statistics, self.contents = bank, statistics, contents or {}
        self.seed, self.held_out = seed, held_out
        self.attributes = {level: [name for name in bank.attributes if MEASUREMENTS[name].level == level] for level in LEVELS}
        self.edits = {level: [EDITS[name] for name in bank.edits if EDITS[name].level == level] for level in LEVELS}

    def pretext_sample(self, key: str, image: Image.Image, level: str, epoch: int) -> PretextSample:
        """A pretext sample of one level, drawn for this photo and epoch."""
        rng = self.rng(key, level, epoch)
        if level == "high" and key in self.contents and rng.random() < CONTENT_SHARE:
            return self.content(image, self.contents[key], rng)
        if self.edits[level] and rng.random() < ALTERED_SHARE:
            return self.any_altered(image, level, rng)
        return self.measured(image, rng.choice(self.attributes[level]), rng)

    def rng(self, key: str, level: str, epoch: int) -> random.Random:
        """The source of all chance in a pretext sample; not Python's `hash`, which differs from process to process."""
        digest = hashlib.sha256(f"{self.seed}:{epoch}:{level}:{key}".encode()).digest()
        return random.Random(int.from_bytes(digest[:8]))

    def measured(self, image: Image.Image, attribute: str, rng: random.Random) -> PretextSample:
        """How much of an attribute the photo has."""
        bin = self.statistics.bin(attribute, measure(image, [attribute])[attribute])
        target_text = self.reword(self.bank.measured(attribute, bin, rng, self.held_out))
        level = MEASUREMENTS[attribute].level
        return PretextSample(
            level, "measured", attribute, (image,), target_text.question, target_text.text, target_text.label, bin=bin
        )

    def altered(self, image: Image.Image, edit: Edit, amount: float, rng: random.Random) -> PretextSample:
        """What an edit did. Where an edit has words for both directions, the pair is shown in reverse half of the time."""
        before, after = edit.pair(image, amount, rng.randrange(2**31))
        verdict = edit.verdict(amount)
        if edit.less is not None and rng.random() < 0.5:
            before, after, amount, verdict = after, before, -amount, OPPOSITE[verdict]
        direction = "more" if amount >= 0 or edit.less is None else "less"
        target_text = self.reword(
            self.bank.altered(edit.name, direction, edit.strength_word(amount), verdict, rng, self.held_out)
        )
        return PretextSample(
            edit.level, "altered", edit.name, (before, after), target_text.question, target_text.text, target_text.label,
            signed_strength=amount / edit.strong, verdict=verdict,
        )  # fmt: skip

    def any_altered(self, image: Image.Image, level: str, rng: random.Random) -> PretextSample:
        """What some edit of the level did, by an amount drawn at random; edits that leave the photo as it is are passed over,
        as those of colour do with a grey one."""
        for edit in rng.sample(self.edits[level], len(self.edits[level])):
            pretext_sample = self.altered(image, edit, draw_amount(edit, rng), rng)
            before, after = pretext_sample.images
            if before.size != after.size or before.tobytes() != after.tobytes():
                return pretext_sample
        return self.measured(image, rng.choice(self.attributes[level]), rng)  # a photo of one colour all over

    def worded_anew(self, pretext_sample: PretextSample, rng: random.Random) -> PretextSample:
        """The same pretext sample in other words."""
        if pretext_sample.kind == "measured":
            target_text = self.bank.measured(pretext_sample.subject, int(pretext_sample.bin or 0), rng, self.held_out)
        elif pretext_sample.kind == "altered":
            _, direction, strength = pretext_sample.label.split(":")
            target_text = self.bank.altered(
                pretext_sample.subject, direction, strength, str(pretext_sample.verdict), rng, self.held_out
            )
        else:
            target_text = self.bank.content(pretext_sample.label.removeprefix("content:"), rng, self.held_out)
        target_text = self.reword(target_text)
        return replace(pretext_sample, question=target_text.question, target_text=target_text.text)

    def content(self, image: Image.Image, label: str, rng: random.Random) -> PretextSample:
        """What is to be seen."""
        target_text = self.reword(self.bank.content(label, rng, self.held_out))
        return PretextSample("high", "content", "content", (image,), target_text.question, target_text.text, target_text.label)


def draw_amount(edit: Edit, rng: random.Random) -> float:
    """From barely visible to a little more than strong, evenly in ratios; either sign where the edit has both."""
    low, high = edit.range
    size = math.exp(rng.uniform(math.log(edit.barely), math.log(MOST_STRENGTH * edit.strong)))
    signed = -size if low < 0 and rng.random() < 0.5 else size
    return min(max(signed, low), high)
