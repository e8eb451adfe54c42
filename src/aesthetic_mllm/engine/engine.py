"""Model and processor at work: photos are encoded once, rated by many questions, written about."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import torch
from PIL import Image

from ..modeling.model_outputs import AestheticImageFeatures
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..modeling.vision_tower import trim_canvas
from ..processing.image_loading import ImageError, ImageSource
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating
from .photo_stream import OnError, stream_photos
from .prefix_cache import PrefixCache, split_prompts
from .within_memory import WithinMemory

# Batches this size keep a tower's feature maps in a CPU's cache; larger ones are slower there (benchmarks/score.py).
DEFAULT_BATCH_SIZE = 8

Noted = TypeVar("Noted", covariant=True)
Result = TypeVar("Result")


@dataclass(frozen=True)
class ReadPhoto(Generic[Noted]):
    """A photo as the model takes it, and what was noted of its image.

    Args:
        pixel_values: [1, 3, H, W].
        image_sizes: [1, 2].
        noted: what the reader's `note` made of the upright image, which is not kept itself.
    """

    pixel_values: torch.Tensor
    image_sizes: torch.Tensor
    noted: Noted


def nothing(image: Image.Image) -> None:
    """Notes nothing of a photo."""


class EncodedPhotos:
    """What the model sees of N photos, and the beginnings of prompts that it has read behind them.

    Args:
        features: visual tokens, and the feature maps' statistics where these were asked for.
    """

    def __init__(self, features: AestheticImageFeatures):
        self.features = features
        self.prefixes: list[PrefixCache] = []

    def __len__(self) -> int:
        return len(self.features.pooler_output)


class AestheticEngine:
    """Encodes photos once and asks the model any number of things about them.

    ```python
    encoded = engine.encode([engine.read("photo.jpg")])
    engine.rate(encoded, ["aesthetic", "quality"])
    ```

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`]; it is set to evaluation mode.
        processor: its [`AestheticMLLMProcessor`].
    """

    def __init__(self, model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor):
        self.model = model.eval()
        self.processor = processor
        self.within_memory = WithinMemory()
        self._rating_prompts: dict[str, list[int]] = {}

    @property
    def reads_ahead(self) -> bool:
        """Whether photos are read while the model runs: beside another device than the CPU."""
        return self.model.device.type != "cpu"

    def read(self, source: ImageSource, note: Callable[[Image.Image], Noted] = nothing) -> ReadPhoto[Noted]:  # type: ignore[assignment]
        """Reads a photo once.

        Args:
            note: of the upright RGB image what is to be kept; default nothing.

        Raises:
            ImageError: it cannot be read or judged.
        """
        image = self.processor.image_processor.read(source)
        pixels = self.processor.image_processor(image, return_tensors="pt")
        return ReadPhoto(pixels["pixel_values"], pixels["image_sizes"], note(image))

    def stream(
        self,
        images: Iterable[ImageSource | ImageError],
        judge: Callable[[list[ReadPhoto[Noted]]], list[Result]],
        note: Callable[[Image.Image], Noted],
        *,
        on_error: OnError,
        batch_size: int,
    ) -> Iterator[Result | ImageError]:
        """Reads photos in threads and judges them batch by batch; results come in order, few photos are held at a time.

        Args:
            images: photos; an error stands for one that somebody else could not read.
            judge: of a batch one result for each photo; run without gradients, of fewer photos at a time where memory is short.
            note: as of `read`, run in the reading threads.
            on_error, batch_size: as of [`stream_photos`].
        """
        return stream_photos(
            images,
            lambda source: self.read(source, note),
            torch.inference_mode()(partial(self.within_memory.judge, judge)),
            read_ahead=self.reads_ahead,
            on_error=on_error,
            batch_size=batch_size,
        )

    @torch.inference_mode()
    def encode(
        self, photos: Sequence[ReadPhoto[object]], *, groups: Sequence[str] | None = None, statistics: bool = False
    ) -> EncodedPhotos:
        """Runs tower and alignment module.

        Args:
            photos: at least one, of `read`.
            groups: of visual tokens; default those that prompts show.
            statistics: whether the feature maps' statistics are wanted, which tastes are read from.
        """
        if groups is None:
            groups = [group for group, count in self.processor.num_group_tokens.items() if count]
        pixel_values = torch.cat([photo.pixel_values for photo in photos]).to(self.model.device)
        image_sizes = torch.cat([photo.image_sizes for photo in photos]).to(self.model.device)
        trimmed = trim_canvas(self.model.config.vision_config, pixel_values, image_sizes)
        return EncodedPhotos(self.model.get_image_features(*trimmed, groups=groups, statistics=statistics))

    def rating_prompt(self, question: str | None = None) -> list[int]:
        """Token ids of a question's prompt; the same for every photo.

        Raises:
            RatingScaleError: the checkpoint does not answer the question.
        """
        question = question or self.processor.rating_scale.default_question
        if question not in self._rating_prompts:
            self._rating_prompts[question] = self.processor.rating_prompt_ids(question)
        return self._rating_prompts[question]

    @property
    def name(self) -> str:
        """What to call the model in messages."""
        return str(self.model.name_or_path)

    def prompt(self, request: str) -> list[int]:
        """Token ids of the prompt with a photo and a user's words, up to where the model's words begin."""
        return self.processor.prompt_ids(self.processor.assistant_prompt(request))

    @torch.inference_mode()
    def read_beginning(self, encoded: EncodedPhotos, prompts: Sequence[Sequence[int]]) -> None:
        """Reads what prompts have in common behind the photos, so that `rate` and `write` go on from there.

        Need not be called: each of them reads what it needs. It saves a reading where both are asked about the same photos.
        """
        beginning, _ = split_prompts(prompts)
        encoded.prefixes.append(PrefixCache(self.model, beginning, encoded.features))

    @torch.inference_mode()
    def rate(self, encoded: EncodedPhotos, questions: Sequence[str]) -> list[dict[str, Rating]]:
        """The ratings of each photo, by question.

        Args:
            questions: at least one that the checkpoint answers.

        Raises:
            RatingScaleError: the checkpoint does not answer a question.
        """
        prompts = [self.rating_prompt(question) for question in questions]
        if not encoded.prefixes and len(prompts) == 1:  # what is read would not be read on
            ids = torch.tensor(prompts, device=self.model.device).expand(len(encoded), -1)
            seen = {"image": encoded.features}
            logits = self.model.level_logits(self.processor.level_ids, input_ids=ids, mm_encoder_outputs=seen)[:, None]
        else:
            prefix = self._prefix_of(encoded, prompts)
            rests = [prompt[len(prefix.ids) :] for prompt in prompts]
            logits = prefix.token_logits(rests, self.processor.level_ids)  # [N, Q, levels]
        read = self.processor.rating_scale.read_level_logits
        columns = [read(logits[:, place], question) for place, question in enumerate(questions)]
        return [dict(zip(questions, row, strict=True)) for row in zip(*columns, strict=True)]

    @torch.inference_mode()
    def write(
        self,
        encoded: EncodedPhotos,
        prompt: Sequence[int],
        max_new_tokens: int,
        *,
        not_first: Sequence[int] = (),
        photo: int | None = None,
        away_from: EncodedPhotos | None = None,
    ) -> list[list[int]]:
        """What the model writes after a prompt, greedily: of each photo token ids up to the end of the turn.

        Args:
            prompt: token ids, the photo's placeholders among them.
            max_new_tokens: the most that are written.
            not_first: tokens that may not come first; where no other is possible, nothing is written.
            photo: the only one that is written about; default all.
            away_from: the average photo, away from which the text is guided ([`ContrastivePhotoGuidance`]).
        """
        prefix = self._prefix_of(encoded, [prompt])
        mean_photo = None
        if away_from is not None:
            mean_photo = next((each for each in away_from.prefixes if each.ids == prefix.ids), None)
            if mean_photo is None:
                mean_photo = PrefixCache(self.model, prefix.ids, away_from.features)
                away_from.prefixes.append(mean_photo)
        stop_ids = self.processor.end_of_turn_ids
        return prefix.write(prompt[len(prefix.ids) :], stop_ids, max_new_tokens, not_first, photo, mean_photo)

    def _prefix_of(self, encoded: EncodedPhotos, prompts: Sequence[Sequence[int]]) -> PrefixCache:
        """What all the prompts begin with and was read before, or else is read now."""
        for prefix in encoded.prefixes:
            if all(prefix.begins(prompt) for prompt in prompts):
                return prefix
        self.read_beginning(encoded, prompts)
        return encoded.prefixes[-1]
