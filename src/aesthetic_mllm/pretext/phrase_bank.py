"""The phrase bank: many wordings for everything a pretext sample can ask and answer, composed by a small grammar."""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..editing import EDITS
from ..editing.measurements import MEASUREMENTS
from ..editing.measurements.pool_statistics import BINS

DEFAULT_BANK = Path(__file__).with_name("phrase_bank.yaml")
STRENGTHS = ("barely", "slightly", "clearly", "strongly")
VERDICTS = ("better", "worse", "equal")


class PhraseBankError(ValueError):
    """A phrase bank that lacks something, or names what does not exist."""


@dataclass(frozen=True)
class TargetText:
    """A question about a photo or a pair, and the sentence that answers it.

    Args:
        question, text: worded at random.
        label: what the text says, whatever its wording; target texts of one label mean the same.
    """

    question: str
    text: str
    label: str


class PhraseBank:
    """Wordings, read from a YAML file.

    The last wording of each list is held out: training never shows it, tests show nothing else.

    Args:
        path: default the bank that comes with the package.

    Raises:
        PhraseBankError: a part is missing, has no wording to hold out, or names an unknown attribute or edit.
    """

    def __init__(self, path: str | Path = DEFAULT_BANK):
        self.path = Path(path)
        bank = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        for part in ("version", "attributes", "edits", "strengths", "verdicts", "grammar"):
            if part not in bank:
                raise PhraseBankError(f"{path}: no part {part!r}; see {DEFAULT_BANK.name} for an example.")
        self.version: int = bank["version"]
        self.attributes: dict[str, dict[str, Any]] = bank["attributes"]
        self.edits: dict[str, dict[str, list[str]]] = bank["edits"]
        self.strengths: dict[str, list[str]] = bank["strengths"]
        self.verdicts: dict[str, list[str]] = bank["verdicts"]
        self.grammar: dict[str, list[str]] = bank["grammar"]
        self._check()

    def measured(self, attribute: str, bin: int, rng: random.Random, held_out: bool = False) -> TargetText:
        """What a measured attribute's value is called; `bin` 0 (lowest fifth) to 4."""
        words = self.attributes[attribute]
        text = self._word(self.grammar["measured"], rng, held_out).format(
            name=self._word(words["names"], rng, held_out), bin=self._word(words["bins"][bin], rng, held_out)
        )
        return TargetText(self._word(words["questions"], rng, held_out), _sentence(text), f"{attribute}:{bin}")

    def altered(
        self, edit: str, direction: str, strength: str, verdict: str, rng: random.Random, held_out: bool = False
    ) -> TargetText:
        """What an edit did: `direction` "more" or "less", `strength` of [`STRENGTHS`], `verdict` of [`VERDICTS`]."""
        text = self._word(self.grammar["altered"], rng, held_out).format(
            strength=self._word(self.strengths[strength], rng, held_out),
            change=self._word(self.edits[edit][direction], rng, held_out),
            verdict=self._word(self.verdicts[verdict], rng, held_out),
        )
        question = self._word(self.grammar["altered_questions"], rng, held_out)
        return TargetText(question, _sentence(text), f"{edit}:{direction}:{strength}")

    def content(self, label: str, rng: random.Random, held_out: bool = False) -> TargetText:
        """What a photo shows, in a teacher's words."""
        text = self._word(self.grammar["content"], rng, held_out).format(label=label)
        return TargetText(self._word(self.grammar["content_questions"], rng, held_out), _sentence(text), f"content:{label}")

    def every_target_text(self, level: str, seed: int = 0, held_out: bool = False) -> Iterator[TargetText]:
        """One target text of each label of a level, "low", "middle" or "high". Content has none: a teacher names it."""
        rng = random.Random(seed)
        for attribute in self.attributes:
            if MEASUREMENTS[attribute].level == level:
                for bin in range(BINS):
                    yield self.measured(attribute, bin, rng, held_out)
        for edit, directions in self.edits.items():
            if EDITS[edit].level == level:
                for direction, strength in itertools.product(directions, STRENGTHS):
                    verdict = EDITS[edit].verdicts[0 if direction == "more" else 1]
                    yield self.altered(edit, direction, strength, verdict, rng, held_out)

    def _word(self, wordings: Sequence[str], rng: random.Random, held_out: bool) -> str:
        return wordings[-1] if held_out else rng.choice(wordings[:-1])

    def _check(self) -> None:
        unknown = [name for name in self.attributes if name not in MEASUREMENTS] + [n for n in self.edits if n not in EDITS]
        if unknown:
            raise PhraseBankError(f"{self.path}: {', '.join(unknown)} can neither be measured nor done to a photo.")
        kept_out = [name for name in self.edits if not EDITS[name].in_pretext_samples]
        if kept_out:
            raise PhraseBankError(f"{self.path}: {', '.join(kept_out)} must stay out of pretext samples, and so out of the bank.")
        for name, words in self.attributes.items():
            if len(words.get("bins", ())) != BINS:
                raise PhraseBankError(f"{self.path}: {name} has {len(words.get('bins', ()))} bins of words, not {BINS}.")
        for part, wanted in (("strengths", STRENGTHS), ("verdicts", VERDICTS)):
            missing = [word for word in wanted if word not in getattr(self, part)]
            if missing:
                raise PhraseBankError(f"{self.path}: {part} lack {', '.join(missing)}.")
        for place, wordings in _lists(
            {
                "attributes": self.attributes,
                "edits": self.edits,
                "strengths": self.strengths,
                "verdicts": self.verdicts,
                "grammar": self.grammar,
            }
        ):
            if len(wordings) < 2:
                raise PhraseBankError(f"{self.path}: {place} has {len(wordings)} wording; one is held out, so give two or more.")


def _lists(node: Any, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """All lists of wordings with the place they stand at."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _lists(value, f"{place}.{key}" if place else str(key))
    elif node and isinstance(node[0], list):
        for number, value in enumerate(node):
            yield from _lists(value, f"{place}.{number}")
    else:
        yield place, node


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
