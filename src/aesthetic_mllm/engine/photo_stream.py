"""Photos in, results out, in order: reading in threads, batches, errors in their places."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import torch
from PIL import Image

from ..editing.claims.photo_evidence import PhotoEvidence
from ..processing.image_loading import ImageError, ImageSource, is_photo
from ..processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor

OneOrMany = ImageSource | Iterable[ImageSource]
OnError = Literal["raise", "return"]
Photo = TypeVar("Photo")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ReadPhoto:
    """A photo as the model takes it, [1, 3, H, W] and [1, 2], and its image and evidence where these are still needed."""

    pixel_values: torch.Tensor
    image_sizes: torch.Tensor
    image: Image.Image | None = None
    evidence: PhotoEvidence | None = None


def read_photo(
    image_processor: AestheticMLLMImageProcessor,
    source: ImageSource,
    keep_image: bool = False,
    cuts: Mapping[str, Sequence[float]] | None = None,
) -> ReadPhoto:
    """Reads a photo once.

    Args:
        cuts: the processor's `measurement_cuts`, where the photo's evidence is wanted; it holds a small copy of the photo.

    Raises:
        ImageError: it cannot be read or judged.
    """
    image = image_processor.read(source)
    pixels = image_processor(image, return_tensors="pt")
    evidence = None if cuts is None else PhotoEvidence(image, cuts)
    return ReadPhoto(pixels["pixel_values"], pixels["image_sizes"], image if keep_image else None, evidence)


def batch_photos(photos: Sequence[ReadPhoto], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels [N, 3, H, W] and sizes [N, 2] of N photos on a device."""
    pixel_values = torch.cat([photo.pixel_values for photo in photos]).to(device)
    return pixel_values, torch.cat([photo.image_sizes for photo in photos]).to(device)


def map_single_or_batch(images: OneOrMany, stream: Callable[[Iterable[ImageSource]], Iterator[Any]]) -> Any:
    """One photo's result, or the list of many photos' results."""
    results = stream(as_photos(images))
    return next(results) if is_photo(images) else list(results)


def as_photos(images: OneOrMany) -> Iterable[ImageSource]:
    """One photo as a list of it; many as they are. An array of four dimensions is many."""
    return cast(Iterable[ImageSource], [images] if is_photo(images) else images)


def stream_photos(
    images: Iterable[ImageSource],
    read: Callable[[ImageSource], Photo],
    judge: Callable[[list[Photo]], list[Result]],
    *,
    read_ahead: bool,
    on_error: OnError,
    batch_size: int,
) -> Iterator[Result | ImageError]:
    """Reads photos in threads, judges the readable ones batch by batch, keeps the order.

    Args:
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

    def try_reading(image: ImageSource) -> Photo | ImageError:
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
