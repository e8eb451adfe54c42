"""Batches of ratings and of words about photos for [`AestheticSFTTrainer`]."""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ..pretext.photo_pool import photo_source
from ..processing.image_loading import load_image
from .augmentation import random_aspect_crop

NOT_RANKED = -1


class AestheticSFTCollator:
    """Turns rows into model inputs, labels and soft targets.

    A row asks for a rating, for words, or for a number as text:

    - rating: `images` (one photo), `question` (a key of the rating scale), `mean` and `std` (in the scale's range; `std` may be
      `None`), `group` (an integer from 0; only photos of one group are ranked against each other);
    - words: `images` (any number, all shown before the prompt), `prompt`, `answer`, and no `question`.

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
        self.tokens: dict[tuple[str, int, tuple[str, ...]], list[int]] = {}

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Batch with `input_ids`, `attention_mask`, `labels` [B, L] (-100: prompt, padding, all of a rating row), the photos, and
        `level_targets` [B, levels] (zeros: no rating), `level_positions` [B] (where the level word is predicted; -1: no rating),
        `mean_targets` [B], `rank_groups` [B] (-1: not ranked); where groups are dropped also `image_layouts` [N, 4]."""
        scale = self.processor.rating_scale
        groups = self.rng.choice(self.subsets) if self.rng.random() < self.group_dropout else self.whole
        samples = [self._sample(row, groups) for row in rows]
        length = max(len(ids) for ids, _, _ in samples)
        pad = self.processor.tokenizer.pad_token_id
        batch = {
            "input_ids": torch.full((len(rows), length), pad),
            "attention_mask": torch.zeros(len(rows), length, dtype=torch.long),
            "labels": torch.full((len(rows), length), -100),
        }
        positions = []
        for index, (ids, labels, position) in enumerate(samples):
            start = length - len(ids)
            batch["input_ids"][index, start:] = torch.tensor(ids)
            batch["attention_mask"][index, start:] = 1
            batch["labels"][index, start:] = torch.tensor(labels)
            positions.append(-1 if position is None else start + position)
        if groups != self.whole:
            photos = sum(len(row["images"]) for row in rows)
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
            "rank_groups": torch.tensor([row["group"] if asked else NOT_RANKED for row, asked in zip(rows, rated, strict=True)]),
            **self.load_pixels(rows),
        }

    def _sample(self, row: Mapping[str, Any], groups: tuple[str, ...]) -> tuple[list[int], list[int], int | None]:
        """Token ids, labels, and the position that predicts the level word; photos come with these groups of tokens."""
        scale = self.processor.rating_scale
        if not row.get("question"):
            prompt = self._prompt(row["prompt"], len(row["images"]), groups)
            answer = self._plain(row["answer"] + self.processor.tokenizer.eos_token)
            return prompt + answer, [-100] * len(prompt) + answer, None
        asked = scale.question(row["question"])
        prompt = self._prompt(asked.prompt, len(row["images"]), groups)
        ids = prompt + self._plain(asked.stem)
        return ids, [-100] * len(ids), len(ids) - 1

    def _prompt(self, text: str, photos: int, groups: tuple[str, ...]) -> list[int]:
        """Token ids of a prompt with its photos' placeholders, as many as these groups have tokens."""
        key = (text, photos, groups)
        if key not in self.tokens:
            placeholders = self.processor.image_placeholders(groups) * photos
            prompt = self.processor.assistant_prompt(text)
            self.tokens[key] = self._plain(prompt.replace(self.processor.image_token, placeholders))
        return self.tokens[key]

    def _plain(self, text: str) -> list[int]:
        return self.processor.tokenizer.encode(text, add_special_tokens=False)

    def _load_pixels(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        photos = []
        for row in rows:
            for image in row["images"]:
                photo = load_image(photo_source(image))
                photos.append(random_aspect_crop(photo, self.rng) if self.augment and row.get("question") else photo)
        return dict(self.processor.image_processor(photos, return_tensors="pt"))
