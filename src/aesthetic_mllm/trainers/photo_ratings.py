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


class FirstPhotos(Sequence[Any]):
    """The first photo of each row, read when it is asked for.

    Args:
        rows: a data set with a column `images` or `image`.
    """

    def __init__(self, rows: Any):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: Any) -> Any:
        row = self.rows[number]
        return photo_source(row["image"] if "image" in row else row["images"][0])


def undecoded(rows: Any) -> Any:
    """Rows whose photos stay file names, where they are files: this package reads them faster, and its errors name them.

    Args:
        rows: a data set; returned as it is where its photos are not columns `images` or `image` of files.
    """
    if not isinstance(rows, Dataset) or not len(rows):
        return rows
    for column, feature in (("images", List(Image(decode=False))), ("image", Image(decode=False))):
        if rows.features.get(column) in (List(Image()), Image()):
            (first,) = rows.select([0]).select_columns([column]).with_format("arrow")[:][column].to_pylist()
            photos = first if isinstance(first, list) else [first]
            if all(photo and photo["bytes"] is None for photo in photos):
                rows = rows.cast_column(column, feature)
    return rows


def distinct_photos(datasets: Sequence[Any], most: int) -> list[str | bytes]:
    """The first photo of each row, each file once: paths, or bytes where the data set holds them.

    Args:
        datasets: with a column `images` or `image`; those that are streamed or hold none are passed over.
        most: how many photos at most.
    """
    found: dict[Any, str | bytes] = {}
    for rows in datasets:
        column = next((name for name in ("images", "image") if isinstance(rows, Dataset) and name in rows.column_names), None)
        if column is None:
            continue
        stored = rows.select_columns([column]).with_format("arrow")
        for start in range(0, len(rows), 50):  # few at a time: they may hold bytes
            for cell in stored[start : start + 50][column].to_pylist():
                image = cell[0] if isinstance(cell, list) and cell else cell
                if image and len(found) < most:
                    source = photo_source(image)
                    found.setdefault(hashlib.sha256(source).digest() if isinstance(source, bytes) else source, source)
            if len(found) == most:
                break
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
