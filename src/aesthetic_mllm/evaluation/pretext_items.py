"""Pretext samples of held-out photos as multiple choice: what is asked, which answers there are, and which is right."""

import os
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from ..editing import EDITS, Edit
from ..editing.measurements import measure
from ..pretext.phrase_bank import BINS, VERDICTS, PhraseBank
from ..pretext.pretext_samples import LEVELS, PretextSample, PretextSampleMaker

Amount = Literal["strong", "barely"]
AMOUNTS: tuple[Amount, ...] = ("strong", "barely")
CONTENT_OPTIONS = 10  # labels to choose from, the true one among them
ATTEMPTS = 64  # to draw a pair in the wanted direction; each succeeds half of the time


class PretextItemError(ValueError):
    """Items that cannot be made: no photos, or a phrase bank whose answers cannot be told apart."""


@dataclass(frozen=True)
class Choice:
    """One multiple-choice question about a pretext sample.

    Args:
        aspect: what is asked: "bin", "edit", "direction", "strength" or "content".
        options: names of the answers.
        target_texts: each option's texts; an option is as good as the best of them.
        answer: index of the right option.
    """

    aspect: Literal["bin", "edit", "direction", "strength", "content"]
    options: tuple[str, ...]
    target_texts: tuple[tuple[str, ...], ...]
    answer: int

    @property
    def chance(self) -> float:
        """How often random scores of the texts, 0 to 1, make the right option win."""
        return len(self.target_texts[self.answer]) / sum(map(len, self.target_texts))


@dataclass(frozen=True)
class PretextItem:
    """A pretext sample of a held-out photo with the questions that are asked of it.

    Args:
        photo: the photo's key.
        pretext_sample: as the maker words it.
        amount: of an edit, exactly its strong or its barely visible one; else `None`.
        choices: one or several questions with one prompt.
    """

    photo: str
    pretext_sample: PretextSample
    amount: Amount | None
    choices: tuple[Choice, ...]

    @property
    def target_texts(self) -> tuple[str, ...]:
        """Every text that must be scored, each once."""
        return tuple(
            dict.fromkeys(
                target_text for choice in self.choices for target_texts in choice.target_texts for target_text in target_texts
            )
        )

    @property
    def direction(self) -> str:
        """Of an edit: "more" or "less"."""
        return self.pretext_sample.label.split(":")[1]


def build_pretext_items(
    photos: Sequence[tuple[str, Image.Image]], maker: PretextSampleMaker, per_subject: int, seed: int = 0
) -> list[PretextItem]:
    """The same items whenever photos, maker and seed are the same.

    For each edit `per_subject` pretext samples at exactly its strong amount, half in each direction where it has two, and as many
    at the barely visible one (where that is another); for each measured attribute `per_subject` pretext samples, as evenly over
    the bins as the photos allow; and, where the maker knows contents, `per_subject` pretext samples of them.

    Args:
        photos: key and photo of each; none that was trained on.
        maker: of the pretext samples; made with `held_out=True` it words them as training never does.
        per_subject: pretext samples of each attribute, and of each edit and amount.
        seed: of which photos are asked about what.

    Raises:
        PretextItemError: no photos, fewer than one pretext sample a subject, or the bank's answers cannot be told apart.
    """
    if not photos or per_subject < 1:
        raise PretextItemError(
            f"{len(photos)} photos and {per_subject} pretext samples a subject make no items; give at least one of each."
        )
    items: list[PretextItem] = []
    for level in LEVELS:
        for edit in maker.edits[level]:
            for amount in AMOUNTS if edit.strong != edit.barely else AMOUNTS[:1]:
                order = _shuffled(len(photos), f"{seed}:{edit.name}:{amount}")
                for number in range(per_subject):
                    key, photo = photos[order[number % len(photos)]]
                    items.append(altered_item(key, photo, edit, amount, maker, number % 2 == 0, f"{seed}:{number}"))
    items += _measured_items(photos, maker, per_subject, seed)
    return items + _content_items(photos, maker, per_subject, seed)


def altered_item(
    key: str, photo: Image.Image, edit: Edit, amount: Amount, maker: PretextSampleMaker, more: bool, seed: str
) -> PretextItem:
    """A pair at exactly one of the edit's two fixed amounts; `more` is the direction where the edit has two."""
    pretext_sample = _pair_pretext_sample(photo, edit, getattr(edit, amount), maker, more, f"{edit.name}:{amount}:{key}:{seed}")
    return PretextItem(key, pretext_sample, amount, altered_choices(pretext_sample, edit, maker, f"{key}:{seed}"))


def altered_choices(pretext_sample: PretextSample, edit: Edit, maker: PretextSampleMaker, seed: str) -> tuple[Choice, ...]:
    """Which edit of the level it was, in which direction, and how strong; the last two where the edit has words for it.

    Texts end before the verdict: a language model's likelihood of them is then that of the change whatever the verdict, which
    may be either when a pair is shown in reverse.

    Raises:
        PretextItemError: the bank's texts for two changes are the same up to the verdict.
    """
    _, direction, strength = pretext_sample.label.split(":")
    target_texts = {
        (other.name, towards): altered_target_text(maker.bank, other.name, towards, strength, seed, maker.held_out)
        for other in maker.edits[pretext_sample.level]
        for towards in maker.bank.edits[other.name]
    }
    if len(set(target_texts.values())) < len(target_texts):
        raise PretextItemError(
            f"{maker.bank.path}: two edits read the same before the verdict; let {{verdict}} come last in the grammar."
        )
    names = tuple(other.name for other in maker.edits[pretext_sample.level])
    by_edit = tuple(tuple(target_text for (name, _), target_text in target_texts.items() if name == other) for other in names)
    choices = [Choice("edit", names, by_edit, names.index(edit.name))]
    directions = tuple(maker.bank.edits[edit.name])
    if len(directions) > 1:
        texts = tuple((target_texts[edit.name, towards],) for towards in directions)
        choices.append(Choice("direction", directions, texts, directions.index(direction)))
    strengths = (edit.strength_word(edit.barely), edit.strength_word(edit.strong))
    if strengths[0] != strengths[1] and strength in strengths:
        texts = tuple((altered_target_text(maker.bank, edit.name, direction, word, seed, maker.held_out),) for word in strengths)
        choices.append(Choice("strength", strengths, texts, strengths.index(strength)))
    return tuple(choices)


def altered_target_text(bank: PhraseBank, edit: str, direction: str, strength: str, seed: str, held_out: bool) -> str:
    """The target text up to the word after the change, which shows that the change ends there, or to an earlier verdict."""
    texts = [bank.altered(edit, direction, strength, verdict, random.Random(seed), held_out).text for verdict in VERDICTS]
    shared = len(os.path.commonprefix(texts))
    text = texts[0][: texts[0].rfind(" ", 0, shared + 1) + 1].rstrip()
    found = [(text.casefold().find(change.casefold()), len(change)) for change in bank.edits[edit][direction]]
    ends = [start + length for start, length in found if start >= 0]
    closing = re.compile(r"\s*\S*").match(text, max(ends)) if ends else None
    return text[: closing.end()] if closing else text


def measured_choice(pretext_sample: PretextSample, maker: PretextSampleMaker, seed: str) -> Choice:
    """Which of the bins."""
    texts = [maker.bank.measured(pretext_sample.subject, bin, random.Random(seed), maker.held_out).text for bin in range(BINS)]
    return Choice("bin", tuple(map(str, range(BINS))), tuple((text,) for text in texts), pretext_sample.bin)


def measure_bins(photos: Sequence[tuple[str, Image.Image]], maker: PretextSampleMaker) -> list[dict[str, int]]:
    """Each photo's bin, 0 to 4, of every attribute in the bank."""
    measured = (measure(photo, list(maker.bank.attributes)) for _, photo in photos)
    return [{name: maker.statistics.bin(name, value) for name, value in values.items()} for values in measured]


def _measured_items(
    photos: Sequence[tuple[str, Image.Image]], maker: PretextSampleMaker, per_subject: int, seed: int
) -> list[PretextItem]:
    bins = measure_bins(photos, maker)
    items = []
    for level in LEVELS:
        for attribute in maker.attributes[level]:
            by_bin: dict[int, list[int]] = defaultdict(list)
            for index in _shuffled(len(photos), f"{seed}:{attribute}"):
                by_bin[bins[index][attribute]].append(index)
            for number, index in enumerate(_evenly(list(by_bin.values()), per_subject)):
                key, photo = photos[index]
                words = f"{attribute}:{key}:{seed}:{number}"
                pretext_sample = maker.measured(photo, attribute, random.Random(words))
                items.append(PretextItem(key, pretext_sample, None, (measured_choice(pretext_sample, maker, words),)))
    return items


def _content_items(
    photos: Sequence[tuple[str, Image.Image]], maker: PretextSampleMaker, per_subject: int, seed: int
) -> list[PretextItem]:
    labels = sorted(set(maker.contents.values()))
    known = [photos[index] for index in _shuffled(len(photos), f"{seed}:content") if photos[index][0] in maker.contents]
    if len(labels) < 2:
        return []
    items = []
    for key, photo in known[:per_subject]:
        words = f"content:{key}:{seed}"
        rng = random.Random(words)
        label = maker.contents[key]
        others = [other for other in labels if other != label]
        options = rng.sample(others, min(CONTENT_OPTIONS - 1, len(others)))
        options.insert(rng.randrange(len(options) + 1), label)
        texts = tuple((maker.bank.content(option, random.Random(words), maker.held_out).text,) for option in options)
        pretext_sample = maker.content(photo, label, random.Random(words))
        items.append(PretextItem(key, pretext_sample, None, (Choice("content", tuple(options), texts, options.index(label)),)))
    return items


def _pair_pretext_sample(
    photo: Image.Image, edit: Edit, size: float, maker: PretextSampleMaker, more: bool, seed: str
) -> PretextSample:
    """The maker shows pairs in reverse at random, which turns the direction; so the sign of the amount is chosen to fit."""
    two_ways = edit.range[0] <= -size
    if edit.less is None:
        return maker.altered(photo, edit, size if more or not two_ways else -size, random.Random(seed))
    for attempt in range(ATTEMPTS):
        words = f"{seed}:{attempt}"
        pretext_sample = maker.altered(photo, edit, size, random.Random(words))
        if (pretext_sample.signed_strength > 0) == more:
            return pretext_sample
        if two_ways:
            return maker.altered(photo, edit, -size, random.Random(words))
    raise PretextItemError(f"{edit.name}: no pair in the direction {'more' if more else 'less'} in {ATTEMPTS} draws.")


def _evenly(groups: list[list[int]], wanted: int) -> list[int]:
    """Members of the groups in turn, until there are as many as wanted or none is left."""
    longest = max(map(len, groups))
    rounds = [group[place] for place in range(longest) for group in groups if place < len(group)]
    return rounds[:wanted]


def _shuffled(count: int, seed: str) -> list[int]:
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


def edit_of(item: PretextItem) -> Edit:
    """The edit of an altered item."""
    return EDITS[item.pretext_sample.subject]
