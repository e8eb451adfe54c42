"""One photo in, one result out; many photos in, a list out: the assessor's methods, typed."""

# A path as text is an iterable of texts too: the first overload that fits, one photo, is meant.
# mypy: disable-error-code="overload-overlap"

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import torch

from ..engine.engine import DEFAULT_BATCH_SIZE, ReadPhoto, nothing
from ..engine.photo_collections import Photos, as_photos, map_single_or_batch
from ..engine.photo_stream import OnError
from ..engine.visual_tokens import tokens_of
from ..modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from ..personalization.profile_file import checkpoint_digest
from ..processing.image_loading import ImageError, ImageSource
from ..processing.rating_scale import Rating
from ..tasks.assessment import Assessment
from ..tasks.culling import REJECT_MARGIN, CulledPhoto
from ..tasks.ranking import Comparison, RankedPhoto, RankingError
from ..tasks.suggesting import MOST_SUGGESTIONS, Suggestion
from .culling import cull_photos, different_photos
from .ranking import BURST_DISTANCE, compare_photos, judged, pick_ranked, rank_photos
from .series import MAX_GAP
from .stream_assessor import Raise, Ratings, Return, StreamAssessor

Skip = Literal["raise", "skip"]
_Suggested = list[Suggestion] | ImageError


@dataclass(frozen=True)
class PhotoEmbeddings:
    """One embedding a photo and group of visual tokens: float32 tensors [N, D] on the CPU, D the language model's width."""

    low: torch.Tensor
    middle: torch.Tensor
    high: torch.Tensor
    thematic: torch.Tensor


class BaseAssessor(StreamAssessor):
    """The methods of [`AestheticAssessor`] that need no more than one checkpoint's model and processor."""

    def checkpoint_identity(self) -> tuple[str, str]:
        """Digest of the checkpoint and name of its dtype: while both are the same, so are the ratings."""
        digest = checkpoint_digest(self.model, self.processor, None)
        return f"{digest.readout[:32]}{digest.weights[:32]}", str(self.model.dtype).removeprefix("torch.")

    @overload
    def score(
        self, images: ImageSource, question: str | None = None, *, on_error: Raise = "raise", batch_size: int = ...
    ) -> Rating: ...
    @overload
    def score(
        self, images: Photos, question: str | None = None, *, on_error: Raise = "raise", batch_size: int = ...
    ) -> list[Rating]: ...
    @overload
    def score(
        self, images: ImageSource, question: str | None = None, *, on_error: Return, batch_size: int = ...
    ) -> Rating | ImageError: ...
    @overload
    def score(
        self, images: Photos, question: str | None = None, *, on_error: Return, batch_size: int = ...
    ) -> list[Rating | ImageError]: ...
    def score(
        self,
        images: ImageSource | Photos,
        question: str | None = None,
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Rating | ImageError | Sequence[Rating | ImageError]:
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

    @overload
    def ratings(
        self, images: ImageSource, questions: Sequence[str], *, on_error: Raise = "raise", batch_size: int = ...
    ) -> Ratings: ...
    @overload
    def ratings(
        self, images: Photos, questions: Sequence[str], *, on_error: Raise = "raise", batch_size: int = ...
    ) -> list[Ratings]: ...
    @overload
    def ratings(
        self, images: ImageSource, questions: Sequence[str], *, on_error: Return, batch_size: int = ...
    ) -> Ratings | ImageError: ...
    @overload
    def ratings(
        self, images: Photos, questions: Sequence[str], *, on_error: Return, batch_size: int = ...
    ) -> list[Ratings | ImageError]: ...
    def ratings(
        self,
        images: ImageSource | Photos,
        questions: Sequence[str],
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Ratings | ImageError | Sequence[Ratings | ImageError]:
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

    @overload
    def attributes(self, images: ImageSource, *, on_error: Raise = "raise", batch_size: int = ...) -> Ratings: ...
    @overload
    def attributes(self, images: Photos, *, on_error: Raise = "raise", batch_size: int = ...) -> list[Ratings]: ...
    @overload
    def attributes(self, images: ImageSource, *, on_error: Return, batch_size: int = ...) -> Ratings | ImageError: ...
    @overload
    def attributes(self, images: Photos, *, on_error: Return, batch_size: int = ...) -> list[Ratings | ImageError]: ...
    def attributes(
        self, images: ImageSource | Photos, *, on_error: OnError = "raise", batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Ratings | ImageError | Sequence[Ratings | ImageError]:
        """The ratings of each photo's attributes, by attribute: composition, light, colour and what else the checkpoint rates.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
            RatingScaleError: the checkpoint rates no attributes.
        """
        return map_single_or_batch(
            images, lambda photos: self.attributes_stream(photos, on_error=on_error, batch_size=batch_size)
        )

    @overload
    def comment(
        self,
        images: ImageSource,
        style: str = ...,
        aspect: str | None = None,
        *,
        on_error: Raise = "raise",
        batch_size: int = ...,
    ) -> str: ...
    @overload
    def comment(
        self, images: Photos, style: str = ..., aspect: str | None = ..., *, on_error: Raise = "raise", batch_size: int = ...
    ) -> list[str]: ...
    @overload
    def comment(
        self, images: ImageSource, style: str = ..., aspect: str | None = ..., *, on_error: Return, batch_size: int = ...
    ) -> str | ImageError: ...
    @overload
    def comment(
        self, images: Photos, style: str = ..., aspect: str | None = ..., *, on_error: Return, batch_size: int = ...
    ) -> list[str | ImageError]: ...
    def comment(
        self,
        images: ImageSource | Photos,
        style: str = "brief",
        aspect: str | None = None,
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> str | ImageError | Sequence[str | ImageError]:
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

    @overload
    def suggest(
        self, images: ImageSource, verify: bool = False, limit: int = ..., *, on_error: Raise = "raise"
    ) -> list[Suggestion]: ...
    @overload
    def suggest(
        self, images: Photos, verify: bool = False, limit: int = ..., *, on_error: Raise = "raise"
    ) -> list[list[Suggestion]]: ...
    @overload
    def suggest(
        self, images: ImageSource, verify: bool = False, limit: int = ..., *, on_error: Return
    ) -> list[Suggestion] | ImageError: ...
    @overload
    def suggest(
        self, images: Photos, verify: bool = False, limit: int = ..., *, on_error: Return
    ) -> list[list[Suggestion] | ImageError]: ...
    def suggest(
        self,
        images: ImageSource | Photos,
        verify: bool = False,
        limit: int = MOST_SUGGESTIONS,
        *,
        on_error: OnError = "raise",
    ) -> list[Suggestion] | ImageError | Sequence[list[Suggestion] | ImageError]:
        """What would make each photo better: a list of [`Suggestion`]s, the most useful first.

        Args:
            verify: try edits, and keep those whose result is rated better by more than harmless changes are.
            limit: the most suggestions a photo.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
            ValueError: a negative limit.
        """
        found: _Suggested | list[_Suggested] = map_single_or_batch(
            images, lambda photos: self.suggest_stream(photos, verify, limit, on_error=on_error)
        )
        return found

    @overload
    def assess(
        self, images: ImageSource, verify: bool = False, *, on_error: Raise = "raise", batch_size: int = ...
    ) -> Assessment: ...
    @overload
    def assess(
        self, images: Photos, verify: bool = False, *, on_error: Raise = "raise", batch_size: int = ...
    ) -> list[Assessment]: ...
    @overload
    def assess(
        self, images: ImageSource, verify: bool = False, *, on_error: Return, batch_size: int = ...
    ) -> Assessment | ImageError: ...
    @overload
    def assess(
        self, images: Photos, verify: bool = False, *, on_error: Return, batch_size: int = ...
    ) -> list[Assessment | ImageError]: ...
    def assess(
        self,
        images: ImageSource | Photos,
        verify: bool = False,
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Assessment | ImageError | Sequence[Assessment | ImageError]:
        """Everything together: an [`Assessment`] of each photo; ratings, flaws and comment come from one reading of it.

        Args:
            verify: of the suggestions, as in `suggest`.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
        """
        return map_single_or_batch(
            images, lambda photos: self.assess_stream(photos, verify, on_error=on_error, batch_size=batch_size)
        )

    def rank(
        self,
        images: ImageSource | Photos,
        question: str | None = None,
        *,
        max_distance: int = BURST_DISTANCE,
        on_error: Skip = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> list[RankedPhoto]:
        """All photos, the best first; bursts are found. Of each photo only rating and hash are kept.

        Args:
            images: photos; of thousands give paths, or a generator.
            question: as in `score`.
            max_distance: bits in which the 64-bit perceptual hashes of one burst's photos may differ ([`group_bursts`]).
            on_error: `"raise"` the first photo's `ImageError`, or `"skip"` the photo with a warning; `index` says which are left.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
            RankingError: another `on_error`, or a distance that is none.
            RatingScaleError: the checkpoint does not answer the question.
        """
        rated = self.rated_photos(images, question, batch_size=batch_size)
        return rank_photos(rated, max_distance=max_distance, on_error=on_error)

    def pick(
        self,
        images: ImageSource | Photos,
        k: int,
        question: str | None = None,
        *,
        max_distance: int = BURST_DISTANCE,
        on_error: Skip = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> list[RankedPhoto]:
        """The `k` best photos, of each burst at most the best one; arguments and errors as of `rank`.

        Raises:
            RankingError: there are fewer, or `k` is less than 1.
        """
        if k < 1:  # known before photos are read
            raise RankingError(f"k must be at least 1, got {k}.")
        ranked = self.rank(images, question, max_distance=max_distance, on_error=on_error, batch_size=batch_size)
        return pick_ranked(ranked, k)

    def cull(
        self,
        images: ImageSource | Photos,
        question: str | None = None,
        *,
        keep: int = 1,
        max_gap: float = MAX_GAP,
        max_distance: int = BURST_DISTANCE,
        reject_margin: float = REJECT_MARGIN,
        on_error: Skip = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> list[CulledPhoto]:
        """Series in the order of shooting, with picks and rejects proposed in bursts; other series are left alone. Times and
        exposures are read from the EXIF data of paths, bytes and Pillow images.

        Args:
            images, question: as in `rank`; a file that is named again, by whatever path, is left out, for it would compete
                with itself.
            keep: picks of each burst.
            max_gap: seconds between neighbours of one series, where EXIF data have times.
            max_distance: as in `rank`.
            reject_margin: points by which a reject is behind the best of its burst ([`cull_photos`]).
            on_error: as in `rank`.

        Raises:
            ImageError: a photo cannot be read or judged, with `on_error="raise"`.
            RankingError: an argument that has no meaning.
            RatingScaleError: the checkpoint does not answer the question.
        """
        cull_photos({}, keep=keep, max_gap=max_gap, max_distance=max_distance, reject_margin=reject_margin)
        photos = as_photos(images)
        places: list[int] = []

        def different() -> Iterator[ImageSource | ImageError]:
            for index, image in different_photos(photos):
                places.append(index)
                yield image

        found = judged(self.rated_frames(different(), question, batch_size=batch_size), on_error)
        rated = {places[index]: frame for index, frame in found.items()}
        return cull_photos(rated, keep=keep, max_gap=max_gap, max_distance=max_distance, reject_margin=reject_margin)

    def compare(self, first: ImageSource, second: ImageSource, question: str | None = None) -> Comparison:
        """Which of two photos is better, how surely, and why.

        Raises:
            ImageError: a photo cannot be read or judged.
            RatingScaleError: the checkpoint does not answer the question.
        """
        return compare_photos(self.processor, self.ratings, first, second, question)

    def embed(self, images: ImageSource | Photos, *, batch_size: int = DEFAULT_BATCH_SIZE) -> PhotoEmbeddings:
        """Embeds photos: the mean of each group's visual tokens, [N, D]; N is 1 for a single photo.

        Raises:
            ImageError: a photo cannot be read or judged.
            ValueError: no photo was given.
        """

        def embed(photos: list[ReadPhoto[None]]) -> list[dict[str, torch.Tensor]]:
            tokens = tokens_of(self.engine.encode(photos, groups=TOKEN_GROUPS).features)
            means = {group: values.mean(dim=1).float().cpu() for group, values in tokens.items()}
            return [{group: values[index] for group, values in means.items()} for index in range(len(photos))]

        stream = self.engine.stream(as_photos(images), embed, nothing, on_error="raise", batch_size=batch_size)
        rows = [row for row in stream if not isinstance(row, ImageError)]  # errors were raised
        if not rows:
            raise ValueError("No photo was given to embed.")
        return PhotoEmbeddings(**{group: torch.stack([row[group] for row in rows]) for group in rows[0]})
