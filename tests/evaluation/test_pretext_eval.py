"""The exam is fixed, its questions are fair, and answers are scored as they should be."""

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.pretext_eval import ExamError, ExamItem, altered_target_text, build_exam
from aesthetic_mllm.evaluation.pretext_evaluator import (
    PretextEvaluator,
    SeenPhotos,
    TargetTextScore,
    answer_items,
    see_photos,
)
from aesthetic_mllm.evaluation.pretext_probe import PretextProbe, Ridge, probe_pretext_samples
from aesthetic_mllm.evaluation.pretext_report import (
    by_level,
    by_question,
    compare,
    cross_table,
    grouped,
    markdown_cross,
    markdown_table,
    summarise,
    wilson_interval,
)
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS, PretextSampleMaker
from synthetic_photos import midtone_photo, scene_photo
from tiny_models import tiny_model

BANK = PhraseBank()
PER_SUBJECT = 4


@pytest.fixture(scope="module")
def photos() -> list[tuple[str, Image.Image]]:
    scene = scene_photo(96, 72)
    shown = [midtone_photo(96, 72), scene, *(EDITS["exposure"].apply(scene, ev) for ev in (-2, -1, 1, 2))]
    return [(f"photo{number}", photo) for number, photo in enumerate(shown)]


@pytest.fixture(scope="module")
def maker(photos: list[tuple[str, Image.Image]]) -> PretextSampleMaker:
    statistics = PoolStatistics.of([photo for _, photo in photos], BANK.attributes)
    contents = {key: f"thing number {number}" for number, (key, _) in enumerate(photos)}
    return PretextSampleMaker(BANK, statistics, contents, held_out=True)


@pytest.fixture(scope="module")
def exam(photos: list[tuple[str, Image.Image]], maker: PretextSampleMaker) -> list[ExamItem]:
    return build_exam(photos, maker, PER_SUBJECT)


@pytest.fixture(scope="module")
def seen(exam: list[ExamItem], nano: Any, processor: Any) -> SeenPhotos:
    return see_photos([nano], processor, _images(exam))[0]


def _images(items: list[ExamItem]) -> list[Image.Image]:
    return [image for item in items for image in item.pretext_sample.images]


def _planted(items: list[ExamItem], right: bool = True) -> list[dict[str, TargetTextScore]]:
    """Scores under which the right texts, or only wrong ones, are likeliest."""
    scores = []
    for item in items:
        best = {target_text for choice in item.choices for target_text in choice.target_texts[choice.answer]}
        if item.pretext_sample.kind == "altered":  # of the edit's directions the true one only
            best &= {choice.target_texts[choice.answer][0] for choice in item.choices if choice.aspect != "edit"} or best
        scores.append(
            {
                target_text: TargetTextScore(-1.0 if (target_text in best) == right else -9.0, 3)
                for target_text in item.target_texts
            }
        )
    return scores


def test_exam_is_the_same_again_and_another_with_another_seed(
    exam: list[ExamItem], photos: list[tuple[str, Image.Image]], maker: PretextSampleMaker
) -> None:
    again, other = build_exam(photos, maker, PER_SUBJECT), build_exam(photos, maker, PER_SUBJECT, seed=1)
    assert [(i.photo, i.pretext_sample.label, i.choices) for i in exam] == [
        (i.photo, i.pretext_sample.label, i.choices) for i in again
    ]
    pairs = zip(_images(exam), _images(again), strict=True)
    assert all(np.array_equal(x, y) for x, y in pairs)
    assert [i.photo for i in exam] != [i.photo for i in other]


def test_every_edit_is_asked_at_its_two_amounts_in_both_directions(exam: list[ExamItem]) -> None:
    for name in BANK.edits:
        edit = EDITS[name]
        for amount in ("strong", "barely"):
            items = [item for item in exam if item.pretext_sample.subject == name and item.amount == amount]
            if amount == "barely" and edit.barely == edit.strong:
                assert not items
                continue
            assert len(items) == PER_SUBJECT
            assert {abs(item.pretext_sample.signed_strength) for item in items} == {getattr(edit, amount) / edit.strong}
            ways = [item.direction for item in items]
            assert ways.count("more") == (PER_SUBJECT if edit.less is None else PER_SUBJECT / 2)


def test_attributes_are_spread_over_bins_and_contents_over_labels(exam: list[ExamItem]) -> None:
    for name in BANK.attributes:
        items = [item for item in exam if item.pretext_sample.kind == "measured" and item.pretext_sample.subject == name]
        assert len(items) == PER_SUBJECT
    bins = [
        item.pretext_sample.bin
        for item in exam
        if item.pretext_sample.kind == "measured" and item.pretext_sample.subject == "brightness"
    ]
    assert len(set(bins)) == PER_SUBJECT
    contents = [item for item in exam if item.pretext_sample.kind == "content"]
    assert len(contents) == PER_SUBJECT
    assert all(len(item.choices[0].options) == 6 and len(set(item.choices[0].options)) == 6 for item in contents)


def test_right_options_say_what_the_pretext_sample_says(exam: list[ExamItem]) -> None:
    for item in exam:
        for choice in item.choices:
            texts = choice.target_texts[choice.answer]
            assert any(item.pretext_sample.target_text.startswith(text) for text in texts), (
                item.pretext_sample.target_text,
                texts,
            )
            wrong = [
                target_text
                for option, target_texts in enumerate(choice.target_texts)
                if option != choice.answer
                for target_text in target_texts
            ]
            assert not any(item.pretext_sample.target_text.startswith(text) for text in wrong)
            assert 0 < choice.chance < 1


def test_texts_of_changes_end_before_the_verdict() -> None:
    assert altered_target_text(BANK, "exposure", "more", "strongly", "0", True) == "It became heavily lifted in exposure and"
    trained = altered_target_text(BANK, "exposure", "more", "strongly", "0", False)
    assert trained and not any(word in trained for words in BANK.verdicts.values() for word in words)


def test_exam_needs_photos_and_a_bank_whose_changes_can_be_told_apart(
    photos: list[tuple[str, Image.Image]], maker: PretextSampleMaker
) -> None:
    with pytest.raises(ExamError, match="0 photos"):
        build_exam([], maker, 1)
    bank = copy.deepcopy(BANK)
    bank.grammar["altered"] = ["{verdict}: {strength} {change}."] * 2
    odd = PretextSampleMaker(bank, maker.statistics, held_out=True)
    with pytest.raises(ExamError, match="before the verdict"):
        build_exam(photos, odd, 1)


@pytest.mark.parametrize("language", ["llama", "gemma3"])
@pytest.mark.parametrize("uneven", [False, True])
def test_forked_equals_unforked(processor: Any, language: str, uneven: bool) -> None:
    """Copies of the prompt's cache give what reading the prompt anew gives; prompts and texts of unequal length."""
    model = tiny_model("efficientnet_lite", language, processor)
    examiner = PretextEvaluator(model, processor)
    torch.manual_seed(1)
    tokens = {"low": torch.randn(4, processor.num_group_tokens["low"], 32)}
    prompts = [examiner.prompt_ids(question, 2, "low") for question in ("What is it?", "How bright is this photo?")]
    target_texts = [["It is bright.", "It is very dark, and noisy.", "It is"], ["Dark.", "Rather bright, I find.", "Bright."]]
    if uneven:
        target_texts[1].append("A text more.")
    forked = examiner.score_target_texts(prompts, target_texts, tokens)
    unforked = examiner.score_target_texts(prompts, target_texts, tokens, fork=False)
    alone = [
        examiner.score_target_texts([prompt], [[target_text]], {"low": tokens["low"][2 * row : 2 * row + 2]}, fork=False)[0][
            target_text
        ]
        for row, prompt in enumerate(prompts)
        for target_text in target_texts[row]
    ]
    for row, texts in enumerate(target_texts):
        assert [forked[row][target_text].tokens for target_text in texts] == [
            unforked[row][target_text].tokens for target_text in texts
        ]
        assert [forked[row][target_text].total for target_text in texts] == pytest.approx(
            [unforked[row][target_text].total for target_text in texts], abs=1e-4
        )
    totals = [forked[row][target_text].total for row in range(2) for target_text in target_texts[row]]
    assert totals == pytest.approx([score.total for score in alone], abs=1e-4)
    assert np.std(totals) > 0.1


def test_scores_are_the_models_own_loss(exam: list[ExamItem], seen: SeenPhotos, nano: Any, processor: Any) -> None:
    """What the model makes of pixels and labels in training is what the exam scores."""
    index = next(i for i, item in enumerate(exam) if len(item.pretext_sample.images) == 2 and item.pretext_sample.level == "low")
    item = exam[index]
    examiner = PretextEvaluator(nano, processor)
    found = examiner.scores(exam, seen)[index]
    target_text = item.target_texts[3]
    prompt = examiner.prompt_ids(item.pretext_sample.question, 2, "low")
    answer = processor.tokenizer.encode(target_text, add_special_tokens=False)
    with torch.no_grad():
        loss = nano(
            input_ids=torch.tensor([prompt + answer]),
            labels=torch.tensor([[-100] * len(prompt) + answer]),
            **processor.image_processor(list(item.pretext_sample.images), return_tensors="pt"),
        ).loss
    assert found[target_text].total == pytest.approx(-loss.item() * len(answer), abs=1e-3)


def test_photos_are_seen_once_and_as_the_model_sees_them(exam: list[ExamItem], nano: Any, processor: Any) -> None:
    images = _images(exam)[:9]
    other = copy.deepcopy(nano)
    with torch.no_grad():
        other.model.multi_modal_projector.qformers["low"].queries += 1
    passes = []
    hook = nano.model.vision_tower.register_forward_hook(lambda *_: passes.append(1))
    first, second = see_photos([nano, other], processor, [*images, images[0]], batch_size=len(images))
    hook.remove()
    assert len(passes) == 1 and len(first.tokens["low"]) == 10
    with torch.no_grad():
        pixels = processor.image_processor(images, return_tensors="pt")
        for model, seen in ((nano, first), (other, second)):
            wanted = model.get_image_features(**pixels, groups=("middle", "low")).tokens
            assert torch.allclose(seen.tokens["low"][:9], wanted["low"], atol=1e-5)
            assert torch.allclose(seen.tokens["middle"][:9], wanted["middle"], atol=1e-5)
    assert not torch.allclose(first.tokens["low"], second.tokens["low"])
    assert np.array_equal(first.pooled["high"], second.pooled["high"])
    assert np.array_equal(first.pooled["high"][0], first.pooled["high"][9])


@pytest.mark.parametrize("scoring", ["total", "per_token", "pmi", "over_photos"])
def test_planted_scores_are_answered_right(exam: list[ExamItem], scoring: Any) -> None:
    even = [{target_text: TargetTextScore(-5.0, 3) for target_text in item.target_texts} for item in exam]
    # over photos, a text must be likelier with its own photo than with others
    items = exam if scoring != "over_photos" else [i for i in exam if i.pretext_sample.kind == "altered" and i.amount == "strong"]
    even = (
        even[: len(items)]
        if len(items) == len(exam)
        else [{target_text: TargetTextScore(-5.0, 3) for target_text in i.target_texts} for i in items]
    )
    answers = answer_items(items, _planted(items), even, scoring)
    assert answers and all(answer.chosen == answer.answer for answer in answers if answer.aspect != "strength")
    if scoring != "over_photos":
        assert all(answer.chosen == answer.answer for answer in answers)
        wrong = answer_items(items, _planted(items, right=False), even, scoring)
        assert not any(answer.chosen == answer.answer for answer in wrong if answer.aspect in ("bin", "content", "strength"))


def test_calibration_takes_the_prior_away(exam: list[ExamItem]) -> None:
    """A text that is likely of any photo wins by likelihood, not by what the photo adds."""
    item = next(item for item in exam if item.pretext_sample.kind == "measured")
    (choice,) = item.choices
    right, popular = choice.target_texts[choice.answer][0], choice.target_texts[choice.answer - 1][0]
    without = {target_text: TargetTextScore(-4.0 if target_text == popular else -20.0, 4) for target_text in item.target_texts}
    found = {
        target_text: TargetTextScore(score.total + (3 if target_text == right else 0), 4)
        for target_text, score in without.items()
    }
    (raw,), (calibrated,) = (answer_items([item], [found], [without], scoring) for scoring in ("total", "pmi"))
    assert raw.chosen == choice.answer - 1 if choice.answer else len(choice.options) - 1
    assert calibrated.chosen == choice.answer
    with pytest.raises(ValueError, match="no scoring 'best'"):
        answer_items([item], [found], [without], "best")  # type: ignore[arg-type]


def test_without_photo_the_answer_is_the_priors(exam: list[ExamItem], nano: Any, processor: Any) -> None:
    """The same for all photos, so right as often as that answer is, which in a balanced exam is chance."""
    blind = PretextEvaluator(nano, processor).blind_scores(exam)
    answers = answer_items(exam, blind, blind, "total")
    bins = [a for a in answers if a.subject == "brightness"]
    assert len({answer.chosen for answer in bins}) == 1
    assert sum(answer.chosen == answer.answer for answer in bins) <= 1
    directions = grouped([a for a in answers if a.aspect == "direction"], by_question)
    assert {summary["accuracy"] for summary in directions.values()} == {0.5}
    strengths = grouped([a for a in answers if a.aspect == "strength"], by_question)
    assert {summary["accuracy"] for summary in strengths.values()} == {0.5}
    strong = [a for a in answers if a.aspect == "edit" and a.amount == "strong" and a.level == "low"]
    assert summarise(strong)["accuracy"] == pytest.approx(1 / 12) == pytest.approx(summarise(strong)["chance"])


def test_a_random_model_is_near_chance_from_any_group(exam: list[ExamItem], seen: SeenPhotos, nano: Any, processor: Any) -> None:
    examiner = PretextEvaluator(nano, processor)
    blind = examiner.blind_scores(exam)
    given = {group: answer_items(exam, examiner.scores(exam, seen, group), blind) for group in LEVELS}
    table = cross_table(given)
    assert list(table) == list(LEVELS)
    assert set(table["middle"]) == {
        f"{aspect} {amount}" for aspect in ("edit", "direction") for amount in ("strong", "barely")
    } | {"bin", "strength"}
    summary = table["low"]["edit strong"]["high"]
    assert summary["interval"][0] <= summary["chance"] + 0.15
    own = answer_items(exam, examiner.scores(exam, seen), blind)
    assert [a for a in own if a.level == "low"] == [a for a in given["low"] if a.level == "low"]
    text = markdown_cross(table)
    assert text.count("\n") == 1 + sum(map(len, table.values())) and "**" in text


def test_tables_have_every_subject_and_column(
    exam: list[ExamItem],
    seen: SeenPhotos,
    photos: list[tuple[str, Image.Image]],
    maker: PretextSampleMaker,
    nano: Any,
    processor: Any,
) -> None:
    pretext_samples = probe_pretext_samples(photos, maker, 60)
    probe = PretextProbe(pretext_samples, see_photos([nano], processor, pretext_samples.images)[0], all_maps=True).answers(
        exam, seen
    )
    even = [{target_text: TargetTextScore(-5.0, 3) for target_text in item.target_texts} for item in exam]
    after = answer_items(exam, _planted(exam), even)
    rows = compare({"after": after, "probe": probe}, by_question)
    asked = {
        (
            item.pretext_sample.level,
            item.pretext_sample.subject,
            choice.aspect,
            "" if choice.aspect == "strength" else item.amount or "",
        )
        for item in exam
        for choice in item.choices
    }
    assert {tuple(row["row"]) for row in rows} == asked
    assert all(row["after"]["pretext_samples"] == row["probe"]["pretext_samples"] for row in rows)
    assert {row["row"][1] for row in rows} == {*BANK.attributes, *BANK.edits, "content"}
    text = markdown_table(rows, ("level", "subject", "question", "amount"))
    assert text.count("\n") == len(rows) + 1 and "within one 100" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1
    levels = compare({"after": after}, by_level)
    assert all(row["after"]["accuracy"] == 1 for row in levels)


def test_the_probe_learns_what_pooled_features_show(
    photos: list[tuple[str, Image.Image]], maker: PretextSampleMaker, exam: list[ExamItem]
) -> None:
    """Features that are the pretext sample's own label, planted, are read off."""

    def planted(pretext_samples: list[Any]) -> SeenPhotos:
        ways = sorted((name, way) for name, words in BANK.edits.items() for way in words)
        rows = []
        for pretext_sample in pretext_samples:
            for number in range(len(pretext_sample.images)):
                row = np.zeros(len(ways) + len(BANK.attributes) * 5)
                if pretext_sample.kind == "altered" and number:
                    row[ways.index(tuple(pretext_sample.label.split(":")[:2]))] = abs(pretext_sample.signed_strength)
                if pretext_sample.kind == "measured":
                    row[len(ways) + 5 * list(BANK.attributes).index(pretext_sample.subject) + pretext_sample.bin] = 1
                rows.append(row)
        return SeenPhotos({}, dict.fromkeys(LEVELS, np.array(rows)))

    drawn = probe_pretext_samples(photos, maker, 240)
    train = planted([pretext_sample for pairs in drawn.pairs.values() for pretext_sample in pairs])
    blank = np.zeros((len(drawn.photos), train.pooled["low"].shape[1]))
    train = SeenPhotos({}, {level: np.concatenate([blank, values]) for level, values in train.pooled.items()})
    items = [item for item in exam if item.pretext_sample.kind == "altered"]
    answers = PretextProbe(drawn, train).answers(items, planted([item.pretext_sample for item in items]))
    found = grouped(answers, by_level)
    for level in ("low", "middle"):
        assert found[level, "edit", "strong"]["accuracy"] > 0.9
        assert found[level, "direction", "strong"]["accuracy"] > 0.9


def test_ridge_finds_a_linear_law() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 120))
    targets = features[:, :2] @ np.array([[1.0, 2.0], [-3.0, 0.5]]) + 5
    ridge = Ridge(features[:60], targets[:60])
    assert np.corrcoef(ridge(features[60:])[:, 0], targets[60:, 0])[0, 1] > 0.5
    tall = Ridge(features[:, :10], targets)
    assert np.abs(tall(features[:, :10]) - targets).max() < 0.2


def test_wilson_interval() -> None:
    low, high = wilson_interval(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))
    assert wilson_interval(0, 10)[0] == 0 and wilson_interval(10, 10)[1] == pytest.approx(1)
    assert wilson_interval(0, 10)[1] == pytest.approx(0.2775, abs=1e-3)
    widths = [np.subtract(*wilson_interval(n / 2, n)[::-1]) for n in (10, 100, 1000)]
    assert widths == sorted(widths, reverse=True)
    for right, count in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="no share"):
            wilson_interval(right, count)


def test_wording_does_not_depend_on_other_chance(maker: PretextSampleMaker) -> None:
    texts = {altered_target_text(BANK, "noise", "more", "barely", str(seed), True) for seed in range(5)}
    random.seed(1)
    assert texts == {altered_target_text(BANK, "noise", "more", "barely", "9", True)}
