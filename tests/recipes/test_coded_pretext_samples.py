"""Codes say what they are made to say, and pretext samples of them are those that photos give."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from recipes.nano.codebook import Codebook
from recipes.nano.coded_pretext_samples import CodedPretextSamples
from recipes.nano.prompts import nano_processor
from recipes.nano.question_rows import CodedRow, coded_loss
from tiny_models import tiny_tokenizer

BANK = PhraseBank()


@pytest.fixture(scope="module")
def pretext_samples() -> Any:
    processor = nano_processor(tiny_tokenizer())
    embedding = torch.randn(len(processor.tokenizer), 96, generator=torch.Generator().manual_seed(0))
    return CodedPretextSamples(Codebook(embedding, processor, BANK), BANK, ["a cat", "a dog"])


@pytest.fixture(scope="module")
def model(pretext_samples: Any) -> LlamaForCausalLM:
    tokenizer = pretext_samples.processor.tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=96, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    return LlamaForCausalLM(config)


@torch.no_grad()
def test_an_edit_changes_its_token_along_its_direction_and_a_rating_changes_all(pretext_samples: Any) -> None:
    book = pretext_samples.book
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
def test_a_bins_token_lies_nearest_to_its_own_code(pretext_samples: Any) -> None:
    """And so a level has a token for each of its attributes."""
    book = pretext_samples.book
    for level, names in book.vocabulary.attributes.items():
        for name in names:
            for bin in range(5):
                values = dict.fromkeys(names, 0.0) | {name: bin - 2.0}
                token = book.tokens(level, values, {}, {})[book.place(name, level)]
                codes = book.key(name) + book.bins(name)
                assert int(torch.cdist(token[None], codes).argmin()) == bin


@torch.no_grad()
def test_pairs_differ_in_what_the_answer_says(pretext_samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second photo has more of the edit where the answer says so, less where it says the opposite."""
    monkeypatch.setattr("recipes.nano.coded_pretext_samples.ATTRIBUTES_MOVE", 0.0)
    monkeypatch.setattr("recipes.nano.coded_pretext_samples.SEEN_TWICE", 0.0)
    book = pretext_samples.book
    count = pretext_samples.processor.num_group_tokens["low"]
    (direction,) = book.directions(["exposure"])
    pretext_samples.spread = 0.0
    for _ in range(20):
        row = pretext_samples.altered("low", "exposure")
        place = book.edit_place("exposure", "low")
        change = row.codes[count + place] - row.codes[place]
        for question in row.questions:
            assert (float(change @ direction) > 0) == (question.phrases[0] in BANK.edits["exposure"]["more"])
            assert question.phrases[0] in question.answer


def test_all_kinds_can_be_learned_from(pretext_samples: Any, model: LlamaForCausalLM) -> None:
    """As many codes as placeholders, and a finite loss with gradients for pretext samples, ratings and keys together."""
    model.zero_grad()
    rows = [pretext_samples.row() for _ in range(24)] + [pretext_samples.recall() for _ in range(4)]
    questions = [question for row in rows for question in row.questions]
    assert any(question.levels for question in questions) and any(question.answer for question in questions)
    pretext_loss, rating_loss = coded_loss(model, pretext_samples.processor, rows)
    (pretext_loss + rating_loss).backward()
    assert torch.isfinite(pretext_loss) and torch.isfinite(rating_loss)
    assert model.lm_head.weight.grad.abs().sum() > 0 and pretext_samples.book.keys.grad.abs().sum() > 0


@torch.no_grad()
def test_questions_of_one_row_do_not_see_each_other(pretext_samples: Any, model: LlamaForCausalLM) -> None:
    """The loss of a row's ratings is the mean of what each costs when it is asked alone."""
    row = pretext_samples.ratings()
    _, together = coded_loss(model, pretext_samples.processor, [row])
    alone = [coded_loss(model, pretext_samples.processor, [CodedRow(row.photos, row.codes, [one])])[1] for one in row.questions]
    assert len(alone) > 1
    torch.testing.assert_close(together, torch.stack(alone).mean(), atol=2e-2, rtol=0)  # bf16 where the CPU has it
