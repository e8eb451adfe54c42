"""The public face: photos in, ratings out."""

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import torch
from PIL import Image

from ..checkpoints import embedded_checkpoint
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..modeling.vision_tower import trim_canvas
from ..processing.image_loading import ImageError, ImageSource
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating

logger = logging.getLogger(__name__)

# Batches this size keep a tower's feature maps in a CPU's cache; larger ones are slower there (benchmarks/score.py).
DEFAULT_BATCH_SIZE = 8


@dataclass(frozen=True)
class PhotoEmbeddings:
    """One embedding a photo and group of visual tokens: float32 tensors [N, D] on the CPU, D the language model's width."""

    low: torch.Tensor
    middle: torch.Tensor
    high: torch.Tensor
    thematic: torch.Tensor


class AestheticAssessor:
    """Rates and embeds photos.

    Ratings do not depend on how photos are batched: in float32, alone or in any batch, within 1e-4 of the score range.

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`].
        processor: its [`AestheticMLLMProcessor`].
    """

    def __init__(self, model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor):
        self.model = model.eval()
        self.processor = processor
        self._prompts: dict[str, torch.Tensor] = {}

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        dtype: str | torch.dtype = "float32",
        device: str | torch.device | None = None,
        **kwargs: Any,
    ) -> "AestheticAssessor":
        """An assessor of a checkpoint.

        Args:
            model: folder or Hub id; default the checkpoint that ships inside the package.
            dtype: float32, or bfloat16 for speed at a tolerance of 1% of the score range.
            device: default the GPU where there is one, else the CPU.
            kwargs: for the model's `from_pretrained`.

        Raises:
            CheckpointError: the checkpoint does not fit the model.
            EmbeddedCheckpointError: the installation lacks the embedded checkpoint.
        """
        name = str(embedded_checkpoint() if model is None else model)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        loaded = AestheticMLLMForConditionalGeneration.from_pretrained(name, dtype=dtype, **kwargs)
        return cls(loaded.to(device), AestheticMLLMProcessor.from_pretrained(name))

    def score(
        self,
        images: ImageSource | Iterable[ImageSource],
        question: str | None = None,
        *,
        on_error: Literal["raise", "return"] = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Any:
        """Rates one photo or many.

        Args:
            images: a path, the bytes of a file, a Pillow image, or an iterable of them.
            question: `"aesthetic"` (the default) or `"quality"`, or what else the checkpoint answers.
            on_error: `"raise"` the first photo's [`ImageError`], or `"return"` it in the photo's place.
            batch_size: photos in one forward.

        Returns:
            A [`Rating`] for one photo; for many a list in their order.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
            RatingScaleError: the checkpoint does not answer the question.
        """
        if isinstance(images, str | os.PathLike | bytes | Image.Image):
            return next(self.score_stream([images], question, on_error=on_error, batch_size=1))
        return list(self.score_stream(images, question, on_error=on_error, batch_size=batch_size))

    def score_stream(
        self,
        images: Iterable[ImageSource],
        question: str | None = None,
        *,
        on_error: Literal["raise", "return"] = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Iterator[Rating | ImageError]:
        """As `score` for many photos, but yields each result as it comes and holds few photos at a time."""
        if on_error not in ("raise", "return"):
            raise ValueError(f"on_error must be 'raise' or 'return', got {on_error!r}.")
        prompt = self._prompt(question)  # an unknown question is an error before the first photo is read

        def rate(pixel_values: torch.Tensor, image_sizes: torch.Tensor | None) -> list[Rating]:
            count = len(pixel_values)
            logits = self.model.level_logits(
                self.processor.level_ids,
                input_ids=prompt.expand(count, -1),
                pixel_values=pixel_values,
                image_sizes=image_sizes,
            )
            return self.processor.rating_scale.read_level_logits(logits, question)

        return self._stream(images, rate, on_error, batch_size)

    def embed(self, images: ImageSource | Iterable[ImageSource], *, batch_size: int = DEFAULT_BATCH_SIZE) -> PhotoEmbeddings:
        """Embeds photos: the mean of each group's visual tokens, [N, D]; N is 1 for a single photo.

        Raises:
            ImageError: a photo cannot be read or judged.
        """
        if isinstance(images, str | os.PathLike | bytes | Image.Image):
            images = [images]

        def embed(pixel_values: torch.Tensor, image_sizes: torch.Tensor | None) -> list[dict[str, torch.Tensor]]:
            tokens = self.model.get_image_features(pixel_values, image_sizes).tokens
            means = {group: values.mean(dim=1).float().cpu() for group, values in tokens.items()}
            return [{group: values[index] for group, values in means.items()} for index in range(len(pixel_values))]

        rows = list(self._stream(images, embed, "raise", batch_size))
        if not rows:
            raise ValueError("No photo was given to embed.")
        return PhotoEmbeddings(**{group: torch.stack([row[group] for row in rows]) for group in rows[0]})

    def _prompt(self, question: str | None) -> torch.Tensor:
        """Token ids of the question's prompt, [1, L]; the same for every photo."""
        question = question or self.processor.rating_scale.default_question
        if question not in self._prompts:
            ids = self.processor.rating_prompt_ids(question)
            self._prompts[question] = torch.tensor([ids], device=self.model.device)
        return self._prompts[question]

    def _stream(
        self, images: Iterable[ImageSource], judge: Callable[..., list[Any]], on_error: str, batch_size: int
    ) -> Iterator[Any]:
        """Reads photos in threads, judges the readable ones batch by batch, keeps the order.

        Beside another device the next batch is read while the model runs. On a CPU it is not: both want all cores, and threads
        of the model that wait for each other lose more than is gained.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        source = iter(images)
        ahead = self.model.device.type != "cpu"
        with ThreadPoolExecutor(max_workers=torch.get_num_threads(), thread_name_prefix="photo-reader") as readers:

            def start_reading() -> list[Future[Any]]:
                return [readers.submit(self._read, image) for image in itertools.islice(source, batch_size)]

            reading = start_reading()
            while reading:
                photos = [photo.result() for photo in reading]
                if ahead:
                    reading = start_reading()
                good = [photo for photo in photos if not isinstance(photo, ImageError)]
                results = iter(self._judge(good, judge) if good else [])
                for photo in photos:
                    if isinstance(photo, ImageError):
                        if on_error == "raise":
                            raise photo
                        yield photo
                    else:
                        yield next(results)
                if not ahead:
                    reading = start_reading()

    def _read(self, image: ImageSource) -> tuple[torch.Tensor, torch.Tensor] | ImageError:
        try:
            pixels = self.processor.image_processor(image, return_tensors="pt")
        except ImageError as error:
            return error
        return pixels["pixel_values"], pixels["image_sizes"]

    @torch.inference_mode()
    def _judge(self, photos: list[tuple[torch.Tensor, torch.Tensor]], judge: Callable[..., list[Any]]) -> list[Any]:
        device = self.model.device
        pixel_values = torch.cat([pixels for pixels, _ in photos]).to(device)
        image_sizes = torch.cat([sizes for _, sizes in photos]).to(device)
        return judge(*trim_canvas(self.model.config.vision_config, pixel_values, image_sizes))
