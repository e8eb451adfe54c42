"""Flaws, their remedies and what a photo is judged by have one home and fit the edits that there are."""

import json
from dataclasses import replace

import pytest

from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS, DEFAULT_QUESTIONS, Rating, RatingScale
from aesthetic_mllm.tasks.suggesting import (
    FLAW_QUESTIONS,
    FLAWS,
    LEAST_STRENGTH,
    OTHER_ADVICE,
    Suggestion,
    advice,
    expected_gain,
    flaw_strengths,
    judged_questions,
    judgement,
    told_flaws,
)

SCALE = RatingScale()


def rating(mean: float) -> Rating:
    return Rating(mean, None, None, SCALE.score_range)


def test_every_flaw_is_a_question_and_every_remedy_an_edit() -> None:
    """A flaw has one question, advice in words, and an edit that can go in the direction that helps, or none."""
    assert list(FLAW_QUESTIONS) == [f"flaw_{key}" for key in FLAWS]
    assert len({question.prompt for question in FLAW_QUESTIONS.values()}) == len(FLAWS)
    for key, flaw in FLAWS.items():
        assert flaw.key == key and flaw.text.endswith(".")
        assert (flaw.edit is None) == (flaw.sign == 0)
        if flaw.edit is not None:
            assert get_edit(flaw.edit).range[0 if flaw.sign < 0 else 1] * flaw.sign > 0


def test_an_edit_in_one_direction_has_one_advice() -> None:
    remedies = [(flaw.edit, flaw.sign) for flaw in FLAWS.values() if flaw.edit]
    assert len(set(remedies)) == len(remedies) and not set(remedies) & set(OTHER_ADVICE)
    assert advice("exposure", 1) == FLAWS["too_dark"].text and advice("tint", -1) == OTHER_ADVICE["tint", -1]


def test_the_judgement_is_half_the_whole_and_half_the_attributes() -> None:
    """A checkpoint with attributes is asked for them too; without them, its default question decides alone."""
    ratings = {"aesthetic": rating(8.0), "quality": rating(1.0), **{key: rating(4.0) for key in ATTRIBUTE_QUESTIONS}}
    assert judged_questions(SCALE) == ["aesthetic"] and judgement(SCALE, ratings) == 8.0
    scale = SCALE.with_attributes()
    assert judged_questions(scale) == ["aesthetic", *ATTRIBUTE_QUESTIONS]
    assert judgement(scale, ratings) == pytest.approx(6.0)


def test_the_lower_the_rating_the_stronger_the_flaw() -> None:
    """Strengths come strongest first, of what was asked alone; "good" is where a flaw begins; more strength promises more."""
    scale = RatingScale(questions=DEFAULT_QUESTIONS | FLAW_QUESTIONS)
    ratings = {"aesthetic": rating(5.0), "flaw_hazy": rating(7.75), "flaw_soft": rating(1.0), "flaw_flat": rating(10.0)}
    strengths = flaw_strengths(scale, ratings)
    assert list(strengths) == ["soft", "hazy", "flat"]
    assert strengths == pytest.approx({"soft": 1.0, "hazy": LEAST_STRENGTH, "flat": 0.0})
    assert 0 == expected_gain(scale, 0.0) < expected_gain(scale, 0.5) < expected_gain(scale, 1.0) < 9


def test_the_most_telling_flaw_lies_lowest_beside_its_reference() -> None:
    """A timid answer that is unheard of comes before a bold one that is usual; strengths stay what they are."""
    usual = {"flaw_soft": [2.0, 4.0, 6.0], "flaw_hazy": [8.8, 8.9, 9.0]}
    scale = RatingScale(questions=DEFAULT_QUESTIONS | FLAW_QUESTIONS, references=usual)
    strengths = flaw_strengths(scale, {"flaw_soft": rating(3.0), "flaw_hazy": rating(8.0)})
    assert list(strengths) == ["hazy", "soft"] and strengths["soft"] > strengths["hazy"]


def test_a_flaw_is_told_where_it_is_unusual_or_below_the_middle() -> None:
    """Beside reference photos a weak answer counts if hardly any is rated lower, and a middling one does not if most are; without
    them everything below "good" does."""
    usual = {"flaw_soft": [8.5, 9.0, 9.5], "flaw_hazy": [3.0, 4.0, 5.0, 7.0, 7.2]}
    scale = RatingScale(questions=DEFAULT_QUESTIONS | FLAW_QUESTIONS, references=usual)

    def told(key: str, mean: float) -> bool:
        question = f"flaw_{key}"
        return key in told_flaws(scale, {question: replace(rating(mean), percentile=scale.percentile(mean, question))})

    assert told("soft", 8.4) and not told("soft", 8.6)
    assert not told("hazy", 6.9) and told("hazy", 5.4)
    assert list(told_flaws(scale, {"flaw_flat": rating(7.0), "flaw_harsh": rating(8.0)})) == ["flat"]


def test_a_suggestion_is_plain_json() -> None:
    suggestion = Suggestion("Brighten the photo.", "exposure", 0.5, "EV", 0.4, None, "too_dark")
    assert json.loads(json.dumps(suggestion.to_dict())) == {
        "text": "Brighten the photo.",
        "edit": "exposure",
        "amount": 0.5,
        "unit": "EV",
        "expected_gain": 0.4,
        "measured_gain": None,
        "flaw": "too_dark",
    }
