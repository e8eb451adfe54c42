"""Photos of data sets, and what the model that a trainer holds says of them, shared among its processes."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from accelerate.utils import gather_object
from datasets import Dataset, Image, List
from peft import PeftModel

from ..inference.assessor import AestheticAssessor
from ..pretext.photo_pool import photo_source

Answer = TypeVar("Answer")
COLUMNS = ("images", "image")  # of photos, as TRL knows them


class FirstPhotos(Sequence[Any]):
    """The first photo of each row, read when it is asked for: a path, or the bytes where the data set holds them.

    Asking for the photo of a row that has none is a `ValueError`; `find` gives `None`.

    Args:
        rows: a data set with a column `images` or `image`.
    """

    def __init__(self, rows: Dataset):
        (self.column,) = set(rows.column_names) & set(COLUMNS)
        self.stored = rows.select_columns([self.column]).with_format("arrow")  # photos are not decoded

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < len(self):
            raise IndexError(number)
        found = self.find(number)
        if found is None:
            raise ValueError(f"Row {number} of the data set has no photo in its column {self.column!r}.")
        return found

    def find(self, number: int) -> str | bytes | None:
        """The first photo of a row, or `None`: rows of text alone have none."""
        (cell,) = self.stored[number : number + 1][self.column].to_pylist()
        image = (cell[0] if cell else None) if isinstance(cell, list) else cell
        return None if image is None else photo_source(image)

    def found(self) -> Iterator[str | bytes]:
        """The photos that there are."""
        return (photo for photo in map(self.find, range(len(self))) if photo is not None)


def undecoded(rows: Any) -> Any:
    """Rows whose photos stay file names, where they are files: this package reads them faster, and its errors name them.

    Args:
        rows: a data set; returned as it is where its photos are not columns `images` or `image` of files.
    """
    if not isinstance(rows, Dataset) or not len(rows):
        return rows
    for column in COLUMNS:
        feature = rows.features.get(column)
        if feature in (List(Image()), Image()) and isinstance(next(FirstPhotos(rows).found(), None), str):
            rows = rows.cast_column(column, List(Image(decode=False)) if isinstance(feature, List) else Image(decode=False))
    return rows


def distinct_photos(datasets: Sequence[Any], most: int) -> list[str | bytes]:
    """The first photo of each row, each photo once, as of [`FirstPhotos`].

    Args:
        datasets: those that are streamed or hold no photos are passed over.
        most: how many photos at most.
    """
    found: dict[Any, str | bytes] = {}
    for rows in datasets:
        if isinstance(rows, Dataset) and set(rows.column_names) & set(COLUMNS):
            for source in FirstPhotos(rows).found():
                if len(found) == most:
                    break
                found.setdefault(hashlib.sha256(source).digest() if isinstance(source, bytes) else source, source)
    return list(found.values())


def read_photos(
    trainer: Any, photos: Sequence[Any], read: Callable[[AestheticAssessor, Iterator[Any]], Iterable[Answer]]
) -> list[Answer]:
    """What the scorer of inference says of photos by a trainer's model, whose mode is left as it was.

    All processes must call it. Each reads equally many photos, because processes that share a model's weights run in step.

    Args:
        trainer: of an [`AestheticMLLMForConditionalGeneration`], adapted or not.
        photos: paths, bytes or Pillow images.
        read: gives one answer for each photo.
    """
    model, index, count = trainer.model, trainer.accelerator.process_index, trainer.accelerator.num_processes
    was_training = model.training
    model.eval()
    whole = trainer.accelerator.unwrap_model(model)
    assessor = AestheticAssessor(whole.get_base_model() if isinstance(whole, PeftModel) else whole, trainer.processing_class)
    own = [number % len(photos) for number in range(index, math.ceil(len(photos) / count) * count, count)]
    answers = read(assessor, (photos[number] for number in own))
    found = dict(gather_object(list(zip(own, answers, strict=True))))
    model.train(was_training)
    return [found[number] for number in range(len(photos))]
