"""How well a language model expects texts, in a unit that does not depend on its tokenizer."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F


@torch.inference_mode()
def byte_perplexity(model: Any, tokenizer: Any, texts: Sequence[tuple[str, str]], batch_size: int = 8) -> float:
    """Perplexity per byte of texts after their prompts: e to the mean surprise of their UTF-8 bytes, at least 1.

    Prompt and text are tokenized apart, so that every byte of a text is counted, and none of its prompt.

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer; no special tokens are added, so a prompt brings its own.
        texts: prompts and texts; a text of no tokens counts for nothing.

    Raises:
        ValueError: no texts, or texts without a byte.
    """
    size = sum(len(text.encode()) for _, text in texts)
    if not size:
        raise ValueError(f"{len(texts)} texts hold no byte to expect.")
    rows = sorted((_row(tokenizer, prompt, text) for prompt, text in texts), key=lambda row: -len(row[0]))
    surprise = 0.0
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        length = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in batch], device=model.device)
        # padding on the right is never looked at by what stands before it, so it needs no mask
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        losses = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")  # [B, length - 1]
        for row, (tokens, prompt_length) in zip(losses, batch, strict=True):
            surprise += float(row[prompt_length - 1 : len(tokens) - 1].sum())
    return math.exp(surprise / size)


def _row(tokenizer: Any, prompt: str, text: str) -> tuple[list[int], int]:
    """Token ids of prompt and text, and how many of them are the prompt's."""
    before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prompt, text))
    if not before:
        raise ValueError(f"The prompt {prompt!r} has no token, so the first one of {text!r} cannot be expected.")
    return before + after, len(before)
