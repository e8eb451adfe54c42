"""A task asks in one way, wherever it is asked from."""

import pytest

from aesthetic_mllm.processing.rating_scale import RatingScale, RatingScaleError
from aesthetic_mllm.tasks.commenting import comment_prompt, comment_words
from aesthetic_mllm.tasks.comparing import ANSWERS, comparison_words
from aesthetic_mllm.tasks.scoring import decimal_words

SCALE = RatingScale()


def test_a_written_number_is_read_back_as_it_was_meant() -> None:
    """What training writes, the scale's second readout reads, to the one decimal it has."""
    for question in SCALE.questions:
        words = decimal_words(SCALE, question, 6.54)
        assert words.prompt == SCALE.question(question).decimal_prompt
        assert SCALE.read_decimal(words.answer, question).mean == pytest.approx(6.5)


def test_comments_are_asked_for_by_aspect() -> None:
    assert comment_prompt() == "Comment on this photo."
    assert comment_prompt("colour_and_Lighting") == "Comment on the colour and lighting of this photo."
    assert comment_words("Nice light.", "light").answer == "Nice light."


def test_the_better_photo_is_named_whichever_comes_first() -> None:
    first, second = comparison_words(SCALE, "quality", 7.0, 3.0), comparison_words(SCALE, "quality", 3.0, 7.0)
    assert (first.answer, second.answer) == ANSWERS and first.prompt == second.prompt
    with pytest.raises(RatingScaleError, match="same rating 5"):
        comparison_words(SCALE, "quality", 5.0, 5.0)
    with pytest.raises(RatingScaleError, match="Unknown question 'charm'"):
        comparison_words(SCALE, "charm", 5.0, 6.0)
