"""Photos in one after another, results out one after another: what the assessor's methods are made of."""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal, overload

from PIL import Image

from ..editing.claims.photo_evidence import PhotoEvidence
from ..editing.perceptual_hash import perceptual_hash
from ..engine.engine import DEFAULT_BATCH_SIZE, AestheticEngine, EncodedPhotos, ReadPhoto, nothing
from ..engine.onnx_ratings import OnnxRatings
from ..engine.photo_collections import Photos, as_photos
from ..engine.photo_stream import OnError, stream_photos
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..personalization.personalizers import Personalizer
from ..processing.image_loading import ImageError, ImageSource
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating, RatingScaleError
from ..tasks.assessment import Assessment
from ..tasks.commenting import STYLES, CommentingError, comment_prompt
from ..tasks.suggesting import MOST_SUGGESTIONS, Suggestion
from .capture import Capture, read_capture
from .comment_writing import CommentWriter
from .culling import FrameNote, RatedFrame, note_frame
from .ranking import RatedPhoto
from .suggestion_search import SuggestionSearch

Ratings = dict[str, Rating]
Raise = Literal["raise"]
Return = Literal["return"]


class StreamAssessor:
    """Judges photos as they come, with few of them held at a time.

    What all methods share:
        on_error: `"raise"` the first photo's [`ImageError`], or `"return"` it in the photo's place.
        batch_size: photos in one forward.

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`].
        processor: its [`AestheticMLLMProcessor`].
        personalizer: turns the general ratings of one question into a person's; default none.

    Attributes:
        engine: the [`AestheticEngine`] that encodes photos and asks the model about them.
        onnx: an exported file that rates in the model's place where it answers what is asked; default none.
    """

    onnx: OnnxRatings | None = None

    def __init__(
        self,
        model: AestheticMLLMForConditionalGeneration,
        processor: AestheticMLLMProcessor,
        personalizer: Personalizer | None = None,
    ):
        self.engine = AestheticEngine(model, processor)
        self.personalizer = personalizer

    @property
    def model(self) -> AestheticMLLMForConditionalGeneration:
        return self.engine.model

    @property
    def processor(self) -> AestheticMLLMProcessor:
        return self.engine.processor

    @cached_property
    def comments(self) -> CommentWriter:
        """Writes the comments, with what the checkpoint carries for them."""
        return CommentWriter.of_engine(self.engine)

    def suggestion_search(self) -> SuggestionSearch:
        """A search for suggestions by this assessor's ratings."""

        def rate(images: Sequence[Image.Image], questions: Sequence[str]) -> list[Ratings | ImageError]:
            return list(self.ratings_stream(list(images), questions, on_error="return"))

        return SuggestionSearch(self.processor, rate)

    def rate_read(self, photos: Sequence[ReadPhoto[object]], questions: Sequence[str]) -> list[Ratings]:
        """The ratings of photos of which nothing else is asked: by the exported file where there is one that answers."""
        if self.onnx is not None and self.personalizer is None and self.onnx.answers(questions):
            return self.onnx.rate(photos, questions)
        return self.rate(self.encode(photos), questions)

    def encode(self, photos: Sequence[ReadPhoto[object]]) -> EncodedPhotos:
        """What the model sees of photos, for `rate`."""
        return self.engine.encode(photos, statistics=self.personalizer is not None)

    def rate(self, encoded: EncodedPhotos, questions: Sequence[str]) -> list[Ratings]:
        """The ratings of each photo, by question; the personalizer's question as the person would answer it."""
        person = self.personalizer
        if person is None or person.question not in questions:
            return self.engine.rate(encoded, questions)
        general = [question for question in questions if question != person.question or person.reads_general]
        rated = self.engine.rate(encoded, general) if general else [{} for _ in range(len(encoded))]
        read = [ratings[person.question] for ratings in rated] if person.reads_general else ()
        personal = person.rate(encoded.features, read)
        return [
            {question: own if question == person.question else ratings[question] for question in questions}
            for ratings, own in zip(rated, personal, strict=True)
        ]

    @overload
    def score_stream(
        self, images: Photos, question: str | None = None, *, on_error: Raise = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Rating]: ...
    @overload
    def score_stream(
        self, images: Photos, question: str | None = None, *, on_error: OnError, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Rating | ImageError]: ...
    def score_stream(
        self, images: Photos, question: str | None = None, *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Rating | ImageError]:
        """One question's [`Rating`] of each photo; arguments and errors as of `score`."""
        question = question or self.processor.rating_scale.default_question
        self.engine.rating_prompt(question)  # whether it is answered is known before the first photo is read

        def rate(photos: list[ReadPhoto[None]]) -> list[Rating]:
            return [rated[question] for rated in self.rate_read(photos, [question])]

        return self.engine.stream(as_photos(images), rate, nothing, on_error=on_error, batch_size=batch_size)

    @overload
    def ratings_stream(
        self, images: Photos, questions: Sequence[str], *, on_error: Raise = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Ratings]: ...
    @overload
    def ratings_stream(
        self, images: Photos, questions: Sequence[str], *, on_error: OnError, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Ratings | ImageError]: ...
    def ratings_stream(
        self, images: Photos, questions: Sequence[str], *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Ratings | ImageError]:
        """Several questions' ratings of each photo, by question; arguments and errors as of `ratings`."""
        if isinstance(questions, str):
            raise RatingScaleError(f"The questions are the text {questions!r}; give a list of them, such as [{questions!r}].")
        questions = tuple(questions)
        if not questions:
            answered = ", ".join(self.processor.rating_scale.questions)
            raise RatingScaleError(f"No question was asked; this checkpoint answers {answered}.")
        for question in questions:
            self.engine.rating_prompt(question)

        def rate(photos: list[ReadPhoto[None]]) -> list[Ratings]:
            return self.rate_read(photos, questions)

        return self.engine.stream(as_photos(images), rate, nothing, on_error=on_error, batch_size=batch_size)

    @overload
    def attributes_stream(
        self, images: Photos, *, on_error: Raise = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Ratings]: ...
    @overload
    def attributes_stream(
        self, images: Photos, *, on_error: OnError, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Ratings | ImageError]: ...
    def attributes_stream(
        self, images: Photos, *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Ratings | ImageError]:
        """The ratings of each photo's attributes, by attribute; arguments and errors as of `attributes`."""
        scale = self.processor.rating_scale
        if not scale.attributes:
            raise RatingScaleError(
                f"This checkpoint rates no attributes, it answers {', '.join(scale.questions)}. Use another, or train one on a "
                "scale that was made with RatingScale.with_attributes()."
            )
        return self.ratings_stream(images, scale.attributes, on_error=on_error, batch_size=batch_size)

    @overload
    def comment_stream(
        self,
        images: Photos,
        style: str = "brief",
        aspect: str | None = None,
        *,
        on_error: Raise = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Iterator[str]: ...
    @overload
    def comment_stream(
        self,
        images: Photos,
        style: str = "brief",
        aspect: str | None = None,
        *,
        on_error: OnError,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Iterator[str | ImageError]: ...
    def comment_stream(
        self,
        images: Photos,
        style: str = "brief",
        aspect: str | None = None,
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Iterator[str | ImageError]:
        """A comment on each photo in words; arguments and errors as of `comment`."""
        if not self.processor.writes_comments:
            raise CommentingError(
                f"The checkpoint {self.engine.name} was taught to rate, not to comment. Tune it on comments "
                "(aesthetic-mllm train sft with tasks: [comment]), or load another."
            )
        request = comment_prompt(aspect, style)

        def comment(photos: list[ReadPhoto[PhotoEvidence]]) -> list[str]:
            return self.comments.write(self.encode(photos), request, STYLES[style], self._checked([p.noted for p in photos]))

        return self.engine.stream(as_photos(images), comment, self._evidence, on_error=on_error, batch_size=batch_size)

    @overload
    def suggest_stream(
        self, images: Photos, verify: bool = False, limit: int = MOST_SUGGESTIONS, *, on_error: Raise = "raise"
    ) -> Iterator[list[Suggestion]]: ...
    @overload
    def suggest_stream(
        self, images: Photos, verify: bool = False, limit: int = MOST_SUGGESTIONS, *, on_error: OnError
    ) -> Iterator[list[Suggestion] | ImageError]: ...
    def suggest_stream(
        self, images: Photos, verify: bool = False, limit: int = MOST_SUGGESTIONS, *, on_error: OnError = "raise"
    ) -> Iterator[list[Suggestion] | ImageError]:
        """What would make each photo better; arguments and errors as of `suggest`."""
        if limit < 0:
            raise ValueError(f"limit must be at least 0, got {limit}.")
        search = self.suggestion_search()
        return stream_photos(
            as_photos(images),
            self.processor.image_processor.read,
            lambda photos: [search.suggest(photo, verify, limit) for photo in photos],
            read_ahead=self.engine.reads_ahead,
            on_error=on_error,
            batch_size=1,  # a search has batches of its own
        )

    @overload
    def assess_stream(
        self, images: Photos, verify: bool = False, *, on_error: Raise = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Assessment]: ...
    @overload
    def assess_stream(
        self, images: Photos, verify: bool = False, *, on_error: OnError, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Assessment | ImageError]: ...
    def assess_stream(
        self, images: Photos, verify: bool = False, *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[Assessment | ImageError]:
        """Everything together, of each photo; arguments and errors as of `assess`."""
        scale = self.processor.rating_scale
        search = self.suggestion_search()
        from_flaws = bool(search.flaws) and not verify
        asked = [scale.default_question, "quality", *scale.attributes, *(search.flaws if from_flaws else ())]
        questions = list(dict.fromkeys(key for key in asked if key in scale.questions))
        request = comment_prompt(style="brief") if self.processor.writes_comments else None
        prompts = [self.engine.rating_prompt(question) for question in questions]
        if request is not None:
            prompts.append(self.engine.prompt(request))

        def note(image: Image.Image) -> tuple[PhotoEvidence, Image.Image | None]:
            return self._evidence(image), None if from_flaws else image

        def assess(photos: list[ReadPhoto[tuple[PhotoEvidence, Image.Image | None]]]) -> list[Assessment]:
            encoded = self.encode(photos)
            self.engine.read_beginning(encoded, prompts)
            evidence = [photo.noted[0] for photo in photos]
            images = [photo.noted[1] for photo in photos]
            comments = [""] * len(photos)
            ratings = self.rate(encoded, questions)
            if request is not None:
                comments = self.comments.write(encoded, request, STYLES["brief"], self._checked(evidence))
            return [
                Assessment(
                    rating=rated[scale.default_question],
                    quality=rated.get("quality"),
                    attributes={key: rated[key] for key in scale.attributes},
                    comment=words,
                    suggestions=tuple(search.from_ratings(rated, seen) if image is None else search.suggest(image, verify)),
                )
                for rated, words, seen, image in zip(ratings, comments, evidence, images, strict=True)
            ]

        return self.engine.stream(as_photos(images), assess, note, on_error=on_error, batch_size=batch_size)

    def rated_photos(
        self, images: ImageSource | Photos, question: str | None = None, *, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[RatedPhoto | ImageError]:
        """The rating and the perceptual hash of each photo, for [`rank_photos`]; an error in the place of one that cannot be
        judged. Each photo is decoded once for both.

        Raises:
            RatingScaleError: the checkpoint does not answer the question.
        """
        question = question or self.processor.rating_scale.default_question
        self.engine.rating_prompt(question)

        def rate(photos: list[ReadPhoto[int]]) -> list[RatedPhoto]:
            rated = self.rate_read(photos, [question])
            return [RatedPhoto(each[question], photo.noted) for each, photo in zip(rated, photos, strict=True)]

        return self.engine.stream(as_photos(images), rate, perceptual_hash, on_error="return", batch_size=batch_size)

    def rated_frames(
        self, images: ImageSource | Photos, question: str | None = None, *, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[RatedFrame | ImageError]:
        """What [`cull_photos`] needs of each photo; an error in the place of one that cannot be judged.

        Raises:
            RatingScaleError: the checkpoint does not answer the question.
        """
        question = question or self.processor.rating_scale.default_question
        self.engine.rating_prompt(question)
        photos, captures = as_photos(images), deque[Capture]()

        def captured() -> Iterator[ImageSource | ImageError]:
            for photo in photos:
                captures.append(Capture() if isinstance(photo, ImageError) else read_capture(photo))
                yield photo

        def rate(read: list[ReadPhoto[FrameNote]]) -> list[tuple[Rating, FrameNote]]:
            rated = self.rate_read(read, [question])
            return [(each[question], photo.noted) for each, photo in zip(rated, read, strict=True)]

        results = self.engine.stream(captured(), rate, note_frame, on_error="return", batch_size=batch_size)

        def frame(result: tuple[Rating, FrameNote] | ImageError) -> RatedFrame | ImageError:
            capture = captures.popleft()
            return result if isinstance(result, ImageError) else RatedFrame(*result, capture)

        return map(frame, results)

    def _evidence(self, image: Image.Image) -> PhotoEvidence:
        return PhotoEvidence(image, self.processor.measurement_cuts)

    def _checked(self, evidence: list[PhotoEvidence]) -> list[PhotoEvidence] | None:
        """What measurements say of photos; `None` where the checkpoint has no cut points, so that nothing can be checked."""
        return evidence if self.processor.measurement_cuts else None
