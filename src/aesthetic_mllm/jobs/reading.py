"""Photos read ahead of the model, in threads or in processes of their own."""

import hashlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

from PIL import Image

from ..processing.image_loading import ImageError
from ..processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from .job_error import JobError
from .sources import Item


class ReadItem(NamedTuple):
    """A photo that was read.

    Args:
        item: which.
        sha256: of the file; `None` where it cannot be opened.
        photo: the upright image, or what is wrong with it.
    """

    item: Item
    sha256: str | None
    photo: Image.Image | ImageError


def read_item(item: Item, image_processor: AestheticMLLMImageProcessor) -> ReadItem:
    """Reads one photo."""
    sha256 = _sha256(item.photo)
    try:
        photo: Image.Image | ImageError = image_processor.read(item.photo)
    except ImageError as error:
        photo = type(error)(error.source, error.reason)  # without frames, which hold pixels
    return ReadItem(item, sha256, photo)


def _sha256(photo: str | bytes) -> str | None:
    if isinstance(photo, bytes):
        return hashlib.sha256(photo).hexdigest()
    try:
        with open(photo, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # told by whoever reads the photo
        return None


class Readers:
    """Reads photos in order, some ahead.

    Args:
        image_processor: the checkpoint's.
        workers: how many read at a time.
        processes: whether these are processes, which need a second each to start, and not threads.
        ahead: the most photos that are read before they are asked for.
        beside: whether the next ones are read while the model has the cores; else so many are read at a time, and then the model
            has them.
    """

    def __init__(self, image_processor: AestheticMLLMImageProcessor, *, workers: int, processes: bool, ahead: int, beside: bool):
        self.image_processor = image_processor
        self.ahead, self.beside = ahead, beside
        self._pool: Executor
        self._read: Callable[[Item], Future[ReadItem]]
        if processes:
            self._pool = ProcessPoolExecutor(
                workers,
                multiprocessing.get_context("spawn"),  # a process with threads is not to be forked
                initializer=_start_reader,
                initargs=(image_processor,),
            )
            self._read = lambda item: self._pool.submit(_read_in_process, item)
        else:
            self._pool = ThreadPoolExecutor(workers, thread_name_prefix="photo-reader")
            self._read = lambda item: self._pool.submit(read_item, item, image_processor)

    def read(self, items: Iterable[Item]) -> Iterator[ReadItem]:
        """The photos of items, in order.

        Raises:
            JobError: a reader process has died.
        """
        source = iter(items)
        reading: deque[Future[ReadItem]] = deque()
        try:
            while True:
                if self.beside or not reading:
                    while len(reading) < self.ahead and (item := next(source, None)) is not None:
                        reading.append(self._read(item))
                if not reading:
                    return
                yield reading.popleft().result()
        except BrokenProcessPool as error:
            raise JobError("a reader process has died, perhaps for want of memory; run again, with fewer --readers.") from error
        finally:
            for future in reading:
                future.cancel()

    def close(self) -> None:
        """Ends threads and processes."""
        self._pool.shutdown(cancel_futures=True)


_in_process: list[AestheticMLLMImageProcessor] = []


def _start_reader(image_processor: AestheticMLLMImageProcessor) -> None:
    import torch

    torch.set_num_threads(1)
    _in_process[:] = [image_processor]


def _read_in_process(item: Item) -> ReadItem:
    return read_item(item, _in_process[0])
