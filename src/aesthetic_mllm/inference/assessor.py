"""The public face: photos in; ratings, comments and suggestions out."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from PIL import Image

from ..checkpoints import embedded_checkpoint
from ..editing.claims.photo_evidence import PhotoEvidence
from ..modeling.model_outputs import AestheticImageFeatures
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..modeling.vision_tower import trim_canvas
from ..processing.checkpoint_side_files import HUB_OPTIONS
from ..processing.image_loading import ImageError, ImageSource
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating, RatingScaleError
from ..tasks.assessment import Assessment
from ..tasks.commenting import STYLES, CommentingError, comment_prompt
from ..tasks.ranking import Comparison, RankedPhoto
from ..tasks.suggesting import MOST_SUGGESTIONS, Suggestion
from .comment_writing import CommentWriter
from .int8_linear import quantize_linears
from .photo_stream import OneOrMany, OnError, ReadPhoto, batch_photos, map_single_or_batch, read_photo, stream_photos
from .prefix_cache import PrefixCache, split_prompts
from .suggestion_search import SuggestionSearch

if TYPE_CHECKING:
    from .personal_assessor import PersonalAssessor

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
    """Judges photos: ratings, attributes, comments, suggestions, order, embeddings.

    A photo is a path, the bytes of a file, a Pillow image, or an array or tensor of its pixels ([`array_to_image`]). One photo
    gives one result, an iterable of photos a list in their order; an array of four dimensions is a batch of photos. Each method's
    `_stream` takes an iterable and yields the results one by one, with few photos held at a time.

    Ratings do not depend on how photos are batched: in float32, alone or in any batch, within 1e-4 of the score range.

    What all methods share:
        on_error: `"raise"` the first photo's [`ImageError`], or `"return"` it in the photo's place.
        batch_size: photos in one forward.

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`].
        processor: its [`AestheticMLLMProcessor`].
    """

    def __init__(self, model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor):
        self.model = model.eval()
        self.processor = processor
        self._prompts: dict[str, list[int]] = {}

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
            dtype: float32; or, for speed at a tolerance of 1% of the score range, bfloat16 where the machine has it, or `"int8"`:
                the language model's linear layers in 8 bits, the rest in float32, on a CPU.
            device: default the GPU where there is one (not for "int8"), else the CPU.
            kwargs: for the model's `from_pretrained`; what says where files are (`revision`, `token`, `cache_dir`, `subfolder`,
                `local_files_only`) for the processor's too. With a `device_map` or a quantized model, `device` is not used.

        Raises:
            CheckpointError: the checkpoint does not fit the model.
            EmbeddedCheckpointError: the installation lacks the embedded checkpoint.
            ValueError: "int8" on another device than a CPU.
        """
        name = str(embedded_checkpoint() if model is None else model)
        int8 = dtype == "int8"
        device = torch.device(device or ("cuda" if torch.cuda.is_available() and not int8 else "cpu"))
        if int8 and device.type != "cpu":
            raise ValueError(f"dtype int8 is for CPUs, not for {device.type!r}; use bfloat16 there.")
        loaded = AestheticMLLMForConditionalGeneration.from_pretrained(name, dtype="float32" if int8 else dtype, **kwargs)
        if int8:
            quantize_linears(loaded.model.language_model)
        if "device_map" not in kwargs and getattr(loaded, "hf_quantizer", None) is None:  # those are where they belong
            loaded.to(device)
        options = {key: value for key, value in kwargs.items() if key in HUB_OPTIONS}
        return cls(loaded, AestheticMLLMProcessor.from_pretrained(name, **options))

    def score(
        self, images: OneOrMany, question: str | None = None, *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Any:
        """One question's [`Rating`] of each photo.

        Args:
            question: `"aesthetic"` (the default) or `"quality"`, or what else the checkpoint answers.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
            RatingScaleError: the checkpoint does not answer the question.
        """
        return map_single_or_batch(
            images, lambda photos: self.score_stream(photos, question, on_error=on_error, batch_size=batch_size)
        )

    def score_stream(
        self,
        images: Iterable[ImageSource],
        question: str | None = None,
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Iterator[Rating | ImageError]:
        """As `score`, one by one."""
        prompt = torch.tensor([self._prompt(question)], device=self.model.device)  # known before the first photo is read

        def rate(pixel_values: torch.Tensor, image_sizes: torch.Tensor | None) -> list[Rating]:
            logits = self.model.level_logits(
                self.processor.level_ids,
                input_ids=prompt.expand(len(pixel_values), -1),
                pixel_values=pixel_values,
                image_sizes=image_sizes,
            )
            return self.processor.rating_scale.read_level_logits(logits, question)

        return self._stream(images, lambda photos: rate(*self._batch(photos)), on_error, batch_size)

    def ratings(
        self, images: OneOrMany, questions: Sequence[str], *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Any:
        """Several questions' ratings of each photo, by question. The photo is read once for all of them.

        Args:
            questions: at least one that the checkpoint answers.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
            RatingScaleError: the checkpoint does not answer a question, or there is none.
        """
        return map_single_or_batch(
            images, lambda photos: self.ratings_stream(photos, questions, on_error=on_error, batch_size=batch_size)
        )

    def ratings_stream(
        self,
        images: Iterable[ImageSource],
        questions: Sequence[str],
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Iterator[dict[str, Rating] | ImageError]:
        """As `ratings`, one by one."""
        if not questions:
            raise RatingScaleError(f"No question was asked; this checkpoint answers {', '.join(self._questions)}.")
        prefix, suffixes = split_prompts([self._prompt(question) for question in questions])

        def rate(photos: list[ReadPhoto]) -> list[dict[str, Rating]]:
            return self._read_ratings(PrefixCache(self.model, prefix, self._see(photos)), questions, suffixes)

        return self._stream(images, rate, on_error, batch_size)

    def attributes(self, images: OneOrMany, *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE) -> Any:
        """The ratings of each photo's attributes, by attribute: composition, light, colour and what else the checkpoint rates.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
            RatingScaleError: the checkpoint rates no attributes.
        """
        return map_single_or_batch(
            images, lambda photos: self.attributes_stream(photos, on_error=on_error, batch_size=batch_size)
        )

    def attributes_stream(
        self, images: Iterable[ImageSource], *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[dict[str, Rating] | ImageError]:
        """As `attributes`, one by one."""
        attributes = self.processor.rating_scale.attributes
        if not attributes:
            raise RatingScaleError(
                f"This checkpoint rates no attributes, it answers {', '.join(self._questions)}. Use another, or train one on a "
                "scale that was made with RatingScale.with_attributes()."
            )
        return self.ratings_stream(images, attributes, on_error=on_error, batch_size=batch_size)

    def comment(
        self,
        images: OneOrMany,
        style: str = "brief",
        aspect: str | None = None,
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Any:
        """A comment on each photo in words, always the same for the same photo.

        It says nothing twice. Where the checkpoint carries what is needed for it, as the embedded one does, it says what is
        special of the photo rather than what can be said of any. Of what can be measured it claims only what measurements bear
        out, it does not contradict itself, and it shares no eight words in a row with the texts of training.

        Args:
            style: `"brief"` or `"detailed"`.
            aspect: what to comment on, such as `"light"`; default the whole photo.

        Raises:
            CommentingError: no such style or aspect, or a checkpoint that was not taught to comment.
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
        """
        return map_single_or_batch(
            images, lambda photos: self.comment_stream(photos, style, aspect, on_error=on_error, batch_size=batch_size)
        )

    def comment_stream(
        self,
        images: Iterable[ImageSource],
        style: str = "brief",
        aspect: str | None = None,
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Iterator[str | ImageError]:
        """As `comment`, one by one."""
        if not self.processor.writes_comments:
            raise CommentingError(
                f"The checkpoint {self.model.name_or_path} was taught to rate, not to comment. Tune it on comments "
                "(aesthetic-mllm train sft with tasks: [comment]), or load another."
            )
        prefix, (suffix,) = split_prompts([self._comment_prompt(style, aspect)])

        def comment(photos: list[ReadPhoto]) -> list[str]:
            shared = PrefixCache(self.model, prefix, self._see(photos))
            return self._comments.write(shared, suffix, STYLES[style], self._evidence(photos))

        return self._stream(images, comment, on_error, batch_size, measure=True)

    def suggest(
        self, images: OneOrMany, verify: bool = False, limit: int = MOST_SUGGESTIONS, *, on_error: OnError = "raise"
    ) -> Any:
        """What would make each photo better: a list of [`Suggestion`]s, the most useful first.

        Args:
            verify: try edits, and keep those whose result is rated better by more than harmless changes are.
            limit: the most suggestions a photo.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
        """
        return map_single_or_batch(images, lambda photos: self.suggest_stream(photos, verify, limit, on_error=on_error))

    def suggest_stream(
        self, images: Iterable[ImageSource], verify: bool = False, limit: int = MOST_SUGGESTIONS, *, on_error: OnError = "raise"
    ) -> Iterator[list[Suggestion] | ImageError]:
        """As `suggest`, one by one."""
        search = SuggestionSearch(self)
        return stream_photos(
            images,
            self.processor.image_processor.read,
            lambda photos: [search.suggest(photo, verify, limit) for photo in photos],
            read_ahead=self._reads_ahead,
            on_error=on_error,
            batch_size=1,  # a search has batches of its own
        )

    def assess(
        self, images: OneOrMany, verify: bool = False, *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Any:
        """Everything together: an [`Assessment`] of each photo; ratings, flaws and comment come from one reading of it.

        Args:
            verify: of the suggestions, as in `suggest`.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
        """
        return map_single_or_batch(
            images, lambda photos: self.assess_stream(photos, verify, on_error=on_error, batch_size=batch_size)
        )

    def assess_stream(
        self,
        images: Iterable[ImageSource],
        verify: bool = False,
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Iterator[Assessment | ImageError]:
        """As `assess`, one by one."""
        scale = self.processor.rating_scale
        search = SuggestionSearch(self)
        from_flaws = bool(search.flaws) and not verify
        asked = [scale.default_question, "quality", *scale.attributes, *(search.flaws if from_flaws else ())]
        questions = list(dict.fromkeys(key for key in asked if key in scale.questions))
        to_write = [self._comment_prompt("brief")] if self.processor.writes_comments else []
        prefix, suffixes = split_prompts([*map(self._prompt, questions), *to_write])

        def assess(photos: list[ReadPhoto]) -> list[Assessment]:
            shared = PrefixCache(self.model, prefix, self._see(photos))
            ratings = self._read_ratings(shared, questions, suffixes[: len(questions)])
            comments = [""] * len(photos)
            if to_write:
                comments = self._comments.write(shared, suffixes[-1], STYLES["brief"], self._evidence(photos))
            return [
                Assessment(
                    rating=rated[scale.default_question],
                    quality=rated.get("quality"),
                    attributes={key: rated[key] for key in scale.attributes},
                    comment=comment,
                    suggestions=tuple(
                        search.from_ratings(rated, cast(PhotoEvidence, photo.evidence))
                        if from_flaws
                        else search.suggest(cast(Image.Image, photo.image), verify)
                    ),
                )
                for photo, rated, comment in zip(photos, ratings, comments, strict=True)
            ]

        return self._stream(images, assess, on_error, batch_size, keep_image=not from_flaws, measure=True)

    def rank(self, images: Iterable[ImageSource], question: str | None = None, **options: Any) -> list[RankedPhoto]:
        """All photos, the best first; bursts are found.

        Args:
            question: as in `score`.
            options: of [`rank_photos`].

        Raises:
            ImageError: a photo cannot be read or judged.
            RatingScaleError: the checkpoint does not answer the question.
        """
        from .ranking import rank_photos  # imports this module

        return rank_photos(self, images, question, **options)

    def pick(self, images: Iterable[ImageSource], k: int, question: str | None = None, **options: Any) -> list[RankedPhoto]:
        """The `k` best photos, of each burst at most the best one; arguments and errors as of `rank`.

        Raises:
            RankingError: there are fewer, or `k` is less than 1.
        """
        from .ranking import pick_photos

        return pick_photos(self, images, k, question, **options)

    def compare(self, first: ImageSource, second: ImageSource, question: str | None = None) -> Comparison:
        """Which of two photos is better, how surely, and why.

        Raises:
            ImageError: a photo cannot be read or judged.
            RatingScaleError: the checkpoint does not answer the question.
        """
        from .ranking import compare_photos

        return compare_photos(self, first, second, question)

    def embed(self, images: OneOrMany, *, batch_size: int = DEFAULT_BATCH_SIZE) -> PhotoEmbeddings:
        """Embeds photos: the mean of each group's visual tokens, [N, D]; N is 1 for a single photo.

        Raises:
            ImageError: a photo cannot be read or judged.
        """

        def embed(photos: list[ReadPhoto]) -> list[dict[str, torch.Tensor]]:
            tokens = self.model.get_image_features(*self._batch(photos)).tokens
            means = {group: values.mean(dim=1).float().cpu() for group, values in tokens.items()}
            return [{group: values[index] for group, values in means.items()} for index in range(len(photos))]

        found = map_single_or_batch(images, lambda photos: self._stream(photos, embed, "raise", batch_size))
        rows = found if isinstance(found, list) else [found]
        if not rows:
            raise ValueError("No photo was given to embed.")
        return PhotoEmbeddings(**{group: torch.stack([row[group] for row in rows]) for group in rows[0]})

    def personalize(
        self,
        ratings: Mapping[ImageSource, float] | Iterable[tuple[ImageSource, float]] = (),
        *,
        pairs: Iterable[tuple[ImageSource, ImageSource]] = (),
        likes: Iterable[ImageSource] = (),
        score_range: tuple[float, float] | None = None,
        question: str | None = None,
        method: str = "auto",
        keep: Literal["tokens", "thumbnails"] = "tokens",
        progress: Callable[[Sequence[ImageSource]], Iterable[ImageSource]] = iter,
    ) -> "PersonalAssessor":
        """An assessor that predicts one person's ratings, from photos they rated, pairs they compared, or photos they like.

        Args:
            ratings: photos with their ratings, the higher the better. None at all: the general assessor's ratings.
            pairs: the preferred photo, and the other.
            likes: photos that are liked; of others nothing is known.
            score_range: worst and best rating that could be given; default a usual range of which the ratings reach both ends.
            question: that the ratings answer; default the checkpoint's first.
            method: "ridge" (ridge regression with other people's tastes as the prior), "in_context" (the photos and ratings are
                given in the prompt; the checkpoint must have been taught to read them), or "auto": ridge.
            keep: what is kept, and saved, of the photos: what the model saw of them ("tokens"), or also small "thumbnails".
            progress: shows how far it is: takes the photos that are looked at and gives them on, as `tqdm` does.

        Raises:
            ImageError: a photo cannot be read or judged.
            ProfileError: ratings that make no profile, such as one distinct rating only, or a method that the checkpoint lacks.
            RatingScaleError: the checkpoint does not answer the question.
        """
        from .personal_assessor import PersonalAssessor  # imports this module

        return PersonalAssessor.of_ratings(
            self,
            ratings,
            pairs=pairs,
            likes=likes,
            score_range=score_range,
            question=question,
            method=method,
            keep=keep,
            progress=progress,
        )

    @property
    def _questions(self) -> list[str]:
        return list(self.processor.rating_scale.questions)

    @property
    def _reads_ahead(self) -> bool:
        return self.model.device.type != "cpu"

    def _prompt(self, question: str | None) -> list[int]:
        """Token ids of the question's prompt; the same for every photo."""
        question = question or self.processor.rating_scale.default_question
        if question not in self._prompts:
            self._prompts[question] = self.processor.rating_prompt_ids(question)
        return self._prompts[question]

    def _comment_prompt(self, style: str, aspect: str | None = None) -> list[int]:
        return self.processor.prompt_ids(self.processor.assistant_prompt(comment_prompt(aspect, style)))

    def _read_ratings(
        self, shared: PrefixCache, questions: Sequence[str], suffixes: Sequence[Sequence[int]]
    ) -> list[dict[str, Rating]]:
        """The ratings of each of the prefix's photos, by question."""
        logits = shared.token_logits(suffixes, self.processor.level_ids)  # [B, Q, levels]
        read = self.processor.rating_scale.read_level_logits
        columns = [read(logits[:, place], question) for place, question in enumerate(questions)]
        return [dict(zip(questions, row, strict=True)) for row in zip(*columns, strict=True)]

    def _evidence(self, photos: list[ReadPhoto]) -> list[PhotoEvidence] | None:
        """What measurements say of photos, as far as they were measured; `None` where the checkpoint has no cut points."""
        measured = [photo.evidence for photo in photos if photo.evidence is not None]
        return measured if self.processor.measurement_cuts else None

    @cached_property
    def _comments(self) -> CommentWriter:
        return CommentWriter.of_processor(self.processor)

    def _stream(
        self,
        images: Iterable[ImageSource],
        judge: Callable[[list[ReadPhoto]], list[Any]],
        on_error: OnError,
        batch_size: int,
        keep_image: bool = False,
        measure: bool = False,
    ) -> Iterator[Any]:
        cuts = self.processor.measurement_cuts if measure else None
        return stream_photos(
            images,
            lambda image: read_photo(self.processor.image_processor, image, keep_image, cuts),
            torch.inference_mode()(judge),
            read_ahead=self._reads_ahead,
            on_error=on_error,
            batch_size=batch_size,
        )

    def _see(self, photos: list[ReadPhoto], statistics: bool = False) -> AestheticImageFeatures:
        """What the model sees of photos: the groups of visual tokens that prompts show."""
        groups = [group for group, count in self.processor.num_group_tokens.items() if count]
        return self.model.get_image_features(*self._batch(photos), groups=groups, statistics=statistics)

    def _batch(self, photos: list[ReadPhoto]) -> tuple[torch.Tensor, torch.Tensor | None]:
        return trim_canvas(self.model.config.vision_config, *batch_photos(photos, self.model.device))
