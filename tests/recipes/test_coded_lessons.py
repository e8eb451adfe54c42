"""Codes say what they are made to say, and lessons of them are those that photos give."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from tiny_models import tiny_tokenizer

BANK = PhraseBank()


@pytest.fixture(scope="module")
def lessons() -> Any:
    from codebook import Codebook
    from coded_lessons import CodedLessons
    from prompts import nano_processor

    processor = nano_processor(tiny_tokenizer())
    embedding = torch.randn(len(processor.tokenizer), 96, generator=torch.Generator().manual_seed(0))
    return CodedLessons(Codebook(embedding, processor, BANK), BANK, ["a cat", "a dog"])


@pytest.fixture(scope="module")
def model(lessons: Any) -> LlamaForCausalLM:
    tokenizer = lessons.processor.tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=96, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    return LlamaForCausalLM(config)


@torch.no_grad()
def test_an_edit_changes_its_token_along_its_direction_and_a_rating_changes_all(lessons: Any) -> None:
    book = lessons.book
    torch.manual_seed(0)
    before = book.tokens("low", {}, {"exposure": 0.5}, {})
    torch.manual_seed(0)
    change = book.tokens("low", {}, {"exposure": -1.5}, {"quality": 0.5}) - before
    exposure, quality = book.directions(["exposure", "quality?"])
    expected = (0.5 * quality).expand_as(change).clone()
    expected[book.edit_place("exposure", "low")] -= 2 * exposure
    torch.testing.assert_close(change, expected, atol=1e-4, rtol=0)
    assert float(exposure.norm()) == pytest.approx(book.unit)


@torch.no_grad()
def test_a_bins_token_lies_nearest_to_its_own_code(lessons: Any) -> None:
    """And so a level has a token for each of its attributes."""
    book = lessons.book
    for level, names in book.vocabulary.attributes.items():
        for name in names:
            for bin in range(5):
                values = dict.fromkeys(names, 0.0) | {name: bin - 2.0}
                token = book.tokens(level, values, {}, {})[book.place(name, level)]
                codes = book.key(name) + book.bins(name)
                assert int(torch.cdist(token[None], codes).argmin()) == bin


@torch.no_grad()
def test_pairs_differ_in_what_the_answer_says(lessons: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second photo has more of the edit where the answer says so, less where it says the opposite."""
    monkeypatch.setattr("coded_lessons.ATTRIBUTES_MOVE", 0.0)
    monkeypatch.setattr("coded_lessons.SEEN_TWICE", 0.0)
    book = lessons.book
    count = lessons.processor.num_group_tokens["low"]
    (direction,) = book.directions(["exposure"])
    lessons.spread = 0.0
    for _ in range(20):
        row = lessons.altered("low", "exposure")
        place = book.edit_place("exposure", "low")
        change = row.codes[count + place] - row.codes[place]
        for question in row.questions:
            assert (float(change @ direction) > 0) == (question.phrases[0] in BANK.edits["exposure"]["more"])
            assert question.phrases[0] in question.answer


def test_all_kinds_can_be_learned_from(lessons: Any, model: LlamaForCausalLM) -> None:
    """As many codes as placeholders, and a finite loss with gradients for lessons, ratings and keys together."""
    from question_rows import coded_loss

    model.zero_grad()
    rows = [lessons.row() for _ in range(24)] + [lessons.recall() for _ in range(4)]
    questions = [question for row in rows for question in row.questions]
    assert any(question.levels for question in questions) and any(question.answer for question in questions)
    lesson_loss, rating_loss = coded_loss(model, lessons.processor, rows)
    (lesson_loss + rating_loss).backward()
    assert torch.isfinite(lesson_loss) and torch.isfinite(rating_loss)
    assert model.lm_head.weight.grad.abs().sum() > 0 and lessons.book.keys.grad.abs().sum() > 0


@torch.no_grad()
def test_questions_of_one_row_do_not_see_each_other(lessons: Any, model: LlamaForCausalLM) -> None:
    """The loss of a row's ratings is the mean of what each costs when it is asked alone."""
    from question_rows import CodedRow, coded_loss

    row = lessons.ratings()
    _, together = coded_loss(model, lessons.processor, [row])
    alone = [coded_loss(model, lessons.processor, [CodedRow(row.photos, row.codes, [one])])[1] for one in row.questions]
    assert len(alone) > 1
    torch.testing.assert_close(together, torch.stack(alone).mean(), atol=2e-2, rtol=0)  # bf16 where the CPU has it
