"""Scoring: a rating question of the checkpoint, answered by a level word or by a number."""

from dataclasses import dataclass

from ..processing.rating_scale import RatingScale


@dataclass(frozen=True)
class Words:
    """A question and its answer in words."""

    prompt: str
    answer: str


def decimal_words(scale: RatingScale, question: str, mean: float) -> Words:
    """The paper's form of rating: a number as text.

    Args:
        scale: the checkpoint's, which owns question and form of the number.
        question: a key of the scale's.
        mean: in the scale's range.
    """
    return Words(scale.question(question).decimal_prompt, scale.write_decimal(mean))


def rating_words(scale: RatingScale, question: str, mean: float) -> Words:
    """A rating in the checkpoint's own words: the answer stem with the level word that is nearest to the mean.

    Args:
        scale: the checkpoint's.
        question: a key of the scale's.
        mean: in the scale's range.
    """
    asked = scale.question(question)
    return Words(asked.prompt, (asked.stem + scale.level_words[scale.nearest_level(mean)]).strip())
