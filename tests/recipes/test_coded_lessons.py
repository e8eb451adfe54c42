"""Codes say what they are made to say, and lessons of them are those that photos give."""

import sys
from pathlib import Path

import pytest
import torch

from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from tiny_models import tiny_processor

NANO = Path(__file__).parents[2] / "recipes" / "nano"
BANK = PhraseBank()


@pytest.fixture(scope="module")
def recipe() -> object:
    """The recipe's module; its folder is no package."""
    sys.path.insert(0, str(NANO))
    try:
        import coded_lessons
    finally:
        sys.path.remove(str(NANO))
    return coded_lessons


@pytest.fixture(scope="module")
def lessons(recipe: object) -> object:
    processor = tiny_processor()
    embedding = torch.randn(len(processor.tokenizer), 96, generator=torch.Generator().manual_seed(0))
    return recipe.CodedLessons(recipe.Codebook(embedding, processor, BANK), BANK, ["a cat", "a dog"])


def test_a_direction_tells_its_value_and_no_other(lessons: object) -> None:
    """Directions are orthogonal and one unit long, so that a change of a photo's tokens gives back what was changed."""
    book = lessons.book
    torch.manual_seed(0)
    before = book.tokens("low", {}, {"exposure": 0.5}, {})
    torch.manual_seed(0)
    change = (book.tokens("low", {}, {"exposure": -1.5}, {"quality": 0.5}) - before) / book.unit**2
    for name, direction in book.directions.items():
        read = change @ direction
        # an edit changes one token, a rating all of them
        expected = {"exposure": -2.0, "quality?": 0.5 * len(change)}.get(name, 0.0)
        assert float(read.sum()) == pytest.approx(expected, abs=1e-3), name


def test_a_bins_token_lies_nearest_to_its_words(lessons: object) -> None:
    book = lessons.book
    for number, name in enumerate(book.vocabulary.attributes["low"]):
        for bin in range(5):
            values = dict.fromkeys(book.vocabulary.attributes["low"], 0.0) | {name: bin - 2.0}
            token = book.tokens("low", values, {}, {})[number]
            assert int(torch.cdist(token[None], book.bins[name]).argmin()) == bin


def test_pairs_differ_in_what_the_answer_says(lessons: object) -> None:
    """The second photo has more of the edit where the answer says so, less where it says the opposite."""
    book = lessons.book
    count = lessons.processor.num_group_tokens["low"]
    lessons.spread = 0.0
    for _ in range(20):
        row = lessons.altered("low", "exposure")
        change = row.codes[count:].sum(0) - row.codes[:count].sum(0)
        assert (float(change @ book.directions["exposure"]) > 0) == (row.phrases[0] in BANK.edits["exposure"]["more"])
        assert row.phrases[0] in row.answer


def test_all_kinds_can_be_learned_from(recipe: object, lessons: object) -> None:
    """As many codes as placeholders, and a finite loss with gradients for lessons and ratings together."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = lessons.processor.tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=96, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    rows = [lessons.row() for _ in range(24)]
    assert any(row.levels for row in rows) and any(row.answer for row in rows)
    lesson_loss, rating_loss = recipe.coded_loss(model, lessons.processor, rows)
    (lesson_loss + rating_loss).backward()
    assert torch.isfinite(lesson_loss) and torch.isfinite(rating_loss)
    assert model.lm_head.weight.grad.abs().sum() > 0
