"""Pretext samples answered by a checkpoint: candidate answers are compared by the language model's likelihood of their words."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from ..data.conversations import user_says
from ..modeling.model_outputs import CACHE
from ..modeling.token_placement import image_features
from ..trainers.prompt_packing import pack_prompt, pad_left
from .pretext_features import PretextFeatures
from .pretext_items import Choice, PretextItem

# How a text is scored: its likelihood; that per token; its likelihood over that without the photo (pointwise mutual information,
# Holtzman et al. 2021, arXiv:2104.08315); its likelihood over the geometric mean of that with other photos (which uses
# the photos asked about, but no labels).
Scoring = Literal["total", "per_token", "pmi", "over_photos"]
SCORINGS: tuple[Scoring, ...] = ("total", "per_token", "pmi", "over_photos")
FEWEST_PHOTOS = 5  # that a mean over photos is taken of


@dataclass(frozen=True)
class TargetTextScore:
    """Log-likelihood of a text after a prompt, and how many tokens it has."""

    total: float
    tokens: int


@dataclass(frozen=True)
class Answer:
    """What was chosen in one question.

    Args:
        level, subject, aspect, amount: of the item and its choice.
        chosen, answer: indices of options; `chosen` is -1 where nothing could be.
        chance: 0 to 1.
        expected: of a measured attribute, the bin expected from all options' scores, 0 to 4; else `None`.
    """

    level: str
    subject: str
    aspect: str
    amount: str | None
    chosen: int
    answer: int
    chance: float
    expected: float | None = None


class PretextEvaluator:
    """Has a checkpoint answer items.

    Args:
        model: [`AestheticMLLMForConditionalGeneration`] in evaluation mode.
        processor: the checkpoint's [`AestheticMLLMProcessor`].
        batch_size: pretext samples at a time; each brings all its candidate texts.
    """

    def __init__(self, model: Any, processor: Any, batch_size: int = 8):
        self.model, self.processor, self.batch_size = model, processor, batch_size

    def scores(
        self, items: Sequence[PretextItem], seen: PretextFeatures, group: str | None = None
    ) -> list[dict[str, TargetTextScore]]:
        """Scores of every text of every item.

        Args:
            items: all the items whose photos were seen.
            seen: of the same items.
            group: whose tokens alone the prompts show; default the pretext sample's own level.
        """
        first_photo = np.cumsum([0, *(len(item.pretext_sample.images) for item in items)])
        results: list[dict[str, TargetTextScore]] = [{} for _ in items]
        groups = [group or item.pretext_sample.level for item in items]
        # equal lengths together: little padding
        order = sorted(
            range(len(items)), key=lambda i: (groups[i], len(items[i].pretext_sample.images), len(items[i].target_texts))
        )
        for batch in _batches(order, groups, self.batch_size):
            prompts = [
                self.prompt_ids(items[i].pretext_sample.question, len(items[i].pretext_sample.images), groups[i]) for i in batch
            ]
            photos = [photo for i in batch for photo in range(first_photo[i], first_photo[i + 1])]
            tokens = {groups[batch[0]]: seen.tokens[groups[batch[0]]][photos]}
            for i, scores in zip(
                batch, self.score_target_texts(prompts, [items[i].target_texts for i in batch], tokens), strict=True
            ):
                results[i] = scores
        return results

    def prompt_ids(self, question: str, num_images: int, group: str | None = None) -> list[int]:
        """Token ids of a question as training asks it; each photo shows the tokens of one group."""
        return pack_prompt(self.processor, [user_says(question)], num_images, [group] if group else ()).ids

    def blind_scores(self, items: Sequence[PretextItem]) -> list[dict[str, TargetTextScore]]:
        """As `scores`, but the prompts hold no photo; each question and text is computed once."""
        target_texts: dict[str, dict[str, None]] = defaultdict(dict)
        for item in items:
            target_texts[item.pretext_sample.question] |= dict.fromkeys(item.target_texts)
        found: dict[str, dict[str, TargetTextScore]] = defaultdict(dict)
        for question, texts in target_texts.items():
            prompt = self.prompt_ids(question, 0)
            wanted = list(texts)
            step = 16 * self.batch_size
            for start in range(0, len(wanted), step):
                found[question] |= self.score_target_texts([prompt], [wanted[start : start + step]])[0]
        return [
            {target_text: found[item.pretext_sample.question][target_text] for target_text in item.target_texts} for item in items
        ]

    @torch.inference_mode()
    def score_target_texts(
        self,
        prompts: Sequence[Sequence[int]],
        target_texts: Sequence[Sequence[str]],
        tokens: Mapping[str, torch.Tensor] | None = None,
        share_prefixes: bool = True,
    ) -> list[dict[str, TargetTextScore]]:
        """Log-likelihoods of texts after prompts.

        Args:
            prompts: B whole prompts as token ids, with their placeholders.
            target_texts: the texts to score after each of them; each text once.
            tokens: [N, T, D] of each group, of the prompts' N photos; `None`: there are none.
            share_prefixes: encode each prompt once, and copy its cache for each of its texts; otherwise it is read anew for each,
                and all prompts must show equally many photos.
        """
        tokenizer = self.processor.tokenizer
        prefixes = [list(prompt) for prompt in prompts]
        answers = [[tokenizer.encode(target_text, add_special_tokens=False) for target_text in texts] for texts in target_texts]
        lengths = [[len(ids) for ids in texts] for texts in answers]
        # what all texts of a prompt begin with is read with the prompt; each keeps a token of its own
        shared = [min(len(os.path.commonprefix(texts)), min(map(len, texts)) - 1) if share_prefixes else 0 for texts in answers]
        prefixes = [ids + texts[0][:count] for ids, texts, count in zip(prefixes, answers, shared, strict=True)]
        answers = [[ids[count:] for ids in texts] for texts, count in zip(answers, shared, strict=True)]
        rows = torch.tensor([row for row, texts in enumerate(target_texts) for _ in texts])
        flat = [ids for texts in answers for ids in texts]
        width = max(map(len, flat))
        suffix = torch.tensor([ids + [tokenizer.pad_token_id] * (width - len(ids)) for ids in flat])
        suffix_mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in flat])
        ids, mask = pad_left(prefixes, tokenizer.pad_token_id)
        if share_prefixes:
            likelihoods, of_shared = self._with_cache(ids, mask, suffix, suffix_mask, rows, tokens, shared)
        else:
            likelihoods, of_shared = self._without_cache(ids, mask, suffix, suffix_mask, rows, tokens), [0.0] * len(prompts)
        totals = iter((likelihoods * suffix_mask).sum(1).tolist())
        return [
            {
                target_text: TargetTextScore(start + next(totals), length)
                for target_text, length in zip(texts, counts, strict=True)
            }
            for texts, counts, start in zip(target_texts, lengths, of_shared, strict=True)
        ]

    def _with_cache(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor,
        suffix: torch.Tensor,
        suffix_mask: torch.Tensor,
        rows: torch.Tensor,
        tokens: Mapping[str, torch.Tensor] | None,
        shared: Sequence[int],
    ) -> tuple[torch.Tensor, list[float]]:
        """Log-probabilities of the suffixes' tokens, [R, C], and of each prompt's last `shared` tokens together.

        `rows` [R] says which prompt each suffix follows.
        """
        device = self.model.device
        kept = max(shared) + 1
        out = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=_positions(mask).to(device),
            use_cache=True,
            logits_to_keep=kept,
            **self._photos(tokens),
        )
        of_shared = [0.0] * len(ids)
        if kept > 1:
            picked = _picked(out.logits[:, :-1], ids[:, 1 - kept :].to(device))  # [B, kept - 1]
            of_shared = [float(row[len(row) - count :].sum()) for row, count in zip(picked, shared, strict=True)]
        cache = out[CACHE]
        repeats = rows.bincount(minlength=len(ids))
        if len(repeats.unique()) == 1:
            cache.batch_repeat_interleave(int(repeats[0]))
        else:
            cache.batch_select_indices(rows.to(device))  # copies too
        first = out.logits[:, -1].float().log_softmax(-1)[rows.to(device)]  # [R, V]
        picked = first.gather(1, suffix[:, :1].to(device))
        if suffix.shape[1] == 1:
            return picked.cpu(), of_shared
        places = mask.sum(1)[rows, None] + torch.arange(suffix.shape[1] - 1)
        logits = self.model(
            input_ids=suffix[:, :-1].to(device),
            attention_mask=torch.cat([mask[rows], suffix_mask[:, :-1]], dim=1).to(device),
            position_ids=places.to(device),
            cache=cache,
            use_cache=True,
        ).logits
        return torch.cat([picked, _picked(logits, suffix[:, 1:].to(device))], dim=1).cpu(), of_shared

    def _without_cache(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor,
        suffix: torch.Tensor,
        suffix_mask: torch.Tensor,
        rows: torch.Tensor,
        tokens: Mapping[str, torch.Tensor] | None,
    ) -> torch.Tensor:
        device = self.model.device
        if tokens is not None:
            photos = torch.arange(len(next(iter(tokens.values())))).view(len(ids), -1)[rows].flatten()
            tokens = {group: values[photos] for group, values in tokens.items()}
        whole = torch.cat([mask[rows], suffix_mask], dim=1)
        logits = self.model(
            input_ids=torch.cat([ids[rows], suffix], dim=1).to(device),
            attention_mask=whole.to(device),
            position_ids=_positions(whole).to(device),
            use_cache=False,
            logits_to_keep=suffix.shape[1] + 1,
            **self._photos(tokens),
        ).logits
        return _picked(logits[:, :-1], suffix.to(device)).cpu()

    def _photos(self, tokens: Mapping[str, torch.Tensor] | None) -> dict[str, Any]:
        if tokens is None:
            return {}
        placed = {group: values.to(self.model.device) for group, values in tokens.items()}
        return {"mm_encoder_outputs": {"image": image_features(placed)}}


def answer_items(
    items: Sequence[PretextItem],
    scores: Sequence[Mapping[str, TargetTextScore]],
    blind: Sequence[Mapping[str, TargetTextScore]],
    scoring: Scoring = "pmi",
) -> list[Answer]:
    """What the scores choose in every question of every item.

    Args:
        items, scores, blind: of each other; `blind` is used by "pmi" alone.
        scoring: one of [`SCORINGS`]. "over_photos" leaves out questions whose texts are asked of too few photos.

    Raises:
        ValueError: another scoring.
    """
    if scoring not in SCORINGS:
        raise ValueError(f"There is no scoring {scoring!r}; choose one of {', '.join(SCORINGS)}.")
    usual: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for item, found in zip(items, scores, strict=True):
        for target_text, score in found.items():
            usual[item.pretext_sample.level, item.pretext_sample.question, target_text].append(score.total)
    answers = []
    for item, found, without in zip(items, scores, blind, strict=True):
        keys = {
            target_text: (item.pretext_sample.level, item.pretext_sample.question, target_text)
            for target_text in item.target_texts
        }
        if scoring == "total":
            values = {target_text: found[target_text].total for target_text in item.target_texts}
        elif scoring == "per_token":
            values = {target_text: found[target_text].total / found[target_text].tokens for target_text in item.target_texts}
        elif scoring == "pmi":
            values = {target_text: found[target_text].total - without[target_text].total for target_text in item.target_texts}
        else:
            values = {
                target_text: found[target_text].total - float(np.mean(usual[keys[target_text]]))
                for target_text in item.target_texts
            }
        for choice in item.choices:
            counted = min(len(usual[keys[target_text]]) for target_texts in choice.target_texts for target_text in target_texts)
            if scoring != "over_photos" or counted >= FEWEST_PHOTOS:
                answers.append(
                    choose(
                        item,
                        choice,
                        [max(values[target_text] for target_text in target_texts) for target_texts in choice.target_texts],
                    )
                )
    return answers


def choose(item: PretextItem, choice: Choice, values: Sequence[float]) -> Answer:
    """The best option; for bins also the one expected from all."""
    array = np.array(values)
    expected = None
    if choice.aspect == "bin":
        shares = np.exp(array - array.max())
        expected = float(shares @ np.arange(len(array)) / shares.sum())
    pretext_sample = item.pretext_sample
    # how strong is asked of both amounts together: of one alone, always saying the same would be right
    amount = None if choice.aspect == "strength" else item.amount
    return Answer(
        pretext_sample.level,
        pretext_sample.subject,
        choice.aspect,
        amount,
        int(array.argmax()),
        choice.answer,
        choice.chance,
        expected,
    )


def _batches(order: Sequence[int], groups: Sequence[str], size: int) -> list[list[int]]:
    """Consecutive numbers of one group, at most `size` together."""
    batches: list[list[int]] = []
    for number in order:
        if batches and len(batches[-1]) < size and groups[batches[-1][0]] == groups[number]:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches


def _positions(mask: torch.Tensor) -> torch.Tensor:
    return (mask.cumsum(1) - 1).clamp(min=0)


def _picked(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """[R, C, V], [R, C] -> log-probabilities [R, C]; row by row, because vocabularies are large."""
    return torch.stack(
        [row.float().log_softmax(-1).gather(1, wanted[:, None])[:, 0] for row, wanted in zip(logits, ids, strict=True)]
    )
