"""Batches of ratings and of words about photos for [`AestheticSFTTrainer`]."""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ..data.conversations import user_says
from ..pretext.photo_pool import photo_source
from ..processing.image_loading import load_image
from .augmentation import random_aspect_crop
from .prompt_packing import IGNORED, PackedPrompt, pack_prompt, pad_left

NOT_RANKED = -1


class AestheticSFTCollator:
    """Turns rows into model inputs, labels and soft targets.

    Rows are TRL's conversational ones: `images` (or `image`, one photo) with `prompt` and `completion`, or with `messages`, all
    of whose assistant's turns are learned. Beside them a row that asks for a rating has

    - `question`, a key of the rating scale, which words the prompt; `prompt` and `completion`, for trainers that learn words
      alone, may be missing;
    - `mean` and `std`, in the scale's range; `std` may be `None`;
    - `group`, an integer from 0: only photos of one group are ranked against each other. Missing or -1: not ranked.

    A rating row ends where the level word is predicted. It has no next-token loss: the words around a level word are the same for
    every photo, so they teach nothing about photos.

    A photo is a path, bytes, a `PIL.Image.Image`, or a dictionary of `path` and `bytes`, as data sets store it.

    Args:
        processor: the checkpoint's [`AestheticMLLMProcessor`].
        augment: crop the photos of ratings to random shapes. Words may tell of what is at the edge, so theirs are left whole.
        load_pixels: rows -> `pixel_values` and `image_sizes`; default reads the photos. A recipe that caches the tower's
            features passes its own.
        group_dropout: share of batches, 0 to 1, whose photos come with only some groups of visual tokens, any subset being as
            likely as any other. Without it a language model learns to read whichever group is easiest, and overlooks the rest.
        seed: of the crops and of the groups kept.
    """

    def __init__(
        self,
        processor: Any,
        augment: bool = True,
        load_pixels: Callable[[Sequence[Mapping[str, Any]]], dict[str, torch.Tensor]] | None = None,
        group_dropout: float = 0.0,
        seed: int = 0,
    ):
        self.processor = processor
        self.augment = augment
        self.load_pixels = load_pixels or self._load_pixels
        self.group_dropout = group_dropout
        groups = [group for group, count in processor.num_group_tokens.items() if count]
        self.whole = tuple(groups)
        self.subsets = [subset for size in range(1, len(groups)) for subset in itertools.combinations(groups, size)]
        self.rng = random.Random(seed)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Batch with `input_ids`, `attention_mask`, `labels` [B, L] (-100: prompt, padding, all of a rating row), the photos, and
        `level_targets` [B, levels] (zeros: no rating), `level_positions` [B] (where the level word is predicted; -1: no rating),
        `mean_targets` [B], `rank_groups` [B] (-1: not ranked); where groups are dropped also `image_layouts` [N, 4]."""
        scale = self.processor.rating_scale
        groups = self.rng.choice(self.subsets) if self.rng.random() < self.group_dropout else self.whole
        samples = [self._sample(row, groups) for row in rows]
        input_ids, attention_mask = pad_left([sample.ids for sample in samples], self.processor.tokenizer.pad_token_id)
        labels, _ = pad_left([sample.labels for sample in samples], IGNORED)
        length = labels.shape[1]
        positions = [
            -1 if sample.rating_position is None else length - len(sample.ids) + sample.rating_position for sample in samples
        ]
        batch = {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
        if groups != self.whole:
            photos = sum(len(_images(row)) for row in rows)
            batch["image_layouts"] = torch.tensor([self.processor.image_layout(groups)] * photos)
        rated = [position >= 0 for position in positions]
        none = [0.0] * len(scale.level_words)
        return batch | {
            "level_targets": torch.tensor(
                [
                    scale.level_distribution(row["mean"], row.get("std")) if asked else none
                    for row, asked in zip(rows, rated, strict=True)
                ]
            ),
            "level_positions": torch.tensor(positions),
            # words have no rating: a value that nobody reads
            "mean_targets": torch.tensor(
                [row["mean"] if asked else scale.score_range[0] for row, asked in zip(rows, rated, strict=True)]
            ),
            "rank_groups": torch.tensor([_group(row) if asked else NOT_RANKED for row, asked in zip(rows, rated, strict=True)]),
            **self.load_pixels(rows),
        }

    def _sample(self, row: Mapping[str, Any], groups: tuple[str, ...]) -> PackedPrompt:
        """A row's tokens; photos come with these groups of tokens."""
        photos = len(_images(row))
        if row.get("question"):
            asked = self.processor.rating_scale.question(row["question"])
            if row.get("mean") is None:
                raise ValueError(f"A row asks {row['question']!r}, but has no mean; give the rating, or take the question out.")
            _check_wording(row, asked.prompt)
            return pack_prompt(self.processor, [user_says(asked.prompt)], photos, groups, stem=asked.stem)
        prompt, completion = (row.get(name) or [] for name in ("prompt", "completion"))
        messages = row.get("messages") or [*prompt, *completion]
        if not messages or not all(isinstance(message, Mapping) for message in messages):
            raise ValueError(
                f"A row has {', '.join(sorted(row))}; to learn from it, it needs conversational messages, or prompt and "
                'completion such as [{"role": "user", "content": "..."}], or a question of the rating scale with mean.'
            )
        return pack_prompt(self.processor, messages, photos, groups, context=len(prompt) if completion else 0)

    def _load_pixels(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        photos = []
        for row in rows:
            for image in _images(row):
                photo = load_image(photo_source(image))
                photos.append(random_aspect_crop(photo, self.rng) if self.augment and row.get("question") else photo)
        return dict(self.processor.image_processor(photos, return_tensors="pt")) if photos else {}


def _images(row: Mapping[str, Any]) -> Sequence[Any]:
    if row.get("image") is not None:
        return [row["image"]]
    return row.get("images") or []


def _group(row: Mapping[str, Any]) -> int:
    group = row.get("group")
    return NOT_RANKED if group is None else int(group)


def _check_wording(row: Mapping[str, Any], wanted: str) -> None:
    """A prompt that asks otherwise than the checkpoint would teach what nobody asks later."""
    if not row.get("prompt"):
        return
    last = row["prompt"][-1] if isinstance(row["prompt"], list) else {"content": row["prompt"]}
    content = last["content"]
    asked = content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
    if asked != wanted:
        raise ValueError(
            f"A row's prompt is {asked!r}, but the checkpoint asks its question {row['question']!r} as {wanted!r}. "
            "Leave prompt and completion out of rows with a question; the checkpoint words them."
        )
