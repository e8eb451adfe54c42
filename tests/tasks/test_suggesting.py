"""Flaws, their remedies and what a photo is judged by have one home and fit the edits that there are."""

import json
import random
from dataclasses import replace

import pytest
from PIL import Image

from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.editing.claims.claim_rules import CLAIM_RULES
from aesthetic_mllm.editing.claims.photo_evidence import PhotoEvidence
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS, DEFAULT_QUESTIONS, OperatingPoint, Rating, RatingScale
from aesthetic_mllm.tasks.suggesting import (
    FLAW_QUESTIONS,
    FLAWS,
    OTHER_ADVICE,
    Suggestion,
    advice,
    asked_flaws,
    contradict,
    flaw_strengths,
    judged_questions,
    judgement,
    told_flaws,
)
from synthetic_photos import scene_photo

SCALE = RatingScale()
POINT = OperatingPoint(threshold=7.0, usual=8.0, spread=0.5, damaged=3.0, false_alarms=0.01, auc=0.9)


def flaw_scale(**points: OperatingPoint) -> RatingScale:
    """A scale that asks for all flaws, with the given operating points."""
    return RatingScale(
        questions=DEFAULT_QUESTIONS | FLAW_QUESTIONS, operating_points={f"flaw_{key}": point for key, point in points.items()}
    )


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


def test_strength_runs_from_usual_to_strongly_damaged() -> None:
    """Of what has an operating point and was rated; the strength lies between 0 and 1 however far a rating goes."""
    scale = flaw_scale(soft=POINT, hazy=POINT, flat=POINT, noisy=POINT)
    means = {"flaw_hazy": 5.5, "flaw_soft": 1.0, "flaw_flat": 10.0, "flaw_pale": 1.0}
    strengths = flaw_strengths(scale, {key: rating(mean) for key, mean in means.items()})
    assert list(strengths) == ["soft", "hazy", "flat"]
    assert strengths == pytest.approx({"soft": 1.0, "hazy": 0.5, "flat": 0.0})


def test_the_most_unusual_flaw_comes_first() -> None:
    """A timid answer that is unheard of comes before a bold one that is not; strengths stay what they are."""
    scale = flaw_scale(soft=replace(POINT, spread=2.0), hazy=replace(POINT, spread=0.1))
    strengths = flaw_strengths(scale, {"flaw_soft": rating(4.0), "flaw_hazy": rating(6.9)})
    assert list(strengths) == ["hazy", "soft"] and strengths["soft"] > strengths["hazy"]


def test_a_flaw_is_told_below_its_operating_point_alone() -> None:
    """Without one it is never told: nobody knows which rating is unusual. One that is not asked is told where it was asked."""
    scale = flaw_scale(soft=POINT, hazy=replace(POINT, threshold=4.0), noisy=replace(POINT, asked=False))
    ratings = {f"flaw_{key}": rating(6.9) for key in ("soft", "hazy", "flat", "noisy")}
    assert set(told_flaws(scale, ratings)) == {"soft", "noisy"}
    assert not told_flaws(scale, {"flaw_soft": rating(7.0)})
    assert asked_flaws(scale) == ["hazy", "soft"]
    assert asked_flaws(flaw_scale()) == []


@pytest.mark.parametrize(("first", "second"), [("too_dark", "too_bright"), ("out_of_focus", "oversharpened")])
def test_opposites_contradict(first: str, second: str) -> None:
    assert contradict(first, second) and contradict(second, first)
    assert not contradict("soft", "out_of_focus") and not contradict("too_dark", "noisy")


def test_no_flaw_is_told_that_contradicts_another_or_a_measurement() -> None:
    """Over random ratings and measurements: of opposites only the more unusual, and nothing whose opposite was measured."""
    rng = random.Random(0)
    scale = flaw_scale(**dict.fromkeys(FLAWS, POINT))
    attributes = {rule.attribute for rule in CLAIM_RULES.values()}
    contradictions = refutations = 0
    for _ in range(300):
        evidence = PhotoEvidence(Image.new("RGB", (8, 8)), {name: [0.5, 1.5, 2.5, 3.5] for name in attributes})
        evidence._values = {name: float(rng.randrange(5)) for name in attributes}
        evidence.monochrome = rng.random() < 0.3
        ratings = {question: rating(rng.uniform(1, 10)) for question in FLAW_QUESTIONS}
        told = list(told_flaws(scale, ratings, lambda key, evidence=evidence: FLAWS[key].refuted_by(evidence)))
        for key in told:
            assert not any(contradict(key, other) for other in told)
            assert not FLAWS[key].refuted_by(evidence)
        below = [key for key in FLAWS if ratings[f"flaw_{key}"].mean < POINT.threshold]
        contradictions += any(contradict(one, other) for one in below for other in below)
        refutations += any(FLAWS[key].refuted_by(evidence) for key in below)
        assert not {"pale"} & set(told) or not evidence.monochrome
    assert contradictions > 100 and refutations > 100  # or nothing was tested


def test_edits_are_tried_against_what_is_measured() -> None:
    """The bin between neither refutes a flaw nor bears it out; what nothing measures is open; a plain photo has no detail."""
    cuts = {"sharpness": [-9.0, -8.0, 9.0, 9.5]}  # any photo lies in the middle bin
    evidence, sharp = PhotoEvidence(scene_photo(64, 48), cuts), FLAWS["oversharpened"]
    assert not sharp.refuted_by(evidence) and not sharp.borne_out_by(evidence)
    assert FLAWS["blocked_shadows"].borne_out_by(evidence)
    plain = PhotoEvidence(Image.new("RGB", (64, 48), "white"), cuts)
    assert {key for key, flaw in FLAWS.items() if not flaw.refuted_by(plain)} == {"too_dark", "too_bright"}


def test_every_flaw_says_what_makes_it_and_what_it_claims() -> None:
    """The damage is an edit that can go in that direction, and the remedy, where it is the same edit, goes the other way."""
    for flaw in FLAWS.values():
        name, sign = flaw.damage
        assert get_edit(name).range[0 if sign < 0 else 1] * sign > 0
        assert flaw.edit != name or flaw.sign == -sign
        assert flaw.claim is None or flaw.claim in CLAIM_RULES


def test_a_suggestion_is_plain_json() -> None:
    suggestion = Suggestion("Brighten the photo.", "exposure", 0.5, "EV", 0.4, "too_dark")
    assert json.loads(json.dumps(suggestion.to_dict())) == {
        "text": "Brighten the photo.",
        "edit": "exposure",
        "amount": 0.5,
        "unit": "EV",
        "measured_gain": 0.4,
        "flaw": "too_dark",
    }
