"""Ratings of data sets' photos by the model that a trainer holds, shared among its processes."""

from collections.abc import Sequence
from typing import Any

from accelerate.utils import gather_object
from datasets import Dataset, Image, List

from ..inference.assessor import AestheticAssessor
from ..pretext.photo_pool import photo_source


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


def rate_photos(trainer: Any, photos: Sequence[Any], question: str | None) -> list[float]:
    """Mean ratings of photos by a trainer's model, whose mode is left as it was; all processes must call it.

    Args:
        trainer: of an [`AestheticMLLMForConditionalGeneration`], adapted or not.
        photos: paths, bytes or Pillow images.
        question: of the checkpoint's; default its first.
    """
    model, index, count = trainer.model, trainer.accelerator.process_index, trainer.accelerator.num_processes
    was_training = model.training
    model.eval()
    assessor = AestheticAssessor(trainer.accelerator.unwrap_model(model), trainer.processing_class)
    own = range(index, len(photos), count)
    ratings = assessor.score_stream(
        (photos[number] for number in own), question, batch_size=trainer.args.per_device_eval_batch_size
    )
    found = [(number, rating.mean) for number, rating in zip(own, ratings, strict=True)]
    model.train(was_training)
    return [mean for _, mean in sorted(gather_object(found))]
