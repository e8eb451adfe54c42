"""Teachers: what a photo shows, in plain words, as a classifier or a zero-shot pipeline sees it.

The paper's high-level pseudo-labels come from such teachers; which ones is our choice.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image

from ..processing.image_loading import ImageError
from .photo_pool import photo_source
from .pretext_dataset import load_photo

logger = logging.getLogger(__name__)

# What photos are commonly of, and in what mood: candidates for a zero-shot teacher. All continue "a photo of".
CONTENT_LABELS = (
    "a mountain landscape", "a forest", "a beach", "a lake", "a river", "a waterfall", "the open sea", "a desert", "a field",
    "a garden", "a flower", "a tree", "a snowy landscape", "the night sky", "a sunset", "a cloudy sky", "a stormy sky", "fog",
    "a city skyline", "a street", "a building", "a church", "a castle", "a bridge", "an interior", "a ruin", "a harbour",
    "a portrait of a person", "a group of people", "a child", "a crowd", "a wedding", "a concert", "a sports event",
    "a dog", "a cat", "a bird", "a horse", "an insect", "a wild animal", "a fish", "food", "a drink", "a still life",
    "a car", "a train", "a boat", "an airplane", "a bicycle", "a machine", "an abstract pattern", "a document", "a night scene",
    "a cheerful scene", "a melancholy scene", "a peaceful scene", "a dramatic scene", "a lonely scene", "a festive scene",
)  # fmt: skip
CLASSIFIER_CONFIDENCE = 0.4
# A zero-shot teacher's confidence is spread over near synonyms.
ZERO_SHOT_CONFIDENCE = 0.3

# Words that begin with a vowel but not with its sound, and the reverse.
_CONSONANT_SOUNDS = ("eu", "one", "uni", "use", "uk")
_VOWEL_SOUNDS = ("hour", "honest", "honour")


class TeacherError(ValueError):
    """A teacher that cannot teach, or a file of contents that is none."""


class Teacher(Protocol):
    """Says of each photo what it shows, or `None` where it is not sure."""

    def __call__(self, photos: Sequence[Image.Image]) -> list[str | None]: ...


class ClassifierTeacher:
    """A classifier, such as the one that a vision tower was trained with.

    Args:
        classify: photos to logits [N, C].
        labels: what each of the C classes is, in words that continue "a photo of". Classes of one label count as one class,
            so that a photo of some dog is "a dog" even where its breed is doubtful.
        least_confidence: the least probability, 0 to 1, with which a label is given.

    Raises:
        TeacherError: no labels, or a confidence outside 0 to 1.
    """

    def __init__(
        self,
        classify: Callable[[Sequence[Image.Image]], torch.Tensor],
        labels: Sequence[str],
        least_confidence: float = CLASSIFIER_CONFIDENCE,
    ):
        _check(labels, least_confidence)
        self.classify, self.least_confidence = classify, least_confidence
        self.labels = list(dict.fromkeys(labels))
        numbers = {label: number for number, label in enumerate(self.labels)}
        self._merged = torch.tensor([numbers[label] for label in labels])

    @classmethod
    def from_model(cls, model: Any, image_processor: Any, least_confidence: float = CLASSIFIER_CONFIDENCE) -> "ClassifierTeacher":
        """Of a transformers image classification model, its image processor, and the names in its configuration."""
        names = [model.config.id2label[number] for number in range(model.config.num_labels)]

        @torch.inference_mode()
        def classify(photos: Sequence[Image.Image]) -> torch.Tensor:
            inputs = image_processor(list(photos), return_tensors="pt").to(model.device)
            return model(**inputs).logits

        # ImageNet's names come with synonyms after a comma.
        return cls(classify, [with_article(name.split(",")[0].strip()) for name in names], least_confidence)

    def __call__(self, photos: Sequence[Image.Image]) -> list[str | None]:
        """Raises `TeacherError` where the logits do not fit the labels."""
        return [label if share >= self.least_confidence else None for label, share in self.likeliest(photos)]

    def likeliest(self, photos: Sequence[Image.Image]) -> list[tuple[str, float]]:
        """The likeliest label of each photo and its probability, however low.

        Raises:
            TeacherError: the logits do not fit the labels.
        """
        logits = self.classify(photos)
        wanted = (len(photos), len(self._merged))
        if tuple(logits.shape) != wanted:
            raise TeacherError(f"The classifier gave logits of shape {tuple(logits.shape)}, not {wanted}; are all labels named?")
        shares = logits.float().softmax(-1).cpu()
        merged = torch.zeros(len(photos), len(self.labels)).index_add_(1, self._merged, shares)
        best = merged.max(-1)
        return [(self.labels[number], share) for share, number in zip(best.values.tolist(), best.indices.tolist(), strict=True)]


class ZeroShotTeacher:
    """Any transformers `zero-shot-image-classification` pipeline.

    Args:
        pipeline: as of `transformers.pipeline("zero-shot-image-classification", model=...)`.
        labels: the candidates, in words that continue "a photo of".
        least_confidence: the least score, 0 to 1, with which a label is given.
        template: how the pipeline words a candidate.

    Raises:
        TeacherError: no labels, or a confidence outside 0 to 1.
    """

    def __init__(
        self,
        pipeline: Callable[..., Any],
        labels: Sequence[str] = CONTENT_LABELS,
        least_confidence: float = ZERO_SHOT_CONFIDENCE,
        template: str = "This is a photo of {}.",
    ):
        _check(labels, least_confidence)
        self.pipeline, self.labels = pipeline, list(labels)
        self.least_confidence, self.template = least_confidence, template

    def __call__(self, photos: Sequence[Image.Image]) -> list[str | None]:
        answers = self.pipeline(
            list(photos), candidate_labels=self.labels, hypothesis_template=self.template, batch_size=len(photos)
        )
        best = [max(answer, key=lambda row: row["score"]) for answer in answers]
        return [row["label"] if row["score"] >= self.least_confidence else None for row in best]


def label_pool(pool: Iterable[Mapping[str, Any]], teacher: Teacher, batch_size: int = 16) -> dict[str, str]:
    """What a teacher sees in a pool's photos, by key; photos that it is unsure of are left out.

    Photos that cannot be read, or that the teacher refuses, are left out too and named in the log.

    Args:
        pool: rows of `POOL_FEATURES`, as of `open_pool`.

    Raises:
        TeacherError: the teacher answers for more or fewer photos than it was shown.
    """
    contents: dict[str, str] = {}
    batch: dict[str, Image.Image] = {}
    for row in pool:
        try:
            batch[row["key"]] = load_photo(photo_source(row["image"]))
        except ImageError as error:
            logger.warning("%s has no label: %s", row["key"], error)
        if len(batch) == batch_size:
            contents |= _labels(batch, teacher)
            batch = {}
    return contents | _labels(batch, teacher)


def save_contents(contents: Mapping[str, str], path: str | Path) -> None:
    """As a JSON object, key to label."""
    Path(path).write_text(json.dumps(dict(contents), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_contents(path: str | Path) -> dict[str, str]:
    """What `save_contents` wrote.

    Raises:
        TeacherError: the file is no JSON object of labels.
    """
    try:
        contents = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TeacherError(f"{path}: not a readable JSON file ({error}).") from error
    if not isinstance(contents, dict):
        raise TeacherError(f"{path}: holds a {type(contents).__name__}, not an object of photo keys and labels.")
    wrong = next((key for key, label in contents.items() if not isinstance(label, str) or not label), None)
    if wrong is not None:
        raise TeacherError(f"{path}: the label of {wrong!r} is {contents[wrong]!r}, not words; take the entry out.")
    return contents


def with_article(noun: str) -> str:
    """A singular noun that can be counted with "a" or "an", by its first letters."""
    start = noun.lower()
    vowel = start.startswith(_VOWEL_SOUNDS) or (start[:1] in "aeiou" and not start.startswith(_CONSONANT_SOUNDS))
    return f"{'an' if vowel else 'a'} {noun}"


def _labels(batch: Mapping[str, Image.Image], teacher: Teacher) -> dict[str, str]:
    if not batch:
        return {}
    try:
        labels = teacher(list(batch.values()))
    except ImageError as error:
        if len(batch) == 1:
            logger.warning("%s has no label: %s", *batch, error)
            return {}
        # One photo that the teacher refuses must not cost the others their labels.
        found: dict[str, str] = {}
        for key, photo in batch.items():
            found |= _labels({key: photo}, teacher)
        return found
    if len(labels) != len(batch):
        raise TeacherError(f"The teacher gave {len(labels)} labels for {len(batch)} photos; it must give one (or None) for each.")
    return {key: label for key, label in zip(batch, labels, strict=True) if label is not None}


def _check(labels: Sequence[str], least_confidence: float) -> None:
    if not labels:
        raise TeacherError("A teacher needs labels, and none were given.")
    if not 0 <= least_confidence <= 1:
        raise TeacherError(f"least_confidence is {least_confidence}, which is no probability; choose one from 0 to 1.")
