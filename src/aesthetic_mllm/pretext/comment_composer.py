"""Comments on photos, composed of what is known of them: measured facts, ratings, content and damage.

There are no critiques of the photos that we learn from. So a comment's opinion follows the photo's rating, and what it claims
follows measurements: a fact is told only where its bin is at the end of the scale, or, rarely and with a hedge, beside it.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .comment_phrases import (
    ASPECTS,
    HIGHEST_RATING,
    LOWEST_RATING,
    CommentPhrases,
    CommentPhrasesError,
    Damage,
    Fact,
    Side,
    Wordings,
)
from .phrase_bank import BINS, STRENGTHS, PhraseBank

STYLES = ("brief", "detailed")
CONTENT_SHARE = 0.6  # of the comments name the content where it is known, unless told otherwise
HEDGED_SHARE = 0.1  # of the facts beside the end of the scale are told, with a hedge
HEDGED_SHARE_WITHOUT_OTHERS = 0.6  # of them where fewer than two facts are telling
HEDGED_WEIGHT = 0.3  # beside a telling fact
AGREEING = 2.0  # times more telling is a fact that explains the rating
DAMAGE_WEIGHTS = dict(zip(STRENGTHS, (0.0, 2.0, 4.0, 6.0), strict=True))
FACTS_TOLD = {"brief": (2, 2, 2, 3), "detailed": (3, 3, 4)}  # drawn from, where there are as many; one fits many a photo
ASPECT_FACTS_TOLD = {"brief": (1, 1, 2), "detailed": (2, 2, 3)}
MOST_SENTENCES = 4
BAD_BELOW, GOOD_ABOVE = 4.5, 6.5  # ratings of an aspect
OPINION_WEIGHT = 0.2  # of an aspect's rating among the facts of the whole photo: it can be said of nearly every one
MIDDLE = (LOWEST_RATING + HIGHEST_RATING) / 2

Band = Literal["bad", "fair", "good"]


@dataclass(frozen=True)
class PhotoFacts:
    """What is known of a photo.

    Args:
        bins: of measured attributes, 0 (lowest fifth of the pool) to 4; any of the phrase bank's.
        rating: of the whole photo, 1 to 10.
        attributes: ratings of aspects, 1 to 10; any of the eight.
        content: as it stands after "a photo of", such as "a castle".
        edits: that damaged it: name, "more" or "less", and strength of `phrase_bank.STRENGTHS`; bins are of the damaged photo.

    Raises:
        CommentPhrasesError: a bin or a rating out of its range, an unknown aspect or strength.
    """

    bins: Mapping[str, int]
    rating: float
    attributes: Mapping[str, float] = field(default_factory=dict)
    content: str | None = None
    edits: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        for name, bin in self.bins.items():
            if bin not in range(BINS):
                raise CommentPhrasesError(f"The bin of {name} is {bin}; bins are 0 to {BINS - 1}.")
        for name, rating in {"the photo": self.rating, **self.attributes}.items():
            if not LOWEST_RATING <= rating <= HIGHEST_RATING:
                raise CommentPhrasesError(
                    f"The rating of {name} is {rating}; give one of {LOWEST_RATING:g} to {HIGHEST_RATING:g}."
                )
        for name in self.attributes:
            _check(name, "aspect", ASPECTS)
        for _, _, strength in self.edits:
            _check(strength, "strength", STRENGTHS)


@dataclass(frozen=True)
class _Remark:
    """Something that could be said, and whether it speaks for the photo.

    Args:
        topics: two remarks on one topic say nearly the same.
        place: in the order in which remarks are told.
        judges: whether it tells by itself that its aspect is good or bad.
        hedged: whether it is only nearly telling.
    """

    helps: bool
    words: Wordings
    weight: float
    topics: frozenset[str]
    place: int
    judges: bool = False
    hedged: bool = False


class CommentComposer:
    """Composes comments.

    Args:
        bank: the phrase bank of the pretext samples.
        phrases: wordings of comments; default those that come with the package.
        content_share: share of the comments, 0 to 1, that name the content where it is known.
    """

    def __init__(self, bank: PhraseBank, phrases: CommentPhrases | None = None, content_share: float = CONTENT_SHARE):
        self.bank, self.content_share = bank, content_share
        self.phrases = phrases or CommentPhrases(bank)

    def compose(self, facts: PhotoFacts, rng: random.Random, style: str, aspect: str | None = None) -> str:
        """A comment: one sentence ("brief") or two to four ("detailed"), on the whole photo or one of its aspects.

        The same facts and state of `rng` give the same comment.

        Raises:
            CommentPhrasesError: no such style or aspect; an attribute that the bank lacks; an edit that comments cannot speak of.
        """
        _check(style, "style", STYLES)
        if aspect is not None:
            _check(aspect, "aspect", ASPECTS)
        for attribute in facts.bins:
            _check(attribute, "measured attribute", tuple(self.bank.attributes))
        remarks = self._damages(facts, rng, aspect)
        damaged = frozenset().union(*(remark.topics for remark in remarks))
        remarks += self._facts(facts, rng, aspect, damaged)
        if aspect is None:
            remarks += self._opinions(facts)
            chosen = _choose(remarks, rng.choice(FACTS_TOLD[style]), rng)
            write = self._brief if style == "brief" else self._detailed
            return write(facts, chosen, rng)
        chosen = _choose(remarks, rng.choice(ASPECT_FACTS_TOLD[style]), rng)
        write_aspect = self._brief_aspect if style == "brief" else self._detailed_aspect
        return write_aspect(facts, chosen, rng, aspect)

    # What could be said

    def _damages(self, facts: PhotoFacts, rng: random.Random, aspect: str | None) -> list[_Remark]:
        remarks = []
        for place, (edit, direction, strength) in enumerate(facts.edits):
            damage = self.phrases.damage(edit, direction)
            if DAMAGE_WEIGHTS[strength] and (aspect is None or aspect in damage.aspects):
                words = self._damage_words(damage, facts, rng.choice(self.phrases.strengths[strength]))
                said = (damage.says.attribute, damage.says.group) if damage.says else ()
                topics = frozenset((edit, *said, *map(_aspect_topic, damage.aspects)))
                remarks.append(_Remark(False, words, DAMAGE_WEIGHTS[strength], topics, place - len(facts.edits), judges=True))
        return remarks

    def _damage_words(self, damage: Damage, facts: PhotoFacts, strength: str) -> Wordings:
        seen = damage.says is None or facts.bins.get(damage.says.attribute) in damage.says.its_side
        words = damage.words if seen or damage.vague is None else damage.vague
        return Wordings(
            *(tuple(one.format(strength=strength) for one in wordings) for wordings in (words.phrases, words.clauses))
        )

    def _facts(self, facts: PhotoFacts, rng: random.Random, aspect: str | None, damaged: frozenset[str]) -> list[_Remark]:
        """Telling facts, and some of those that are nearly telling."""
        remarks, nearly = [], []
        for place, fact in enumerate(self.phrases.facts.values()):
            if fact.attribute in damaged or fact.group in damaged or not self._fits(fact, facts, aspect):
                continue
            helps = self._helps(fact, facts)
            if helps is None:
                continue
            side: Side = "good" if helps or (fact.helps is False and facts.rating >= MIDDLE) else "bad"
            weight = (fact.weight or 1.0) * (AGREEING if helps == (facts.rating >= MIDDLE) else 1.0)
            topics = frozenset((fact.attribute, fact.group, *map(_aspect_topic, fact.aspects)))
            if facts.bins[fact.attribute] in fact.bins:
                remarks.append(_Remark(helps, fact.words[side], weight, topics, place, judges=fact.helps is not None))
            elif fact.hedged:
                nearly.append(_Remark(helps, fact.hedged, weight * HEDGED_WEIGHT, topics, place, hedged=True))
        share = HEDGED_SHARE if len(remarks) > 1 or (aspect and remarks) else HEDGED_SHARE_WITHOUT_OTHERS
        return remarks + [remark for remark in nearly if rng.random() < share]

    def _fits(self, fact: Fact, facts: PhotoFacts, aspect: str | None) -> bool:
        return (
            facts.bins.get(fact.attribute) in fact.its_side
            and (fact.weight > 0 if aspect is None else aspect in fact.aspects)
            and fact.rating[0] <= facts.rating <= fact.rating[1]
            and all(facts.bins.get(attribute) in needed for attribute, needed in fact.needs.items())
        )

    def _helps(self, fact: Fact, facts: PhotoFacts) -> bool | None:
        """Whether a fact speaks for the photo; `None` where it contradicts what its aspect is rated."""
        rating = facts.attributes.get(fact.aspects[0])
        if fact.helps is None:
            return (facts.rating if rating is None else rating) >= MIDDLE
        contradicts = rating is not None and _band(rating) == ("bad" if fact.helps else "good")
        return None if contradicts else fact.helps

    def _opinions(self, facts: PhotoFacts) -> list[_Remark]:
        """Aspects that are rated well or badly; at most one is told, and no fact of that aspect beside it."""
        return [
            _Remark(
                band == "good",
                self.phrases.aspects[aspect][band],
                OPINION_WEIGHT,
                frozenset(("opinion", _aspect_topic(aspect))),
                len(self.phrases.facts),
                judges=True,
            )
            for aspect, rating in facts.attributes.items()
            if (band := _band(rating)) != "fair"
        ]

    # How it is put together

    def _brief(self, facts: PhotoFacts, chosen: Sequence[_Remark], rng: random.Random) -> str:
        opinion = self.phrases.opinion(facts.rating)
        frames = self.phrases.brief[opinion.side]
        said = {
            "photo": rng.choice(opinion.photos),
            "of": self._of(facts, rng),
            "helps": _listed([rng.choice(remark.words.phrases) for remark in chosen if remark.helps]),
            "hurts": _listed([rng.choice(remark.words.phrases) for remark in chosen if not remark.helps]),
        }
        return _sentence(rng.choice(frames[_sides(chosen)]).format(**said))

    def _detailed(self, facts: PhotoFacts, chosen: Sequence[_Remark], rng: random.Random) -> str:
        opinion, frames = self.phrases.opinion(facts.rating), self.phrases.detailed
        opening = rng.choice(frames["openings"]).format(photo=rng.choice(opinion.photos), of=self._of(facts, rng))
        helps, hurts = ([remark for remark in chosen if remark.helps == wanted] for wanted in (True, False))
        first, second, but = (helps, hurts, "but_hurts") if opinion.side == "good" or not hurts else (hurts, helps, "but_helps")
        told = self._told(first, rng)
        if second:
            told += self._told(second, rng, frames[but] if first else ("{facts}",))
        if len(chosen) < 2:
            told.append(rng.choice(frames["alone" if chosen else "nothing"]))
        return _text([opening, *told, rng.choice(opinion.closings)][:MOST_SENTENCES])

    def _brief_aspect(self, facts: PhotoFacts, chosen: Sequence[_Remark], rng: random.Random, aspect: str) -> str:
        frames = self.phrases.aspect["brief"]
        sides = _sides(chosen)
        if sides == "nothing":
            opinion = rng.choice(self.phrases.aspects[aspect][_aspect_band(facts, chosen, aspect) or "fair"].clauses)
            return _sentence(rng.choice(frames["nothing"]).format(opinion=opinion))
        helps, hurts = (
            _join_clauses([rng.choice(remark.words.clauses) for remark in chosen if remark.helps == wanted])
            for wanted in (True, False)
        )
        mild = sides == "hurts" and all(remark.hedged for remark in chosen)
        frame = rng.choice(frames["mild" if mild else {"helps": "good", "hurts": "bad", "both": "both"}[sides]])
        return _sentence(frame.format(helps=helps, hurts=hurts, facts=helps or hurts))

    def _detailed_aspect(self, facts: PhotoFacts, chosen: Sequence[_Remark], rng: random.Random, aspect: str) -> str:
        sides = _sides(chosen)
        band = _aspect_band(facts, chosen, aspect)
        sentences = []
        if aspect == "subject" and facts.content and rng.random() < self.content_share:
            sentences.append(self.bank.content(facts.content, rng).text.rstrip("."))
        if band or sides == "nothing":
            sentences.append(rng.choice(self.phrases.aspects[aspect][band or "fair"].clauses))
        helps, hurts = ([remark for remark in chosen if remark.helps == wanted] for wanted in (True, False))
        sentences += self._told(helps, rng)
        if hurts:
            sentences += self._told(hurts, rng, self.phrases.detailed["but_hurts"] if helps else ("{facts}",))
        by_side = "fair" if all(remark.hedged for remark in chosen) else {"helps": "good", "hurts": "bad"}.get(sides, "fair")
        closings = self.phrases.aspect["closings"][band or by_side]
        whole = rng.choice(self.phrases.aspect["whole"]).format(photo=rng.choice(self.phrases.opinion(facts.rating).photos))
        return _text([*sentences, rng.choice(closings), whole][:MOST_SENTENCES])

    def _told(self, remarks: Sequence[_Remark], rng: random.Random, frames: Sequence[str] = ("{facts}",)) -> list[str]:
        """Sentences of at most two clauses each; only the first is framed."""
        clauses = [rng.choice(remark.words.clauses) for remark in remarks]
        sentences = [_join_clauses(clauses[start : start + 2]) for start in range(0, len(clauses), 2)]
        return [rng.choice(frames).format(facts=sentences[0]), *sentences[1:]] if sentences else []

    def _of(self, facts: PhotoFacts, rng: random.Random) -> str:
        return f" of {facts.content}" if facts.content and rng.random() < self.content_share else ""


def _check(name: str, what: str, known: Sequence[str]) -> None:
    if name not in known:
        raise CommentPhrasesError(f"Comments know no {what} {name!r}; choose of {', '.join(known)}.")


def _band(rating: float) -> Band:
    return "bad" if rating < BAD_BELOW else "good" if rating > GOOD_ABOVE else "fair"


def _aspect_band(facts: PhotoFacts, chosen: Sequence[_Remark], aspect: str) -> Band | None:
    """By the aspect's rating; without one by what is told of it, never by the photo's; `None` if neither tells."""
    if aspect in facts.attributes:
        return _band(facts.attributes[aspect])
    judging = {remark.helps for remark in chosen if remark.judges}
    return None if len(judging) != 1 else "good" if judging == {True} else "bad"


def _sides(remarks: Sequence[_Remark]) -> str:
    sides = {remark.helps for remark in remarks}
    return {frozenset((True, False)): "both", frozenset((True,)): "helps", frozenset((False,)): "hurts"}.get(
        frozenset(sides), "nothing"
    )


def _choose(remarks: Sequence[_Remark], count: int, rng: random.Random) -> list[_Remark]:
    """Telling remarks rather than others, of each topic one, in the order in which they are told.

    Drawn without replacement by weight (Efraimidis & Spirakis 2006).
    """
    keys = [rng.random() ** (1 / remark.weight) for remark in remarks]
    chosen: list[_Remark] = []
    for _, remark in sorted(zip(keys, remarks, strict=True), key=lambda pair: -pair[0]):
        if len(chosen) < count and not any(_clash(remark, other) for other in chosen):
            chosen.append(remark)
    return sorted(chosen, key=lambda remark: remark.place)


def _clash(one: _Remark, other: _Remark) -> bool:
    """Whether they say nearly the same; an opinion on an aspect and a fact of it do, two of its facts do not."""
    shared = one.topics & other.topics
    if "opinion" not in one.topics | other.topics:
        shared = shared - {_aspect_topic(aspect) for aspect in ASPECTS}
    return bool(shared)


def _aspect_topic(aspect: str) -> str:
    return f"aspect {aspect}"


def _listed(phrases: Sequence[str]) -> str:
    """Phrases as "a, b and c"."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}" if phrases else ""


def _join_clauses(clauses: Sequence[str]) -> str:
    """One or two clauses as a sentence; "the light is" and the like is not said twice."""
    if len(clauses) < 2:
        return clauses[0] if clauses else ""
    first, second = (clause.split() for clause in clauses)
    if first[:3] == second[:3] and len(second) > 3:
        comma = "," if "and" in first + second else ""
        return f"{clauses[0]}{comma} and {' '.join(second[3:])}"
    comma = "," if any(" and " in clause for clause in clauses) else ""
    return f"{clauses[0]}{comma} and {clauses[1]}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _text(sentences: Sequence[str]) -> str:
    return " ".join(_sentence(sentence) for sentence in sentences)
