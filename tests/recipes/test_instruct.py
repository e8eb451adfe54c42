"""Rows for the language model say what the tokens say."""

from typing import Any

import pytest
import torch

from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from tiny_models import tiny_tokenizer

BANK = PhraseBank()


@pytest.fixture(scope="module")
def told() -> Any:
    """A photo whose tokens tell bins truly, and a damaged view of it, with ratings from 1 to 10."""
    from codebook import Codebook
    from coded_alignment import CodeLoss
    from features import DAMAGED_VIEWS
    from instruct import ToldPhotos
    from prompts import nano_processor

    processor = nano_processor(tiny_tokenizer())
    embedding = torch.randn(len(processor.tokenizer), 96, generator=torch.Generator().manual_seed(0))
    book = Codebook(embedding, processor, BANK).requires_grad_(False)
    torch.manual_seed(0)
    values = {name: (-2.0, 0.0, 2.0)[number % 3] for number, name in enumerate(BANK.attributes)}
    tokens = {}
    for group in TOKEN_GROUPS:
        own = {name: values[name] for name in book.vocabulary.attributes.get(group, ())}
        tokens[group] = torch.stack([book.tokens(group, own, {}, {})] * 2)
    shares = torch.rand(2, len(processor.rating_scale.questions), 5).softmax(-1)
    views = [("a.jpg", 0), ("a.jpg", DAMAGED_VIEWS[0])]
    photos = ToldPhotos(processor, tokens, shares, views, CodeLoss(book), BANK, {"a.jpg": "a castle"})
    photos.expected = {name: int(value + 2) for name, value in values.items()}  # type: ignore[attr-defined]
    return photos


def test_bins_are_read_from_the_tokens(told: Any) -> None:
    assert told.read_bins(0) == told.expected


def test_every_row_has_as_many_codes_as_placeholders(told: Any) -> None:
    tokenizer = told.processor.tokenizer
    for row in (told.ratings(), told.comments(), told.measured()):
        assert len(tokenizer.encode(row.photos, add_special_tokens=False)) == len(row.codes)
        assert all(bool(question.answer) != bool(question.levels) for question in row.questions)


def test_a_lesson_says_the_bin_that_the_token_is_nearest_to(told: Any) -> None:
    for _ in range(20):
        for question in told.measured().questions:
            words = {phrase for name, bin in told.expected.items() for phrase in BANK.attributes[name]["bins"][bin]}
            assert question.phrases[0] in words and question.phrases[0].lower() in question.answer.lower()
