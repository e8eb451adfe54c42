"""Wordings of comments, read from a YAML file: what is said of a photo's rating, facts, damage and aspects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ..editing import EDITS
from ..processing.rating_scale import ATTRIBUTE_QUESTIONS
from .phrase_bank import BINS, PhraseBank

DEFAULT_PHRASES = Path(__file__).with_name("comment_phrases.yaml")
ASPECTS = tuple(ATTRIBUTE_QUESTIONS)
LOWEST_RATING, HIGHEST_RATING = 1.0, 10.0

Side = Literal["good", "bad"]


class CommentPhrasesError(ValueError):
    """Wordings that lack something or name what does not exist, or facts that no comment can be made of."""


@dataclass(frozen=True)
class Wordings:
    """Ways to say one thing: phrases stand after "with", clauses are sentences of their own."""

    phrases: tuple[str, ...]
    clauses: tuple[str, ...]

    @classmethod
    def of(cls, entry: Mapping[str, Sequence[str]]) -> "Wordings":
        return cls(tuple(entry.get("phrases", ())), tuple(entry.get("clauses", ())))


@dataclass(frozen=True)
class Fact:
    """What can be said of a photo because it was measured.

    Args:
        name: such as "dark".
        attribute, bins: it is said where the attribute's bin is one of these.
        near: the neighbouring bins on its side, in which it may be said with `hedged` wordings.
        helps: whether it makes a photo better; `None` if it goes with the photo's rating.
        weight: how telling it is; 0 is told only where its aspect is asked about.
        aspects: of [`ASPECTS`].
        group: facts of one group say nearly the same.
        needs: bins of other attributes without which it would mislead.
        rating: lowest and highest rating of the photo at which it is said.
        words: for good and for bad photos.
    """

    name: str
    attribute: str
    bins: frozenset[int]
    near: frozenset[int]
    helps: bool | None
    weight: float
    aspects: tuple[str, ...]
    group: str
    needs: Mapping[str, frozenset[int]]
    rating: tuple[float, float]
    words: Mapping[Side, Wordings]
    hedged: Wordings | None

    @property
    def its_side(self) -> frozenset[int]:
        """Bins in which the fact is true, if not telling."""
        return self.bins | self.near


@dataclass(frozen=True)
class Damage:
    """What can be said of an edit that damaged the photo; {strength} in its wordings is to be filled in.

    Args:
        says: the fact that `words` state; `None` where they state nothing that is measured.
        vague: what is said where the photo was not measured on that fact's side.
    """

    says: Fact | None
    aspects: tuple[str, ...]
    words: Wordings
    vague: Wordings | None


@dataclass(frozen=True)
class Opinion:
    """What is said of photos rated up to `until`."""

    until: float
    side: Side
    photos: tuple[str, ...]
    closings: tuple[str, ...]


class CommentPhrases:
    """All wordings of comments.

    Args:
        bank: the phrase bank of the pretext samples; comments speak of its attributes and edits only, and in its words of
            strength.
        path: default the wordings that come with the package.

    Raises:
        CommentPhrasesError: a part is missing, or names an attribute, edit, aspect, strength or fact that does not exist.
    """

    def __init__(self, bank: PhraseBank, path: str | Path = DEFAULT_PHRASES):
        self.path = Path(path)
        read = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        for part in ("version", "opinions", "facts", "strengths", "edits", "aspects", "brief", "detailed", "aspect"):
            if part not in read:
                raise CommentPhrasesError(f"{path}: no part {part!r}; see {DEFAULT_PHRASES.name} for an example.")
        self.version: int = read["version"]
        self.strengths: dict[str, list[str]] = read["strengths"]
        self.brief: dict[str, dict[str, list[str]]] = read["brief"]
        self.detailed: dict[str, list[str]] = read["detailed"]
        self.aspect: dict[str, Any] = read["aspect"]
        self._known("attribute", (entry["attribute"] for entry in read["facts"].values()), bank.attributes)
        self._known("attribute", (name for entry in read["facts"].values() for name in entry.get("needs", ())), bank.attributes)
        self._known("edit", read["edits"], bank.edits)
        self._known("strength", self.strengths, bank.strengths)
        for strength, words in self.strengths.items():
            self._known(f"word of {strength!r}", words, bank.strengths[strength][:-1])  # the last one is held out
        self._known("aspect", read["aspects"], ASPECTS)
        if missing := [aspect for aspect in ASPECTS if aspect not in read["aspects"]]:
            raise CommentPhrasesError(f"{path}: no wordings of the aspect {missing[0]!r}.")
        self.opinions = [
            Opinion(one["until"], one["side"], tuple(one["photos"]), tuple(one["closings"])) for one in read["opinions"]
        ]
        if not self.opinions or self.opinions[-1].until < HIGHEST_RATING:
            raise CommentPhrasesError(f"{path}: the last opinion must reach until {HIGHEST_RATING:g}.")
        self.facts: dict[str, Fact] = {name: self._fact(name, entry) for name, entry in read["facts"].items()}
        self.damages: dict[tuple[str, str], Damage] = {
            (edit, direction): self._damage(edit, entry)
            for edit, directions in read["edits"].items()
            for direction, entry in directions.items()
        }
        self.aspects: dict[str, dict[str, Wordings]] = {
            aspect: {band: Wordings.of(entry) for band, entry in bands.items()} for aspect, bands in read["aspects"].items()
        }

    def opinion(self, rating: float) -> Opinion:
        """What is said of a photo with this rating."""
        return next(opinion for opinion in self.opinions if rating <= opinion.until)

    def wordings(self) -> set[str]:
        """All that may be said of a photo itself: of its rating, facts, damage and aspects; without frames around them.

        Of clauses also what follows their first three words, which are not said twice ("the light is").
        """
        told = [words for fact in self.facts.values() for words in (*fact.words.values(), fact.hedged) if words]
        told += [words for bands in self.aspects.values() for words in bands.values()]
        for damage in self.damages.values():
            told += [words for words in (damage.words, damage.vague) if words]
        clauses = {clause for words in told for clause in words.clauses}
        said = clauses | {phrase for words in told for phrase in words.phrases}
        said |= {" ".join(clause.split()[3:]) for clause in clauses if len(clause.split()) > 3}
        said |= {photo for opinion in self.opinions for photo in opinion.photos}
        strengths = [word for words in self.strengths.values() for word in words]
        return {text.format(strength=word) for text in said for word in strengths}

    def damage(self, edit: str, direction: str) -> Damage:
        """What is said of this damage.

        Raises:
            CommentPhrasesError: no edit that damages a photo, or one that is kept out of all pretext samples.
        """
        if (edit, direction) not in self.damages:
            known = ", ".join(f"{edit} ({direction})" for edit, direction in self.damages)
            raise CommentPhrasesError(f"Comments cannot speak of the damage {edit!r} ({direction!r}), only of {known}.")
        return self.damages[edit, direction]

    def _fact(self, name: str, entry: Mapping[str, Any]) -> Fact:
        self._known("aspect", entry["aspects"], ASPECTS)
        bins = frozenset(entry["bins"])
        # only the outermost fifths have a neighbour that is on the same side of the middle
        near = {1} if bins == {0} else {BINS - 2} if bins == {BINS - 1} else set()
        shared = entry.get("any", {})
        return Fact(
            name,
            entry["attribute"],
            bins,
            frozenset(near),
            {"helps": True, "hurts": False, "either": None}[entry["side"]],
            entry["weight"],
            tuple(entry["aspects"]),
            entry.get("group", entry["attribute"]),
            {attribute: frozenset(needed) for attribute, needed in entry.get("needs", {}).items()},
            tuple(entry.get("rating", (LOWEST_RATING, HIGHEST_RATING))),
            {"good": Wordings.of(entry.get("good", shared)), "bad": Wordings.of(entry.get("bad", shared))},
            Wordings.of(entry["hedged"]) if "hedged" in entry else None,
        )

    def _damage(self, edit: str, entry: Mapping[str, Any]) -> Damage:
        self._known("aspect", entry["aspects"], ASPECTS)
        self._known("fact", [entry["says"]] if "says" in entry else [], self.facts)
        if not EDITS[edit].in_pretext_samples:
            raise CommentPhrasesError(f"{self.path}: {edit} must stay out of pretext samples, and so out of comments.")
        return Damage(
            self.facts[entry["says"]] if "says" in entry else None,
            tuple(entry["aspects"]),
            Wordings.of(entry),
            Wordings.of(entry["vague"]) if "vague" in entry else None,
        )

    def _known(self, what: str, names: Iterable[str], known: Iterable[str]) -> None:
        known = list(known)
        for name in names:
            if name not in known:
                raise CommentPhrasesError(f"{self.path}: there is no {what} {name!r}, only {', '.join(known)}.")
