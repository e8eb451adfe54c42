"""From words to numbers and back."""

import json
import math
import os
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aesthetic_mllm import RatingScale, RatingScaleError
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS
from tiny_models import tiny_tokenizer

SCALE = RatingScale()
means = st.floats(1, 10)


@given(mean=means, std=st.one_of(st.none(), st.floats(0.05, 4)))
def test_a_level_distribution_has_the_mean_it_was_made_from(mean: float, std: float | None) -> None:
    """Soft targets are distributions whose expectation is the mean, with or without a spread."""
    masses = SCALE.level_distribution(mean, std)
    assert sum(masses) == pytest.approx(1) and min(masses) >= 0
    assert sum(mass * score for mass, score in zip(masses, SCALE.level_scores, strict=True)) == pytest.approx(mean, abs=2e-3)
    if not std:
        assert sum(mass > 0 for mass in masses) <= 2


@given(mean=st.floats(2, 9))
def test_more_spread_is_flatter(mean: float) -> None:
    """A larger standard deviation gives a distribution with more entropy."""
    narrow, wide = (-sum(p * math.log(p) for p in SCALE.level_distribution(mean, std) if p > 0) for std in (0.5, 2.5))
    assert wide >= narrow - 1e-9


@given(logits=st.lists(st.floats(-30, 30), min_size=5, max_size=5), shift=st.floats(-50, 50))
def test_reading_logits(logits: list[float], shift: float) -> None:
    """A rating lies in its range, sums to one, ignores a shift of all logits, and rises when the best level's logit does."""
    values = torch.tensor([logits], dtype=torch.float64)
    (rating,), (shifted,) = SCALE.read_level_logits(values), SCALE.read_level_logits(values + shift)
    assert 1 <= rating.mean <= 10 + 1e-9 and 0 <= rating.std <= 4.5 + 1e-9
    assert sum(rating.distribution.values()) == pytest.approx(1)
    assert rating.mean == pytest.approx(shifted.mean, abs=1e-6)
    values[0, -1] += 1
    assert SCALE.read_level_logits(values)[0].mean >= rating.mean - 1e-12


def test_a_target_read_back_is_the_mean() -> None:
    """Training targets and the readout are inverses: the logarithm of a target reads as its mean and spread."""
    target = torch.tensor([SCALE.level_distribution(6.3, 1.8)]).log()
    (rating,) = SCALE.read_level_logits(target)
    assert rating.mean == pytest.approx(6.3, abs=1e-3)
    assert list(rating.distribution) == ["bad", "poor", "fair", "good", "excellent"]


def test_no_rating_is_made_of_nonsense() -> None:
    """Logits that are not finite, or of another shape, are errors and never a default score."""
    with pytest.raises(RatingScaleError, match="not finite"):
        SCALE.read_level_logits(torch.full((1, 5), float("nan")))
    with pytest.raises(RatingScaleError, match=r"\[B, 5\]"):
        SCALE.read_level_logits(torch.zeros(1, 4))


@given(mean=means)
def test_decimals_are_read_as_written(mean: float) -> None:
    """The paper's decimal answer survives writing and reading within its rounding."""
    assert SCALE.read_decimal(SCALE.write_decimal(mean)).mean == pytest.approx(mean, abs=0.051)


@pytest.mark.parametrize("answer", ["", "good", "6.5 or 7", "11", "0.5", "-3", "6.5.5"])
def test_an_answer_that_is_no_score_is_an_error(answer: str) -> None:
    """No number, two numbers, or one outside the range is refused with the answer in the message."""
    with pytest.raises(RatingScaleError, match="not one number"):
        SCALE.read_decimal(answer)


def test_decimal_sentences() -> None:
    """A number with a full stop, or inside a sentence, is the score; it claims no distribution."""
    rating = SCALE.read_decimal("The score is 6.5.")
    assert (rating.mean, rating.std, rating.distribution) == (6.5, None, None)


def test_level_words_must_be_single_distinct_tokens() -> None:
    """A word that the tokenizer splits, or that is another word's token, is named."""
    tokenizer = tiny_tokenizer()
    assert len(set(SCALE.level_ids(tokenizer))) == 5
    with pytest.raises(RatingScaleError, match="' magnificent' into"):
        replace(SCALE, level_words=(" bad", " poor", " fair", " good", " magnificent")).level_ids(tokenizer)
    with pytest.raises(RatingScaleError, match="distinct"):
        replace(SCALE, level_words=(" bad", " bad", " fair", " good", " excellent")).level_ids(tokenizer)


def test_percentiles_rise_from_0_to_100() -> None:
    """A mean's percentile is its place among the reference quantiles; a question without reference has none."""
    scale = replace(SCALE, references={"quality": [2.0, 4.0, 5.0, 9.0]})
    places = [scale.percentile(mean, "quality") for mean in (1.0, 2.0, 3.0, 4.0, 7.0, 9.0, 9.5)]
    assert places == sorted(places)
    assert places[0] == 0 and places[-1] == 100 and places[2] == pytest.approx(100 / 6)
    assert scale.percentile(5.0, "aesthetic") is None


def test_ranges_map_linearly() -> None:
    """Ends map to ends, the middle to the middle, and a score outside its own range is refused."""
    assert [SCALE.from_range(value, (1, 7)) for value in (1, 4, 7)] == [1, 5.5, 10]
    with pytest.raises(RatingScaleError, match="outside its range"):
        SCALE.from_range(8, (1, 7))


def test_saving_keeps_order_and_texts() -> None:
    """A scale survives its dictionary, the default question included."""
    scale = replace(SCALE, references={"quality": [1.0, 2.0]})
    again = RatingScale.from_dict(scale.to_dict())
    assert again == scale and again.default_question == "aesthetic"
    with pytest.raises(RatingScaleError, match="aesthetic, quality"):
        again.question("humour")
    with pytest.raises(RatingScaleError, match="rising score"):
        RatingScale(level_scores=(1.0, 2.0))


def test_attributes_are_saved_and_old_files_have_none() -> None:
    """The attributes survive saving in their order; a scale that was saved before there were any loads without."""
    scale = SCALE.with_attributes()
    assert scale.attributes == tuple(ATTRIBUTE_QUESTIONS) and len(scale.attributes) == 8
    assert scale.default_question == "aesthetic" and {"aesthetic", "quality"} < set(scale.questions)
    assert RatingScale.from_dict(json.loads(json.dumps(scale.to_dict(), sort_keys=True))) == scale
    old = SCALE.to_dict()
    del old["attributes"]
    assert RatingScale.from_dict(old) == SCALE and SCALE.attributes == ()


def test_an_attribute_must_be_a_question() -> None:
    """A scale cannot name an attribute that it cannot ask for."""
    with pytest.raises(RatingScaleError, match="Unknown question 'mood'"):
        replace(SCALE, attributes=("mood",))


def test_a_scale_without_beauty_is_asked_for_what_is_nearest() -> None:
    """A checkpoint with a question of its own is asked that; what nothing is near to stays as it is, to be refused by name."""
    own = replace(SCALE, questions={**SCALE.questions, "beauty": SCALE.questions["quality"]})
    assert (SCALE.nearest("beauty"), own.nearest("beauty")) == ("aesthetic", "beauty")
    assert SCALE.nearest("quality") == "quality" and SCALE.nearest("charm") == "charm"


def test_an_unknown_question_hides_those_about_flaws() -> None:
    """The message lists what people ask, with the nearest; a flaw's question is known all the same."""
    flaw = {f"flaw_{name}": SCALE.questions["quality"] for name in ("too_dark", "qualit")}
    scale = replace(SCALE, questions={**SCALE.questions, **flaw})
    with pytest.raises(RatingScaleError) as caught:
        scale.question("qualty")
    assert str(caught.value) == ("Unknown question 'qualty'; this checkpoint answers aesthetic, quality. Did you mean 'quality'?")
    assert scale.people_questions == ["aesthetic", "quality"] and scale.question("flaw_too_dark")
    with pytest.raises(RatingScaleError) as caught:
        scale.question("xyz")
    assert "Did you mean" not in str(caught.value) and "flaw_" not in str(caught.value)


def test_attribute_questions_begin_alike() -> None:
    """All attributes' prompts share their beginning with the default questions', so that it is read once a photo."""
    prompts = [question.prompt for question in {**SCALE.questions, **ATTRIBUTE_QUESTIONS}.values()]
    assert os.path.commonprefix(prompts) == "How would you rate the "
    assert all(len(question.prompt) < 50 and question.stem.endswith(" is") for question in ATTRIBUTE_QUESTIONS.values())


@pytest.mark.parametrize("mean", [1.5, 4.0, 9.5])
def test_a_moved_rating_has_its_new_mean(mean: float) -> None:
    """Its distribution is one, expects the mean, and is the rating's own where nothing moves; the range's ends hold."""
    scale = RatingScale()
    (rating,) = scale.read_level_logits(torch.tensor([[0.0, 1.0, 2.0, 0.5, -1.0]]))
    moved = scale.with_mean(rating, mean)
    assert moved.mean == pytest.approx(mean) and sum(moved.distribution.values()) == pytest.approx(1)
    assert sum(p * s for p, s in zip(moved.distribution.values(), scale.level_scores, strict=True)) == pytest.approx(mean)
    same = scale.with_mean(rating, rating.mean)
    assert same.distribution == pytest.approx(rating.distribution) and same.std == pytest.approx(rating.std)
    assert scale.with_mean(rating, -5).mean == pytest.approx(1.09) and scale.with_mean(rating, 50).mean == pytest.approx(9.91)


def test_the_nearest_level_is_the_better_one_of_two() -> None:
    scale = RatingScale()
    assert [scale.nearest_level(score) for score in (1, 2.0, 2.125, 5.4, 10)] == [0, 0, 1, 2, 4]
