"""Rows that nano's language model learns from: the visual tokens of photos, and several questions about them with their answers.

A photo's tokens are read once for all of its questions, none of which sees the others. Whether they are codes
(`coded_pretext_samples.py`) or what the alignment module gives (`train_language_model.py`) makes no difference here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.pretext.phrase_bank import TargetText

from .devices import half_precision

PHRASE_WEIGHT = 5.0  # of the words that tell a pretext sample's answer; which of their many frames they stand in is chance


@dataclass(frozen=True)
class Question:
    """What is asked after the photos, and what is to be said.

    Args:
        asked: whole text between the photos and the answer.
        answer: empty for a rating.
        phrases: the parts of it that tell the answer.
        levels: for a rating, the distribution over the level words that come next.
        weight: of a rating, beside others.
    """

    asked: str
    answer: str = ""
    phrases: Sequence[str] = ()
    levels: Sequence[float] | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class CodedRow:
    """Photos that are codes, and questions about them, none of which sees the others.

    Args:
        photos: placeholders, after whatever the chat format begins with.
        codes: [P, D], one for each placeholder.
        questions: one or more.
    """

    photos: str
    codes: torch.Tensor
    questions: Sequence[Question]


class CausalView:
    """The language model inside a checkpoint, as `coded_loss` takes one."""

    def __init__(self, model: AestheticMLLMForConditionalGeneration):
        self.model, self.lm_head = model.model.language_model, model.lm_head

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.model.get_input_embeddings()


def target_text_question(target_text: TargetText, phrases: Sequence[str]) -> Question:
    """A pretext sample's target text as a question; of the phrases that may tell its answer the longest that is in it does."""
    said = max((phrase for phrase in phrases if phrase.lower() in target_text.text.lower()), key=len)
    return Question(f"{target_text.question}\n", target_text.text, [said])


def coded_loss(
    model: LlamaForCausalLM | CausalView, processor: AestheticMLLMProcessor, rows: Sequence[CodedRow]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted next-token loss of the pretext samples' answers, and soft cross-entropy of the ratings' levels; 0 without any."""
    tokenizer: PreTrainedTokenizerBase = processor.tokenizer
    start = processor.apply_chat_template([{"role": "user", "content": ""}], tokenize=False).rstrip("\n")
    packed = [_packed(tokenizer, start, row) for row in rows]
    length = max(len(ids) for ids, *_ in packed)
    ids = torch.full((len(rows), length), tokenizer.pad_token_id)
    places, owners = torch.zeros(len(rows), length, dtype=torch.long), torch.full((len(rows), length), -1)
    labels, weights = torch.full((len(rows), length), -100), torch.zeros(len(rows), length)
    rated: list[tuple[int, int]] = []
    wanted: list[Question] = []
    for number, (row_ids, row_places, row_owners, row_labels, row_weights, ratings) in enumerate(packed):
        size = len(row_ids)
        for whole, part in (
            (ids, row_ids),
            (places, row_places),
            (owners, row_owners),
            (labels, row_labels),
            (weights, row_weights),
        ):
            whole[number, :size] = torch.tensor(part)
        rated += [(number, position) for position, _ in ratings]
        wanted += [question for _, question in ratings]
    embedded = model.get_input_embeddings()
    where = embedded.weight.device
    ids, places, mask, labels, weights = (part.to(where) for part in (ids, places, question_mask(owners), labels, weights))
    visual = ids == processor.image_token_id
    embeddings = embedded(ids).masked_scatter(visual[..., None], torch.cat([row.codes for row in rows]).to(where))
    with half_precision():
        states = model.model(
            inputs_embeds=embeddings, attention_mask=mask, position_ids=places, use_cache=False
        ).last_hidden_state
        said = labels[:, 1:] != -100
        logits = model.lm_head(states[:, :-1][said]).float()
        level_logits = model.lm_head(states[tuple(torch.tensor(rated).T)]).float() if rated else None
    pretext_loss = rating_loss = states.sum() * 0
    if said.any():
        losses, weight = F.cross_entropy(logits, labels[:, 1:][said], reduction="none"), weights[:, 1:][said]
        pretext_loss = (losses * weight).sum() / weight.sum()
    if level_logits is not None:
        targets, shares = (torch.tensor([getattr(one, name) for one in wanted], device=where) for name in ("levels", "weight"))
        losses = -(targets * level_logits.log_softmax(-1)[:, processor.level_ids]).sum(1)
        rating_loss = (losses * shares).sum() / shares.sum()
    return pretext_loss, rating_loss


def question_mask(owners: torch.Tensor) -> torch.Tensor:
    """What each position may look at: what stands before it, if that is a photo's (owner 0) or its own question's.

    [B, L] owners (-1: padding) -> [B, 1, L, L], 0 or the least number.
    """
    length = owners.shape[1]
    seen = (owners[:, None, :] == 0) | (owners[:, None, :] == owners[:, :, None])
    seen = seen & torch.ones(length, length, dtype=torch.bool).tril()
    return torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[:, None]


def _packed(tokenizer: PreTrainedTokenizerBase, start: str, row: CodedRow) -> tuple[list, ...]:
    """Token ids, places, owners, labels and weights of a row, and its ratings: position and question."""
    ids = tokenizer.encode(start + row.photos, add_special_tokens=False)
    photos = len(ids)
    places, owners, labels, weights = list(range(photos)), [0] * photos, [-100] * photos, [0.0] * photos
    ratings = []
    for number, question in enumerate(row.questions, 1):
        asked = tokenizer.encode(question.asked, add_special_tokens=False)
        answer, weight = _weighted_answer(tokenizer, question)
        if question.levels is not None:
            ratings.append((len(ids) + len(asked) - 1, question))
        ids += asked + answer
        places += range(photos, photos + len(asked) + len(answer))
        owners += [number] * (len(asked) + len(answer))
        labels += [-100] * len(asked) + answer
        weights += [0.0] * len(asked) + weight
    return ids, places, owners, labels, weights, ratings


def _weighted_answer(tokenizer: PreTrainedTokenizerBase, question: Question) -> tuple[list[int], list[float]]:
    """Tokens of the answer and the end of the turn, and what each weighs; none of a rating."""
    if question.levels is not None:
        return [], []
    encoded = tokenizer(question.answer, add_special_tokens=False, return_offsets_mapping=True)
    spans, at = [], 0
    for phrase in question.phrases:  # in their order
        at = question.answer.lower().index(phrase.lower(), at)
        spans.append((at, at + len(phrase)))
    weights = [
        PHRASE_WEIGHT if any(start < last and end > first for first, last in spans) else 1.0
        for start, end in encoded["offset_mapping"]
    ]
    return [*encoded["input_ids"], tokenizer.eos_token_id], [*weights, 1.0]
