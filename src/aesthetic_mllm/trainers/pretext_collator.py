"""Batches of pretext samples for [`AestheticAlignmentTrainer`]."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

from ..data.conversations import assistant_says, user_says
from ..editing import EDITS
from ..editing.measurements import MEASUREMENTS
from ..pretext.phrase_bank import PhraseBank
from ..pretext.pretext_dataset import Sample
from ..pretext.pretext_samples import LEVELS
from .pretext_cache import CachedSample
from .prompt_packing import IGNORED, pack_prompt, pad_left

# A pretext sample of generic image-text pairs is answered from the thematic tokens.
PRETEXT_GROUPS = (*LEVELS, "thematic")
KINDS = ("measured", "altered", "content")


class PretextVocabulary:
    """The numbers that heads and losses know attributes, edits and contents by.

    Args:
        bank: whose attributes and edits are taught.
        contents: what a teacher may name; empty where there is none.
    """

    def __init__(self, bank: PhraseBank, contents: Sequence[str] = ()):
        self.attributes = {level: [name for name in bank.attributes if MEASUREMENTS[name].level == level] for level in LEVELS}
        self.edits = {level: [name for name in bank.edits if EDITS[name].level == level] for level in LEVELS}
        self.contents = list(contents)

    def subjects(self, level: str, kind: str) -> list[str]:
        """Attributes, edits or contents of a level, in the order of their numbers."""
        if kind == "measured":
            return self.attributes[level]
        if kind == "altered":
            return self.edits[level]
        return self.contents if level == "high" else []


class PretextCollator:
    """Turns samples of pretext samples into one batch.

    Prompts are padded on the left, so target texts end every row. Of each photo a row shows only the tokens of the pretext
    sample's own level.

    Args:
        processor: the checkpoint's [`AestheticMLLMProcessor`].
        vocabulary: numbers of the subjects.
    """

    def __init__(self, processor: Any, vocabulary: PretextVocabulary):
        self.processor = processor
        self.numbers = {
            (level, kind): {subject: number for number, subject in enumerate(vocabulary.subjects(level, kind))}
            for level in LEVELS
            for kind in KINDS
        }

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """A batch of B pretext samples with N photos.

        Returns:
            `input_ids`, `attention_mask`, `labels` [B, L] (-100: all but the target text and the end of the turn);
            `target_text_ids` and `target_text_mask` [B, C], the target text by itself; `pixel_values` [N, 3, H, W], `image_sizes`
            [N, 2] and `image_rows` [N], the row of each photo (of samples from a [`PretextCache`] instead of the pixels
            `feature_maps`, by group the [n, h, w, C] maps of those photos that show it); per row [B] `groups` (a number into
            [`PRETEXT_GROUPS`]), `kinds` (into [`KINDS`]), `subjects` (into the vocabulary; -1: none), `bins` (-1: not measured),
            `strengths` (0: not altered) and `target_text_labels` (equal: the same meaning); and `unreadable`, the keys of photos
            that could not be read.
        """
        pretext_samples = [sample.pretext_sample for sample in samples]
        counts = [2 if pretext_sample.kind == "altered" else 1 for pretext_sample in pretext_samples]  # photos
        tokenizer = self.processor.tokenizer
        target_texts = [
            tokenizer.encode(pretext_sample.target_text, add_special_tokens=False) for pretext_sample in pretext_samples
        ]
        packed = [
            pack_prompt(
                self.processor,
                [user_says(pretext_sample.question), assistant_says(pretext_sample.target_text)],
                count,
                (pretext_sample.level,),
            )
            for pretext_sample, count in zip(pretext_samples, counts, strict=True)
        ]
        pad = tokenizer.pad_token_id
        input_ids, attention_mask = pad_left([sample.ids for sample in packed], pad)
        labels, _ = pad_left([sample.labels for sample in packed], IGNORED)
        target_text_ids, target_text_mask = pad_left(target_texts, pad)
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": labels,
            "target_text_ids": target_text_ids,
            "target_text_mask": target_text_mask,
            **self._photos(samples),
            "image_rows": torch.tensor([row for row, count in enumerate(counts) for _ in range(count)]),
            "groups": torch.tensor([PRETEXT_GROUPS.index(pretext_sample.level) for pretext_sample in pretext_samples]),
            "kinds": torch.tensor([KINDS.index(pretext_sample.kind) for pretext_sample in pretext_samples]),
            "subjects": torch.tensor([self._number(pretext_sample) for pretext_sample in pretext_samples]),
            "bins": torch.tensor(
                [-1 if pretext_sample.bin is None else pretext_sample.bin for pretext_sample in pretext_samples]
            ),
            "strengths": torch.tensor([pretext_sample.signed_strength or 0.0 for pretext_sample in pretext_samples]),
            "target_text_labels": torch.tensor([_label_number(pretext_sample.label) for pretext_sample in pretext_samples]),
            "unreadable": [key for sample in samples for key in sample.unreadable],
        }

    def _photos(self, samples: Sequence[Sample]) -> dict[str, Any]:
        if not isinstance(samples[0], CachedSample):
            images = [image for sample in samples for image in sample.pretext_sample.images]
            return dict(self.processor.image_processor(images, return_tensors="pt"))
        maps: dict[str, list[torch.Tensor]] = defaultdict(list)
        for sample in samples:
            maps[sample.pretext_sample.level].append(sample.feature_maps)
        return {
            "feature_maps": {group: torch.cat(parts) for group, parts in maps.items()},
            "image_sizes": torch.cat([sample.image_sizes for sample in samples]),
        }

    def _number(self, pretext_sample: Any) -> int:
        subject = pretext_sample.label.removeprefix("content:") if pretext_sample.kind == "content" else pretext_sample.subject
        return self.numbers.get((pretext_sample.level, pretext_sample.kind), {}).get(subject, -1)


def _label_number(label: str) -> int:
    """The same number for the same label in every process."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:7])
