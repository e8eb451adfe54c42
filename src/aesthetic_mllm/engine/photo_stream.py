"""Photos in, results out, in order: reading in threads, batches, errors in their places."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeVar

import torch

from ..processing.image_loading import ImageError, ImageSource

OnError = Literal["raise", "return"]
Photo = TypeVar("Photo")
Result = TypeVar("Result")


def stream_photos(
    images: Iterable[ImageSource | ImageError],
    read: Callable[[ImageSource], Photo],
    judge: Callable[[list[Photo]], list[Result]],
    *,
    read_ahead: bool,
    on_error: OnError,
    batch_size: int,
) -> Iterator[Result | ImageError]:
    """Reads photos in threads, judges the readable ones batch by batch, keeps the order.

    Args:
        images: photos; an error stands for one that somebody else could not read.
        read: of one photo, run in a thread; may raise `ImageError`.
        judge: of a batch, one result for each of its photos.
        read_ahead: whether the next batch is read while one is judged. Beside another device it should be. On a CPU it should
            not: both want all cores, and threads of the model that wait for each other lose more than is gained.
        on_error: `"raise"` the first photo's `ImageError`, or `"return"` it in the photo's place.
        batch_size: the most photos that are judged together.

    Raises:
        ValueError: another `on_error`, or a batch size below 1; when the first result is asked for.
    """
    if on_error not in ("raise", "return"):
        raise ValueError(f"on_error must be 'raise' or 'return', got {on_error!r}.")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    source = iter(images)

    def try_reading(image: ImageSource | ImageError) -> Photo | ImageError:
        if isinstance(image, ImageError):
            return image
        try:
            return read(image)
        except ImageError as error:
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)  # whose frames hold pixels, and many errors may be kept

    with ThreadPoolExecutor(max_workers=torch.get_num_threads(), thread_name_prefix="photo-reader") as readers:

        def start_reading() -> list[Future[Photo | ImageError]]:
            return [readers.submit(try_reading, image) for image in itertools.islice(source, batch_size)]

        reading = start_reading()
        while reading:
            photos = [photo.result() for photo in reading]
            if read_ahead:
                reading = start_reading()
            good = [photo for photo in photos if not isinstance(photo, ImageError)]
            results = iter(judge(good) if good else [])
            for photo in photos:
                if isinstance(photo, ImageError):
                    if on_error == "raise":
                        raise photo
                    yield photo
                else:
                    yield next(results)
            if not read_ahead:
                reading = start_reading()
