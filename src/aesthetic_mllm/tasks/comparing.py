"""Comparing: which of two photos is better in one question's terms."""

from ..processing.rating_scale import RatingScale, RatingScaleError
from .scoring import Words

PROMPT = "Which of the two photos has the better {question}?"
ANSWERS = ("The first.", "The second.")


def comparison_prompt(scale: RatingScale, question: str) -> str:
    """How a comparison is asked for; both photos come before it.

    Raises:
        RatingScaleError: the checkpoint does not answer the question.
    """
    scale.question(question)
    return PROMPT.format(question=QUESTION_NAMES.get(question, question.replace("_", " ")))


def comparison_words(scale: RatingScale, question: str, first: float, second: float) -> Words:
    """Two photos' means as question and answer.

    Raises:
        RatingScaleError: the means are equal, so neither is better.
    """
    if first == second:
        raise RatingScaleError(f"Two photos of the same rating {first:g} cannot be compared.")
    return Words(comparison_prompt(scale, question), ANSWERS[int(second > first)])


QUESTION_NAMES = {"aesthetic": "aesthetic quality", "quality": "technical quality"}
