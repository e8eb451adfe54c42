"""Perplexity per byte is of the text's bytes alone, and the same however texts are batched."""

import math

import pytest
import torch

from aesthetic_mllm.evaluation.byte_perplexity import byte_perplexity
from tiny_models import tiny_model, tiny_processor

TEXTS = [
    ("user: a photo?", " The light is good."),
    ("user:", " Nice."),
    ("user: and this one?", " I like the colours, naïve as it is."),
]


@pytest.fixture(scope="module")
def parts() -> tuple:
    processor = tiny_processor()
    return tiny_model("efficientnet_lite", "llama", processor), processor.tokenizer


def surprise_by_hand(model, tokenizer, prompt: str, text: str) -> float:
    before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prompt, text))
    with torch.no_grad():
        shares = model(input_ids=torch.tensor([before + after])).logits[0].log_softmax(-1)
    return -sum(float(shares[len(before) + place - 1, token]) for place, token in enumerate(after))


def test_it_is_what_the_tokens_of_the_text_come_to(parts: tuple) -> None:
    """Bytes, not characters, and no surprise about the prompt."""
    expected = math.exp(sum(surprise_by_hand(*parts, *pair) for pair in TEXTS) / sum(len(text.encode()) for _, text in TEXTS))
    assert byte_perplexity(*parts, TEXTS, batch_size=1) == pytest.approx(expected, rel=1e-4)


def test_batches_and_order_do_not_matter(parts: tuple) -> None:
    alone = byte_perplexity(*parts, TEXTS, batch_size=1)
    assert byte_perplexity(*parts, TEXTS[::-1], batch_size=3) == pytest.approx(alone, rel=1e-4)


def test_what_cannot_be_counted_is_refused(parts: tuple) -> None:
    with pytest.raises(ValueError, match="no byte"):
        byte_perplexity(*parts, [])
    with pytest.raises(ValueError, match="has no token"):
        byte_perplexity(*parts, [("", "Nice.")])
