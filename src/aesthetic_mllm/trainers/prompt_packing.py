"""The one way from messages to token ids, for everything that trains a checkpoint or asks one in the words of its training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from trl.data_utils import prepare_multimodal_messages

IGNORED = -100  # label of a token that is not learned


@dataclass(frozen=True)
class PackedPrompt:
    """A conversation as token ids.

    Args:
        ids: L tokens, the photos' placeholders among them.
        labels: L, [`IGNORED`] but for the assistant's words and the ends of its turns.
        rating_position: where the level word is predicted, or `None` where no rating is asked for.
    """

    ids: list[int]
    labels: list[int]
    rating_position: int | None = None


def pack_prompt(
    processor: Any,
    messages: Sequence[Mapping[str, Any]],
    num_images: int = 1,
    groups: Sequence[str] | None = None,
    stem: str | None = None,
    context: int = 0,
) -> PackedPrompt:
    """Token ids and labels of a conversation about photos.

    An assistant's words are tokenized apart from what stands before them, as they are when a model writes them. A conversation
    that ends with the user is a prompt: it ends where the assistant's words begin.

    Args:
        processor: the checkpoint's [`AestheticMLLMProcessor`].
        messages: TRL's conversational form, `role` and `content`. Photos stand where the contents name them, or, where all are
            plain text, before the first of the user's.
        num_images: how many photos.
        groups: the groups of visual tokens that each photo shows; default all.
        stem: what the assistant's turn is opened with after a prompt that asks for a rating.
        context: how many of the first messages are not learned, whoever says them.

    Raises:
        ValueError: the messages name another number of photos, a text holds the placeholder, or a turn that is over is worded
            otherwise by the chat template when others follow.
    """
    turns = prepare_multimodal_messages(list(messages), [None] * num_images)
    end = processor.tokenizer.eos_token
    parts: list[tuple[str, bool]] = []  # text, and whether it is learned
    told = ""  # so far, without the end of the last turn
    for number, turn in enumerate(turns):
        if turn["role"] == "assistant" and number >= context:
            words = "".join(part["text"] for part in turn["content"])
            opened = _opened(processor, turns[:number])
            parts += [(_after(told, opened, end), False), (words + end, True)]
            told = opened + words
    if turns[-1]["role"] != "assistant":
        parts.append((_after(told, _opened(processor, turns), end) + (stem or ""), False))
    ids: list[int] = []
    labels: list[int] = []
    for text, learned in parts:
        shown = text.replace(processor.image_token, processor.image_placeholders(groups)) if not learned else text
        # only what stands first may get a token that begins all texts
        tokens = processor.tokenizer(shown, add_special_tokens=not ids)["input_ids"]
        ids += tokens
        labels += tokens if learned else [IGNORED] * len(tokens)
    placeholders, wanted = ids.count(processor.image_token_id), num_images * sum(processor.image_layout(groups))
    if placeholders != wanted:
        raise ValueError(
            f"A conversation with photos ({num_images}) has {placeholders} tokens {processor.image_token} instead of {wanted}; "
            'texts may not hold the placeholder itself. Say where photos stand by {"type": "image"}, or leave that out.'
        )
    return PackedPrompt(ids, labels, None if stem is None else len(ids) - 1)


def pad_left(rows: Sequence[Sequence[int]], fill: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of numbers as one tensor [B, L], and a mask [B, L], 0 where filled."""
    length = max(map(len, rows))
    padded = torch.tensor([[fill] * (length - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])
    return padded, mask


def _opened(processor: Any, turns: list[dict[str, Any]]) -> str:
    """The chat up to where the assistant's words begin."""
    text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    # templates that end with "ASSISTANT:" leave the space to the answer
    return text if text[-1].isspace() else text + " "


def _after(told: str, whole: str, end: str) -> str:
    """What a longer chat says after a shorter one, whose last turn ends there."""
    if not whole.startswith(told):
        raise ValueError(
            "The chat template words turns that are over otherwise than it did when they were written, so that a conversation "
            "of several turns cannot be learned as it is said; give each exchange as a row of its own."
        )
    return whole[len(told) :].removeprefix(end) if told else whole
