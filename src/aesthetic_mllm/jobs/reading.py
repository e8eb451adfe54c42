"""Photos read ahead of the model, in threads or in processes of their own."""

import hashlib
import io
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from typing import NamedTuple

from PIL import ExifTags, Image

from ..processing.image_formats import quiet_pillow
from ..processing.image_loading import ImageError
from ..processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from .job_error import JobError
from .sources import Item


class PhotoFacts(NamedTuple):
    """What a row says of a photo beside its ratings.

    Args:
        key, name: as of [`Item`].
        sha256: of the file; `None` where it cannot be opened.
        taken: when, in the camera's time, as EXIF says; `None` where it does not.
    """

    key: str
    name: str | None
    sha256: str | None
    taken: datetime | None


class ReadItem(NamedTuple):
    """A photo that was read.

    Args:
        facts: which it is.
        photo: the upright image, or what is wrong with it.
    """

    facts: PhotoFacts
    photo: Image.Image | ImageError


def read_item(item: Item, image_processor: AestheticMLLMImageProcessor) -> ReadItem:
    """Reads one photo."""
    sha256 = file_digest(item.photo)
    try:
        photo: Image.Image | ImageError = image_processor.read(item.photo)
    except ImageError as error:
        photo = type(error)(error.source, error.reason)  # without frames, which hold pixels
    taken = None if sha256 is None else date_taken(item.photo)
    return ReadItem(PhotoFacts(item.key, item.name, sha256, taken), photo)


def date_taken(photo: str | bytes) -> datetime | None:
    """When a photo was taken by its EXIF data, whatever is wrong with the rest of it."""
    try:
        with quiet_pillow(), Image.open(io.BytesIO(photo) if isinstance(photo, bytes) else photo) as image:
            exif = image.getexif()
            said = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
        return datetime.strptime(str(said).strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S")
    except Exception:  # decoders of broken files raise anything
        return None


def file_digest(photo: str | bytes) -> str | None:
    """The SHA-256 of a file; `None` where it cannot be opened."""
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
