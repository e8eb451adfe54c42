"""Batches that are too large for a device's memory are judged in parts."""

import gc
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Photo = TypeVar("Photo")
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class WithinMemory:
    """Judges batches whole until memory runs out, and from then on in parts of half the size.

    Attributes:
        most: photos that are judged together; `None`: as many as are given.
    """

    def __init__(self) -> None:
        self.most: int | None = None

    def judge(self, judge: Callable[[list[Photo]], list[Result]], photos: Sequence[Photo]) -> list[Result]:
        """The results of all photos.

        Raises:
            torch.OutOfMemoryError: there is too little memory for one photo.
        """
        results: list[Result] = []
        while len(results) < len(photos):
            part = list(photos[len(results) :][: self.most])
            found = _judged(judge, part)
            if found is None:
                self.most = len(part) // 2
                logger.warning("Out of memory with %d photos together; going on with %d.", len(part), self.most)
                gc.collect()  # what was computed of the batch hangs in cycles of frames
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
            else:
                results += found
        return results


def _judged(judge: Callable[[list[Photo]], list[Result]], photos: list[Photo]) -> list[Result] | None:
    """The results; `None` where memory is too little for so many. The error, whose frames hold tensors, does not leave here."""
    try:
        return judge(photos)
    except torch.OutOfMemoryError:
        if len(photos) == 1:
            raise
        return None
