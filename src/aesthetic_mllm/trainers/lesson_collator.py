"""Batches of lessons for [`AestheticAlignmentTrainer`], and the one form in which a lesson is asked."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

from ..editing import EDITS
from ..editing.measurements import MEASUREMENTS
from ..pretext.lesson_dataset import Sample
from ..pretext.lessons import LEVELS
from ..pretext.phrase_bank import PhraseBank
from .lesson_cache import SeenSample

# A lesson of generic image-text pairs is answered from the thematic tokens.
LESSON_GROUPS = (*LEVELS, "thematic")
KINDS = ("measured", "altered", "content")


def lesson_prompt(processor: Any, question: str, groups: Sequence[str], num_images: int) -> str:
    """The prompt of a lesson up to where the assistant's words begin; the answer is the cue and the end of the turn.

    Args:
        processor: the checkpoint's [`AestheticMLLMProcessor`].
        question: of the lesson.
        groups: the groups of visual tokens that each photo shows.
        num_images: photos before the question; 0 asks blindly.
    """
    prompt = processor.assistant_prompt(question)  # with one photo
    return prompt.replace(processor.image_token, processor.image_placeholders(groups) * num_images)


class LessonVocabulary:
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


class LessonCollator:
    """Turns samples of lessons into one batch.

    Prompts are padded on the left, so cues end every row. Of each photo a row shows only the tokens of the lesson's own level.

    Args:
        processor: the checkpoint's [`AestheticMLLMProcessor`].
        vocabulary: numbers of the subjects.
    """

    def __init__(self, processor: Any, vocabulary: LessonVocabulary):
        self.processor = processor
        self.numbers = {
            (level, kind): {subject: number for number, subject in enumerate(vocabulary.subjects(level, kind))}
            for level in LEVELS
            for kind in KINDS
        }

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """A batch of B lessons with N photos.

        Returns:
            `input_ids`, `attention_mask`, `labels` [B, L] (-100: all but the cue and the end of the turn); `cue_ids` and
            `cue_mask` [B, C], the cue by itself; `pixel_values` [N, 3, H, W], `image_sizes` [N, 2] and `image_rows` [N], the
            row of each photo (of samples from a [`LessonCache`] instead of the pixels `feature_maps`, by group the [n, h, w, C]
            maps of those photos that show it); per row [B] `groups` (a number into [`LESSON_GROUPS`]), `kinds` (into
            [`KINDS`]), `subjects` (into the vocabulary; -1: none), `bins` (-1: not measured), `strengths` (0: not altered) and
            `cue_labels` (equal: the same meaning); and `unreadable`, the keys of photos that could not be read.
        """
        lessons = [sample.lesson for sample in samples]
        counts = [2 if lesson.kind == "altered" else 1 for lesson in lessons]  # photos
        tokenizer = self.processor.tokenizer
        cues = [tokenizer.encode(lesson.cue, add_special_tokens=False) for lesson in lessons]
        answers = [[*cue, tokenizer.eos_token_id] for cue in cues]
        prompts = [
            tokenizer.encode(lesson_prompt(self.processor, lesson.question, (lesson.level,), count), add_special_tokens=False)
            for lesson, count in zip(lessons, counts, strict=True)
        ]
        pad = tokenizer.pad_token_id
        input_ids, attention_mask = pad_left([prompt + answer for prompt, answer in zip(prompts, answers, strict=True)], pad)
        labels, _ = pad_left([[-100] * len(prompt) + answer for prompt, answer in zip(prompts, answers, strict=True)], -100)
        cue_ids, cue_mask = pad_left(cues, pad)
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": labels,
            "cue_ids": cue_ids,
            "cue_mask": cue_mask,
            **self._photos(samples),
            "image_rows": torch.tensor([row for row, count in enumerate(counts) for _ in range(count)]),
            "groups": torch.tensor([LESSON_GROUPS.index(lesson.level) for lesson in lessons]),
            "kinds": torch.tensor([KINDS.index(lesson.kind) for lesson in lessons]),
            "subjects": torch.tensor([self._number(lesson) for lesson in lessons]),
            "bins": torch.tensor([-1 if lesson.bin is None else lesson.bin for lesson in lessons]),
            "strengths": torch.tensor([lesson.signed_strength or 0.0 for lesson in lessons]),
            "cue_labels": torch.tensor([_label_number(lesson.label) for lesson in lessons]),
            "unreadable": [key for sample in samples for key in sample.unreadable],
        }

    def _photos(self, samples: Sequence[Sample]) -> dict[str, Any]:
        if not isinstance(samples[0], SeenSample):
            images = [image for sample in samples for image in sample.lesson.images]
            return dict(self.processor.image_processor(images, return_tensors="pt"))
        maps: dict[str, list[torch.Tensor]] = defaultdict(list)
        for sample in samples:
            maps[sample.lesson.level].append(sample.feature_maps)
        return {
            "feature_maps": {group: torch.cat(parts) for group, parts in maps.items()},
            "image_sizes": torch.cat([sample.image_sizes for sample in samples]),
        }

    def _number(self, lesson: Any) -> int:
        subject = lesson.label.removeprefix("content:") if lesson.kind == "content" else lesson.subject
        return self.numbers.get((lesson.level, lesson.kind), {}).get(subject, -1)


def pad_left(rows: Sequence[Sequence[int]], fill: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of numbers as one tensor [B, L], and a mask [B, L], 0 where filled."""
    length = max(map(len, rows))
    padded = torch.tensor([[fill] * (length - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])
    return padded, mask


def _label_number(label: str) -> int:
    """The same number for the same label in every process."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:7])
