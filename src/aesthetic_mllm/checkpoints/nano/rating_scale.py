"""How a rating is asked for, which words can answer, and how an answer becomes a number."""

import difflib
import math
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

# A moved rating's mean keeps so much of the range from its ends; no tilt is steeper (per point); no level's share counts as less.
LEAST_MARGIN, STEEPEST_TILT, LEAST_SHARE = 0.01, 40.0, 1e-12


class RatingScaleError(ValueError):
    """A rating scale that does not fit its tokenizer, a question it does not know, or an answer that is no rating."""


@dataclass(frozen=True)
class Rating:
    """A judgement of one photo.

    Args:
        mean: expected score, in `score_range`.
        std: standard deviation of the score in the same unit, or `None` where the answer gives only a number.
        distribution: probability of each level word, worst first; sums to 1. `None` where the answer gives only a number.
        score_range: worst and best score that there is.
        percentile: share in percent (0 to 100) of the checkpoint's reference photos with a lower mean; `None` where the
            checkpoint stores no reference for the question.
    """

    mean: float
    std: float | None
    distribution: dict[str, float] | None
    score_range: tuple[float, float]
    percentile: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The rating as plain JSON values."""
        return asdict(self) | {"score_range": list(self.score_range)}


@dataclass(frozen=True)
class RatingQuestion:
    """One thing that can be rated.

    Args:
        prompt: what the user asks after the photo.
        stem: how the answer begins; the level word is the next token.
        decimal_prompt: the same question asked for a number, which the model answers as text ("6.5.").
    """

    prompt: str
    stem: str
    decimal_prompt: str


@dataclass(frozen=True)
class OperatingPoint:
    """When a flaw is told, learned from undamaged photos and from the same photos damaged to show it.

    Args:
        threshold: a mean rating below it tells the flaw.
        usual, spread: median and standard deviation of undamaged photos' mean ratings.
        damaged: median mean rating of strongly damaged photos.
        false_alarms: share of undamaged photos that are told the flaw, 0 to 1.
        auc: probability that an undamaged photo is rated higher than a damaged one, 0 to 1; 0.5 is chance.
        asked: whether the question is asked by default. One whose answers hardly tell damaged photos from others is not.
    """

    threshold: float
    usual: float
    spread: float
    damaged: float
    false_alarms: float
    auc: float
    asked: bool = True

    def strength(self, mean: float) -> float:
        """How strong the flaw is that a rating tells: 0 is usual, 1 is strongly damaged."""
        reach = self.usual - self.damaged
        return min(max((self.usual - mean) / reach, 0.0), 1.0) if reach > 0 else 0.0

    def distance(self, mean: float) -> float:
        """By how many standard deviations of undamaged photos a rating lies below what is usual."""
        return (self.usual - mean) / self.spread if self.spread > 0 else 0.0


DEFAULT_QUESTIONS = {
    "aesthetic": RatingQuestion(
        prompt="How would you rate the aesthetic quality of this photo?",
        stem="The aesthetic quality of this photo is",
        decimal_prompt="Can you give me the aesthetic score?",  # the paper's wording
    ),
    "quality": RatingQuestion(
        prompt="How would you rate the technical quality of this photo?",
        stem="The technical quality of this photo is",
        decimal_prompt="Can you give me the quality score?",
    ),
}

# The eight attributes of a photo. All prompts begin alike and are short, because each question's own tokens cost time:
# what they share is read once a photo.
ATTRIBUTE_QUESTIONS = {
    key: RatingQuestion(
        prompt=f"How would you rate the {name}?",
        stem=f"The {name} is",
        decimal_prompt=f"Can you give me the score of the {name}?",
    )
    for key, name in {
        "composition": "composition",
        "light": "light",
        "colour": "colour",
        "sharpness": "sharpness",
        "depth_of_field": "depth of field",
        "subject": "subject",
        "mood": "mood",
        "noise": "freedom from noise",  # higher is better here too
    }.items()
}
# What a checkpoint is asked that has no such question: beauty is a part of what photographers call aesthetic.
NEAREST_QUESTIONS = {"beauty": "aesthetic"}
# Keys of questions about single flaws begin so.
FLAW_PREFIX = "flaw_"


@dataclass(frozen=True)
class RatingScale:
    """Questions, level words and their scores; saved with the processor, so that the checkpoint's text wins.

    Args:
        questions: by key; the first is the default question.
        level_words: worst first. They carry the leading space that they have after the stem.
        level_scores: the score of each level word, rising.
        score_range: worst and best score; 1 to 10 is AVA's.
        references: for a question, rising quantiles of the mean ratings of the checkpoint's reference photos.
        attributes: the keys of `questions` that are attributes of a photo, in the order in which they are told.
        operating_points: for the questions about flaws, when a flaw is told. A flaw without one is never told.

    Raises:
        RatingScaleError: the levels' scores do not rise or are not as many as the words, or an attribute or an operating point
            belongs to no question.
    """

    questions: Mapping[str, RatingQuestion] = field(default_factory=lambda: dict(DEFAULT_QUESTIONS))
    level_words: tuple[str, ...] = (" bad", " poor", " fair", " good", " excellent")
    level_scores: tuple[float, ...] = (1.0, 3.25, 5.5, 7.75, 10.0)
    score_range: tuple[float, float] = (1.0, 10.0)
    references: Mapping[str, Sequence[float]] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    operating_points: Mapping[str, OperatingPoint] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.level_words) != len(self.level_scores) or list(self.level_scores) != sorted(set(self.level_scores)):
            raise RatingScaleError(
                f"level_words {self.level_words} need one rising score each, got level_scores {self.level_scores}."
            )
        for key in (*self.attributes, *self.operating_points):
            self.question(key)

    @property
    def default_question(self) -> str:
        return next(iter(self.questions))

    @property
    def people_questions(self) -> list[str]:
        """Keys of the questions that people ask and rate; those about single flaws, which suggestions ask, are not among them."""
        return [key for key in self.questions if not key.startswith(FLAW_PREFIX)]

    def nearest(self, key: str) -> str:
        """The key that asks for what a data set rated: its own, or of a question that this scale lacks the nearest."""
        return key if key in self.questions else NEAREST_QUESTIONS.get(key, key)

    def question(self, key: str | None = None) -> RatingQuestion:
        """The question of a key, or the default one.

        Raises:
            RatingScaleError: this scale has no such question.
        """
        key = key or self.default_question
        if key not in self.questions:
            near = difflib.get_close_matches(str(key), self.people_questions, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RatingScaleError(f"Unknown question {key!r}; this checkpoint answers {', '.join(self.people_questions)}.{hint}")
        return self.questions[key]

    def with_attributes(self, questions: Mapping[str, RatingQuestion] = ATTRIBUTE_QUESTIONS) -> "RatingScale":
        """This scale with more questions, which are its attributes."""
        return replace(self, questions={**self.questions, **questions}, attributes=tuple(questions))

    def level_ids(self, tokenizer: Any) -> list[int]:
        """Token of each level word, worst first.

        Raises:
            RatingScaleError: a word is more than one token of this tokenizer, or two words are the same token.
        """
        pieces = [tokenizer.encode(word, add_special_tokens=False) for word in self.level_words]
        split = {
            word: tokenizer.convert_ids_to_tokens(ids)
            for word, ids in zip(self.level_words, pieces, strict=True)
            if len(ids) != 1
        }
        if split:
            raise RatingScaleError(
                "Level words must be single tokens, but this tokenizer splits "
                + ", ".join(f"{word!r} into {tokens}" for word, tokens in split.items())
                + ". Choose other level_words."
            )
        level_ids = [ids[0] for ids in pieces]
        if len(set(level_ids)) != len(level_ids):
            raise RatingScaleError(f"Level words must be distinct tokens, got {self.level_words} as {level_ids}.")
        return level_ids

    def read_level_logits(self, level_logits: torch.Tensor, question: str | None = None) -> list[Rating]:
        """Ratings from the level words' logits at the position after the stem.

        Args:
            level_logits: [B, levels], any float dtype; computed in float64.
            question: whose reference the percentile is taken from.
        """
        self.question(question)
        if level_logits.ndim != 2 or level_logits.shape[1] != len(self.level_words):
            raise RatingScaleError(
                f"Expected logits [B, {len(self.level_words)}] of the level words, got {list(level_logits.shape)}."
            )
        scores = torch.tensor(self.level_scores, dtype=torch.float64)
        probabilities = level_logits.detach().to("cpu", torch.float64).softmax(-1)  # [B, levels]
        if not torch.isfinite(probabilities).all():
            raise RatingScaleError("The level words' logits are not finite, so there is no rating; check the model's dtype.")
        means = probabilities @ scores
        stds = (probabilities @ scores.square() - means.square()).clamp(min=0).sqrt()
        words = [word.strip() for word in self.level_words]
        return [
            Rating(mean, std, dict(zip(words, row, strict=True)), self.score_range, self.percentile(mean, question))
            for mean, std, row in zip(means.tolist(), stds.tolist(), probabilities.tolist(), strict=True)
        ]

    def read_decimal(self, text: str, question: str | None = None) -> Rating:
        """A rating from a written number, the paper's form of answer ("6.5."). It has no distribution.

        Raises:
            RatingScaleError: the text does not hold exactly one number of the score range.
        """
        low, high = self.score_range
        numbers = re.findall(r"-?\d+(?:\.\d+)*", text)
        score = float(numbers[0]) if len(numbers) == 1 and numbers[0].count(".") < 2 else math.nan
        if not low <= score <= high:
            raise RatingScaleError(f"The answer {text!r} is not one number from {low:g} to {high:g}.")
        return Rating(score, None, None, self.score_range, self.percentile(score, question))

    def write_decimal(self, mean: float) -> str:
        """The answer that `read_decimal` reads, with the one decimal of the paper."""
        return f"{mean:.1f}."

    def percentile(self, mean: float, question: str | None = None) -> float | None:
        """Share in percent of the question's reference photos that are rated lower, or `None` without a reference."""
        quantiles = self.references.get(question or self.default_question)
        if not quantiles:
            return None
        upper = bisect_left(quantiles, mean)
        if upper == 0 or upper == len(quantiles):
            return 0.0 if upper == 0 else 100.0
        below, above = quantiles[upper - 1], quantiles[upper]
        return 100 * (upper - 1 + (mean - below) / (above - below)) / (len(quantiles) - 1)

    def from_range(self, value: float, source_range: tuple[float, float]) -> float:
        """A score of another range on this scale (linear).

        Raises:
            RatingScaleError: the value lies outside its own range.
        """
        low, high = source_range
        if not low <= value <= high:
            raise RatingScaleError(f"The score {value} lies outside its range {low:g} to {high:g}.")
        share = (value - low) / (high - low)
        return self.score_range[0] + share * (self.score_range[1] - self.score_range[0])

    def level_distribution(self, mean: float, std: float | None = None) -> list[float]:
        """The distribution over the level words that a mean and a spread imply; its expectation is the mean.

        With a spread: a normal distribution cut into the levels' bins (DeQA-Score, arXiv:2501.11561), its centre moved until
        the expectation is right. Without one: the two neighbouring levels share the mass, which claims no spread.

        Args:
            mean: in `score_range`.
            std: in the same unit, or `None`.
        """
        low, high = self.score_range
        if not low <= mean <= high:
            raise RatingScaleError(f"The mean {mean} lies outside {low:g} to {high:g}; rescale it with from_range.")
        scores = self.level_scores
        if not std:
            upper = max(1, bisect_left(scores, mean))
            share = (mean - scores[upper - 1]) / (scores[upper] - scores[upper - 1])
            return [share if i == upper else 1 - share if i == upper - 1 else 0.0 for i in range(len(scores))]
        start, end = low - 10 * std - high, high + 10 * std + high
        for _ in range(60):  # the expectation rises with the centre, so halve
            centre = (start + end) / 2
            masses = self._bin_masses(centre, std)
            if sum(mass * score for mass, score in zip(masses, scores, strict=True)) < mean:
                start = centre
            else:
                end = centre
        return masses

    def with_mean(self, rating: Rating, mean: float) -> Rating:
        """A rating moved to another mean: its distribution is tilted, each share times exp(t * score) with the t that fits.

        Of all distributions with that mean it is the nearest to the rating's own (in relative entropy). A mean beyond the range's
        ends, or nearly there, becomes the nearest that a distribution over all level words has. There is no percentile, because
        references hold ratings as they were read.

        Args:
            rating: with a distribution over the level words.
        """
        low, high = self.level_scores[0], self.level_scores[-1]
        margin = LEAST_MARGIN * (high - low)
        mean = min(max(mean, low + margin), high - margin)
        logs = [math.log(max(share, LEAST_SHARE)) for share in (rating.distribution or {}).values()]
        least, most = -STEEPEST_TILT, STEEPEST_TILT
        for _ in range(50):  # the expectation rises with the tilt, so halve
            tilt = (least + most) / 2
            tilted = [log + tilt * score for log, score in zip(logs, self.level_scores, strict=True)]
            top = max(tilted)
            weights = [math.exp(value - top) for value in tilted]
            found = sum(weight * score for weight, score in zip(weights, self.level_scores, strict=True)) / sum(weights)
            least, most = (tilt, most) if found < mean else (least, tilt)
        shares = [weight / sum(weights) for weight in weights]
        variance = sum(share * (score - found) ** 2 for share, score in zip(shares, self.level_scores, strict=True))
        words = [word.strip() for word in self.level_words]
        return Rating(found, math.sqrt(variance), dict(zip(words, shares, strict=True)), self.score_range)

    def nearest_level(self, score: float) -> int:
        """The number of the level word whose score is nearest, 0 for the worst; the better one of two."""
        return max(range(len(self.level_scores)), key=lambda level: (-abs(self.level_scores[level] - score), level))

    def _bin_masses(self, centre: float, std: float) -> list[float]:
        edges = [(a + b) / 2 for a, b in zip(self.level_scores, self.level_scores[1:], strict=False)]
        below = [0.0, *(0.5 * math.erfc((centre - edge) / (std * math.sqrt(2))) for edge in edges), 1.0]
        return [b - a for a, b in zip(below, below[1:], strict=False)]

    def to_dict(self) -> dict[str, Any]:
        """The scale as plain JSON values."""
        return {
            "questions": {key: asdict(question) for key, question in self.questions.items()},
            # a list keeps the order, which JSON written with sorted keys would lose
            "question_order": list(self.questions),
            "level_words": list(self.level_words),
            "level_scores": list(self.level_scores),
            "score_range": list(self.score_range),
            "references": {key: list(values) for key, values in self.references.items()},
            "attributes": list(self.attributes),
            "operating_points": {key: asdict(point) for key, point in self.operating_points.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RatingScale":
        """The inverse of `to_dict`."""
        return cls(
            questions={key: RatingQuestion(**values["questions"][key]) for key in values["question_order"]},
            level_words=tuple(values["level_words"]),
            level_scores=tuple(values["level_scores"]),
            score_range=(values["score_range"][0], values["score_range"][1]),
            references=values.get("references", {}),
            # older checkpoints have neither
            attributes=tuple(values.get("attributes", ())),
            operating_points={key: OperatingPoint(**point) for key, point in values.get("operating_points", {}).items()},
        )
