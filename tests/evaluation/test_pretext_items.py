"""The items are fixed, their questions are fair, and answers are scored as they should be."""

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.eval_pretext import evaluate_pretext, pretext_table
from aesthetic_mllm.evaluation.pretext_evaluator import (
    PretextEvaluator,
    TargetTextScore,
    answer_items,
)
from aesthetic_mllm.evaluation.pretext_features import PretextFeatures, read_pretext_features
from aesthetic_mllm.evaluation.pretext_items import PretextItem, PretextItemError, altered_target_text, build_pretext_items
from aesthetic_mllm.evaluation.pretext_probe import PretextProbe, probe_pretext_samples
from aesthetic_mllm.evaluation.pretext_report import (
    by_level,
    by_question,
    compare,
    cross_table,
    grouped,
    markdown_cross,
    markdown_table,
    summarise,
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
def fixed_items(photos: list[tuple[str, Image.Image]], maker: PretextSampleMaker) -> list[PretextItem]:
    return build_pretext_items(photos, maker, PER_SUBJECT)


@pytest.fixture(scope="module")
def seen(fixed_items: list[PretextItem], nano: Any, processor: Any) -> PretextFeatures:
    return read_pretext_features([nano], processor, _images(fixed_items))[0]


def _images(items: list[PretextItem]) -> list[Image.Image]:
    return [image for item in items for image in item.pretext_sample.images]


def _planted(items: list[PretextItem], right: bool = True) -> list[dict[str, TargetTextScore]]:
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
    fixed_items: list[PretextItem], photos: list[tuple[str, Image.Image]], maker: PretextSampleMaker
) -> None:
    again, other = build_pretext_items(photos, maker, PER_SUBJECT), build_pretext_items(photos, maker, PER_SUBJECT, seed=1)
    assert [(i.photo, i.pretext_sample.label, i.choices) for i in fixed_items] == [
        (i.photo, i.pretext_sample.label, i.choices) for i in again
    ]
    pairs = zip(_images(fixed_items), _images(again), strict=True)
    assert all(np.array_equal(x, y) for x, y in pairs)
    assert [i.photo for i in fixed_items] != [i.photo for i in other]


def test_every_edit_is_asked_at_its_two_amounts_in_both_directions(fixed_items: list[PretextItem]) -> None:
    for name in BANK.edits:
        edit = EDITS[name]
        for amount in ("strong", "barely"):
            items = [item for item in fixed_items if item.pretext_sample.subject == name and item.amount == amount]
            if amount == "barely" and edit.barely == edit.strong:
                assert not items
                continue
            assert len(items) == PER_SUBJECT
            assert {abs(item.pretext_sample.signed_strength) for item in items} == {getattr(edit, amount) / edit.strong}
            ways = [item.direction for item in items]
            assert ways.count("more") == (PER_SUBJECT if edit.less is None else PER_SUBJECT / 2)


def test_attributes_are_spread_over_bins_and_contents_over_labels(fixed_items: list[PretextItem]) -> None:
    for name in BANK.attributes:
        items = [item for item in fixed_items if item.pretext_sample.kind == "measured" and item.pretext_sample.subject == name]
        assert len(items) == PER_SUBJECT
    bins = [
        item.pretext_sample.bin
        for item in fixed_items
        if item.pretext_sample.kind == "measured" and item.pretext_sample.subject == "brightness"
    ]
    assert len(set(bins)) == PER_SUBJECT
    contents = [item for item in fixed_items if item.pretext_sample.kind == "content"]
    assert len(contents) == PER_SUBJECT
    assert all(len(item.choices[0].options) == 6 and len(set(item.choices[0].options)) == 6 for item in contents)


def test_right_options_say_what_the_pretext_sample_says(fixed_items: list[PretextItem]) -> None:
    for item in fixed_items:
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
    with pytest.raises(PretextItemError, match="0 photos"):
        build_pretext_items([], maker, 1)
    bank = copy.deepcopy(BANK)
    bank.grammar["altered"] = ["{verdict}: {strength} {change}."] * 2
    odd = PretextSampleMaker(bank, maker.statistics, held_out=True)
    with pytest.raises(PretextItemError, match="before the verdict"):
        build_pretext_items(photos, odd, 1)


@pytest.mark.parametrize("language", ["llama", "gemma3"])
@pytest.mark.parametrize("uneven", [False, True])
def test_shared_prefixes_change_no_score(processor: Any, language: str, uneven: bool) -> None:
    """Copies of the prompt's cache give what reading the prompt anew gives; prompts and texts of unequal length."""
    model = tiny_model("efficientnet_lite", language, processor)
    evaluator = PretextEvaluator(model, processor)
    torch.manual_seed(1)
    tokens = {"low": torch.randn(4, processor.num_group_tokens["low"], 32)}
    prompts = [evaluator.prompt_ids(question, 2, "low") for question in ("What is it?", "How bright is this photo?")]
    target_texts = [["It is bright.", "It is very dark, and noisy.", "It is"], ["Dark.", "Rather bright, I find.", "Bright."]]
    if uneven:
        target_texts[1].append("A text more.")
    together = evaluator.score_target_texts(prompts, target_texts, tokens)
    one_by_one = evaluator.score_target_texts(prompts, target_texts, tokens, share_prefixes=False)
    alone = [
        evaluator.score_target_texts(
            [prompt], [[target_text]], {"low": tokens["low"][2 * row : 2 * row + 2]}, share_prefixes=False
        )[0][target_text]
        for row, prompt in enumerate(prompts)
        for target_text in target_texts[row]
    ]
    for row, texts in enumerate(target_texts):
        assert [together[row][target_text].tokens for target_text in texts] == [
            one_by_one[row][target_text].tokens for target_text in texts
        ]
        assert [together[row][target_text].total for target_text in texts] == pytest.approx(
            [one_by_one[row][target_text].total for target_text in texts], abs=1e-4
        )
    totals = [together[row][target_text].total for row in range(2) for target_text in target_texts[row]]
    assert totals == pytest.approx([score.total for score in alone], abs=1e-4)
    assert np.std(totals) > 0.1


def test_scores_are_the_models_own_loss(fixed_items: list[PretextItem], seen: PretextFeatures, nano: Any, processor: Any) -> None:
    """What the model makes of pixels and labels in training is what the fixed_items scores."""
    index = next(
        i for i, item in enumerate(fixed_items) if len(item.pretext_sample.images) == 2 and item.pretext_sample.level == "low"
    )
    item = fixed_items[index]
    evaluator = PretextEvaluator(nano, processor)
    found = evaluator.scores(fixed_items, seen)[index]
    target_text = item.target_texts[3]
    prompt = evaluator.prompt_ids(item.pretext_sample.question, 2, "low")
    answer = processor.tokenizer.encode(target_text, add_special_tokens=False)
    with torch.no_grad():
        loss = nano(
            input_ids=torch.tensor([prompt + answer]),
            labels=torch.tensor([[-100] * len(prompt) + answer]),
            image_layouts=torch.tensor([processor.image_layout(["low"])] * 2),
            **processor.image_processor(list(item.pretext_sample.images), return_tensors="pt"),
        ).loss
    assert found[target_text].total == pytest.approx(-loss.item() * len(answer), abs=1e-3)


def test_photos_are_seen_once_and_as_the_model_sees_them(fixed_items: list[PretextItem], nano: Any, processor: Any) -> None:
    images = _images(fixed_items)[:9]
    other = copy.deepcopy(nano)
    with torch.no_grad():
        other.model.multi_modal_projector.qformers["low"].queries += 1
    passes = []
    hook = nano.model.vision_tower.register_forward_hook(lambda *_: passes.append(1))
    first, second = read_pretext_features([nano, other], processor, [*images, images[0]], batch_size=len(images))
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
def test_planted_scores_are_answered_right(fixed_items: list[PretextItem], scoring: Any) -> None:
    even = [{target_text: TargetTextScore(-5.0, 3) for target_text in item.target_texts} for item in fixed_items]
    # over photos, a text must be likelier with its own photo than with others
    items = (
        fixed_items
        if scoring != "over_photos"
        else [i for i in fixed_items if i.pretext_sample.kind == "altered" and i.amount == "strong"]
    )
    even = (
        even[: len(items)]
        if len(items) == len(fixed_items)
        else [{target_text: TargetTextScore(-5.0, 3) for target_text in i.target_texts} for i in items]
    )
    answers = answer_items(items, _planted(items), even, scoring)
    assert answers and all(answer.chosen == answer.answer for answer in answers if answer.aspect != "strength")
    if scoring != "over_photos":
        assert all(answer.chosen == answer.answer for answer in answers)
        wrong = answer_items(items, _planted(items, right=False), even, scoring)
        assert not any(answer.chosen == answer.answer for answer in wrong if answer.aspect in ("bin", "content", "strength"))


def test_calibration_takes_the_prior_away(fixed_items: list[PretextItem]) -> None:
    """A text that is likely of any photo wins by likelihood, not by what the photo adds."""
    item = next(item for item in fixed_items if item.pretext_sample.kind == "measured")
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


def test_without_photo_the_answer_is_the_priors(fixed_items: list[PretextItem], nano: Any, processor: Any) -> None:
    """The same for all photos, so right as often as that answer is, which in a balanced fixed_items is chance."""
    blind = PretextEvaluator(nano, processor).blind_scores(fixed_items)
    answers = answer_items(fixed_items, blind, blind, "total")
    bins = [a for a in answers if a.subject == "brightness"]
    assert len({answer.chosen for answer in bins}) == 1
    assert sum(answer.chosen == answer.answer for answer in bins) <= 1
    directions = grouped([a for a in answers if a.aspect == "direction"], by_question)
    assert {summary["accuracy"] for summary in directions.values()} == {0.5}
    strengths = grouped([a for a in answers if a.aspect == "strength"], by_question)
    assert {summary["accuracy"] for summary in strengths.values()} == {0.5}
    strong = [a for a in answers if a.aspect == "edit" and a.amount == "strong" and a.level == "low"]
    assert summarise(strong)["accuracy"] == pytest.approx(1 / 12) == pytest.approx(summarise(strong)["chance"])


def test_a_random_model_is_near_chance_from_any_group(
    fixed_items: list[PretextItem], seen: PretextFeatures, nano: Any, processor: Any
) -> None:
    evaluator = PretextEvaluator(nano, processor)
    blind = evaluator.blind_scores(fixed_items)
    given = {group: answer_items(fixed_items, evaluator.scores(fixed_items, seen, group), blind) for group in LEVELS}
    table = cross_table(given)
    assert list(table) == list(LEVELS)
    assert set(table["middle"]) == {
        f"{aspect} {amount}" for aspect in ("edit", "direction") for amount in ("strong", "barely")
    } | {"bin", "strength"}
    summary = table["low"]["edit strong"]["high"]
    assert summary["interval"][0] <= summary["chance"] + 0.15
    own = answer_items(fixed_items, evaluator.scores(fixed_items, seen), blind)
    assert [a for a in own if a.level == "low"] == [a for a in given["low"] if a.level == "low"]
    text = markdown_cross(table)
    assert text.count("\n") == 1 + sum(map(len, table.values())) and "**" in text


def test_tables_have_every_subject_and_column(
    fixed_items: list[PretextItem],
    seen: PretextFeatures,
    photos: list[tuple[str, Image.Image]],
    maker: PretextSampleMaker,
    nano: Any,
    processor: Any,
) -> None:
    pretext_samples = probe_pretext_samples(photos, maker, 60)
    probe = PretextProbe(
        pretext_samples, read_pretext_features([nano], processor, pretext_samples.images)[0], all_maps=True
    ).answers(fixed_items, seen)
    even = [{target_text: TargetTextScore(-5.0, 3) for target_text in item.target_texts} for item in fixed_items]
    after = answer_items(fixed_items, _planted(fixed_items), even)
    rows = compare({"after": after, "probe": probe}, by_question)
    asked = {
        (
            item.pretext_sample.level,
            item.pretext_sample.subject,
            choice.aspect,
            "" if choice.aspect == "strength" else item.amount or "",
        )
        for item in fixed_items
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
    photos: list[tuple[str, Image.Image]], maker: PretextSampleMaker, fixed_items: list[PretextItem]
) -> None:
    """Features that are the pretext sample's own label, planted, are read off."""

    def planted(pretext_samples: list[Any]) -> PretextFeatures:
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
        return PretextFeatures({}, dict.fromkeys(LEVELS, np.array(rows)))

    drawn = probe_pretext_samples(photos, maker, 240)
    train = planted([pretext_sample for pairs in drawn.pairs.values() for pretext_sample in pairs])
    blank = np.zeros((len(drawn.photos), train.pooled["low"].shape[1]))
    train = PretextFeatures({}, {level: np.concatenate([blank, values]) for level, values in train.pooled.items()})
    items = [item for item in fixed_items if item.pretext_sample.kind == "altered"]
    answers = PretextProbe(drawn, train).answers(items, planted([item.pretext_sample for item in items]))
    found = grouped(answers, by_level)
    for level in ("low", "middle"):
        assert found[level, "edit", "strong"]["accuracy"] > 0.9
        assert found[level, "direction", "strong"]["accuracy"] > 0.9


def test_wording_does_not_depend_on_other_chance(maker: PretextSampleMaker) -> None:
    texts = {altered_target_text(BANK, "noise", "more", "barely", str(seed), True) for seed in range(5)}
    random.seed(1)
    assert texts == {altered_target_text(BANK, "noise", "more", "barely", "9", True)}


def test_two_checkpoints_are_asked_the_same_and_stand_beside_the_probes(
    photos: list[tuple[str, Image.Image]], maker: PretextSampleMaker, nano: Any, processor: Any
) -> None:
    """The same checkpoint before and after answers alike; every level is asked of every group's tokens."""
    report = evaluate_pretext(nano, nano, processor, photos, photos, maker, per_subject=1, probe_samples=8)
    assert report["wordings"] == "held out" and report["photos"] == len(photos)
    columns = {"before", "after", "probe, own map", "probe, all maps", "without photo"}
    for row in report["by_level"]:
        assert row.keys() - {"row"} == columns and row["before"] == row["after"]
    assert set(report["by_tokens"]) == set(LEVELS)
    assert all(groups.keys() == set(LEVELS) for asked in report["by_tokens"].values() for groups in asked.values())
    assert "| asked | low tokens | middle tokens | high tokens |" in pretext_table(report)
