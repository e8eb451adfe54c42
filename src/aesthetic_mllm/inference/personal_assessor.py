"""An assessor that predicts one person's ratings: the same methods, with a profile of the photos they rated."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from PIL import Image

from ..modeling.model_outputs import AestheticImageFeatures
from ..processing.image_loading import ImageError, ImageSource
from ..processing.rating_scale import Rating
from ..tasks.personalizing import TRAITS, Profile, ProfileError, Reliability, Taste, tastes
from .assessor import DEFAULT_BATCH_SIZE, AestheticAssessor
from .personalizers import InContextPersonalizer, Personalizer, RidgePersonalizer, choose_method
from .photo_stream import OnError, ReadPhoto, read_photo, stream_photos
from .prefix_cache import PrefixCache, split_prompts
from .profile_file import checkpoint_digest, load_profile, save_profile
from .profile_photos import ProfilePhotos, photo_key
from .rater_prior import RaterPrior

Keep = Literal["tokens", "thumbnails"]
Ratings = Mapping[ImageSource, float] | Iterable[tuple[ImageSource, float]]


# Shows how far it is: takes the photos and gives them on, as tqdm does.
Progress = Callable[[Sequence[ImageSource]], Iterable[ImageSource]]


class PersonalAssessor(AestheticAssessor):
    """Judges photos as one person would; made by [`AestheticAssessor.personalize`] or [`PersonalAssessor.load`].

    Every method is the assessor's own. Ratings of the profile's question are the person's, and so is what follows from them:
    order, picks, comparisons, and which suggestions are worth making. Other questions, attributes and comments are about the
    photo and stay as they are. A profile of no photos gives exactly the general ratings. Personal ratings have no percentile.

    Args:
        assessor: whose model and processor it shares.
        profile: what the person said.
        photos: what was seen of the profile's photos; `None` for a profile of none.
        method: a name of [`METHODS`], or "auto".

    Raises:
        ProfileError: no such method, or the checkpoint does not support it.
    """

    def __init__(
        self,
        assessor: AestheticAssessor,
        profile: Profile,
        photos: ProfilePhotos | None = None,
        method: str = "auto",
    ):
        super().__init__(assessor.model, assessor.processor)
        self.profile, self._photos, self._method_name = profile, photos, method
        self._prior = _prior(assessor)
        self.method = self._make_method(choose_method(method))

    @classmethod
    def of_ratings(
        cls, assessor: AestheticAssessor, ratings: Ratings = (), *, method: str = "auto", **said: Any
    ) -> "PersonalAssessor":
        """See [`AestheticAssessor.personalize`]."""
        profile, photos = _listen(assessor, ratings, **said)
        return cls(assessor, profile, photos, method)

    def update(self, ratings: Ratings = (), **said: Any) -> "PersonalAssessor":
        """This person after more ratings, pairs or likes of the same kind; of a photo rated again the newer rating counts.

        Args:
            ratings, said: as of `personalize`; the range is the profile's where none is stated, and what is kept of photos too.

        Raises:
            ImageError, ProfileError: as `personalize`; or the new ones do not fit the profile.
        """
        keep: Keep = "thumbnails" if self._photos is not None and self._photos.thumbnails else "tokens"
        method = said.pop("method", self._method_name)
        own = {"score_range": self.profile.source_range, "question": self.profile.question, "keep": keep}
        newer, photos = _listen(self, ratings, **own | said)
        if photos is None:
            return self
        if self._photos is None:
            return PersonalAssessor(self, newer, photos, method)
        profile = self.profile.updated(newer)
        both = ProfilePhotos.concat([self._photos, photos])
        places = {key: place for place, key in enumerate([*self.profile.photos, *newer.photos])}
        return PersonalAssessor(self, profile, both.select([places[key] for key in profile.photos]), method)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the profile to one safetensors file. It holds no photos but thumbnails, and those only if they were to be kept.

        Raises:
            ProfileError: the file cannot be written.
        """
        checkpoint = checkpoint_digest(self.model, self.processor, self._prior)
        save_profile(path, self.profile, self._photos, self._method_name, checkpoint)

    @classmethod
    def load(cls, path: str | os.PathLike[str], assessor: AestheticAssessor) -> "PersonalAssessor":
        """The person whose profile was saved, with identical ratings.

        Raises:
            ProfileError: there is no such file, it is no profile, was changed, or was made with another checkpoint or version.
        """
        checkpoint = checkpoint_digest(assessor.model, assessor.processor, _prior(assessor))
        profile, photos, method = load_profile(path, checkpoint)
        return cls(assessor, profile, photos, method)

    def describe(self) -> tuple[Taste, ...]:
        """What the profile certainly says of the person's taste, the strongest first: what they like more, or less, than the
        general ratings explain. Of measured traits; where they tell nothing, of rated attributes. Empty where nothing is
        certain."""
        if self._photos is None or self.profile.kind == "likes":
            return ()
        scores = self.profile.scores(self.processor.rating_scale)
        measured = {name: values for name, values in self._photos.traits.items() if name in TRAITS}
        judged = {name: values for name, values in self._photos.traits.items() if name not in TRAITS}
        # attributes go up and down with the whole, so they are soon taken for what was measured
        return tastes(scores, self._photos.general, measured) or tastes(scores, self._photos.general, judged)

    def reliability(self) -> Reliability:
        """How reliable the personal ratings are: how well each rating of the profile is predicted from the others."""
        if self._photos is None:
            return Reliability(0, None, (-1.0, 1.0), None)
        scale, photos = self.processor.rating_scale, self._photos
        fitted = RidgePersonalizer.fit(scale, self.profile, photos, self._prior).fitted
        return Reliability.of(self.profile.scores(scale), photos.general + fitted.left_out, photos.general)

    def thumbnails(self) -> list[Image.Image]:
        """The profile's photos, small; empty where they were not to be kept."""
        files = () if self._photos is None else self._photos.thumbnails
        return [Image.open(io.BytesIO(file)) for file in files]

    def score_stream(
        self,
        images: Iterable[ImageSource],
        question: str | None = None,
        *,
        on_error: OnError = "raise",
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Iterator[Rating | ImageError]:
        """As the assessor's, with this person's ratings."""
        method = self.method
        if method is None or (question or self.processor.rating_scale.default_question) != self.profile.question:
            return super().score_stream(images, question, on_error=on_error, batch_size=batch_size)
        prompt = torch.tensor([self._prompt(question)], device=self.model.device)

        def rate(photos: list[ReadPhoto]) -> list[Rating]:
            seen = self._see(photos)
            if not method.reads_general:
                return method.rate(seen, ())
            logits = self.model.level_logits(
                self.processor.level_ids,
                input_ids=prompt.expand(len(photos), -1),
                mm_encoder_outputs={"image": seen},
            )
            return method.rate(seen, self.processor.rating_scale.read_level_logits(logits, question))

        return self._stream(images, rate, on_error, batch_size)

    def _read_ratings(
        self, shared: PrefixCache, questions: Sequence[str], suffixes: Sequence[Sequence[int]]
    ) -> list[dict[str, Rating]]:
        """As the assessor's; the profile's question is answered as this person would."""
        rated = super()._read_ratings(shared, questions, suffixes)
        if self.method is not None and self.profile.question in questions:
            question = self.profile.question
            personal = self.method.rate(shared.features, [ratings[question] for ratings in rated])
            rated = [ratings | {question: own} for ratings, own in zip(rated, personal, strict=True)]
        return rated

    def _see(self, photos: list[ReadPhoto], statistics: bool = True) -> AestheticImageFeatures:
        """As the assessor's, with what tastes are read from."""
        return super()._see(photos, statistics)

    def _make_method(self, name: str) -> Personalizer | None:
        """The method of a name; none for a profile of no photos, which is nobody's in particular."""
        photos, scale = self._photos, self.processor.rating_scale
        if photos is None:
            return None
        if name == "ridge":
            return RidgePersonalizer.fit(scale, self.profile, photos, self._prior)
        return InContextPersonalizer.read(self.model, self.processor, self.profile, photos)


def _prior(assessor: AestheticAssessor) -> RaterPrior | None:
    """Other people's tastes, where the checkpoint carries them."""
    return RaterPrior.of_processor(assessor.processor)


def _listen(
    assessor: AestheticAssessor,
    ratings: Ratings = (),
    *,
    pairs: Iterable[tuple[ImageSource, ImageSource]] = (),
    likes: Iterable[ImageSource] = (),
    score_range: tuple[float, float] | None = None,
    question: str | None = None,
    keep: Keep = "tokens",
    progress: Progress = iter,
) -> tuple[Profile, ProfilePhotos | None]:
    """The profile of what a person says, and its photos; arguments as of [`AestheticAssessor.personalize`]."""
    question = question or assessor.processor.rating_scale.default_question
    assessor.processor.rating_scale.question(question)
    if keep not in ("tokens", "thumbnails"):
        raise ProfileError(f"keep must be 'tokens' or 'thumbnails', got {keep!r}.")
    rated = list(ratings.items() if isinstance(ratings, Mapping) else ratings)
    preferred, liked = list(pairs), list(likes)
    if sum(map(bool, (rated, preferred, liked))) > 1:
        raise ProfileError("Ratings, pairs and likes make different profiles; give one of them.")
    sources = [source for source, _ in rated] + [source for pair in preferred for source in pair] + liked
    keys, photos = _see(assessor, sources, question, keep == "thumbnails", progress)
    names = {key: str(source) for key, source in zip(keys, sources, strict=True) if isinstance(source, str | os.PathLike)}
    if preferred:
        profile = Profile.from_pairs(list(zip(keys[::2], keys[1::2], strict=True)), question, names)
    elif liked:
        profile = Profile.from_likes(keys, question)
    else:
        values = [float(value) for _, value in rated]
        profile = Profile.from_ratings(list(zip(keys, values, strict=True)), question, score_range, names)
    if photos is not None:
        photos = photos.select([keys.index(key) for key in profile.photos])
    return profile, photos


def _see(
    assessor: AestheticAssessor,
    sources: Sequence[ImageSource],
    question: str,
    keep_thumbnails: bool,
    progress: Progress,
) -> tuple[list[str], ProfilePhotos | None]:
    """Key of each photo, and what the model sees of them: in one pass, few photos at a time."""
    processor = assessor.processor
    questions = list(dict.fromkeys([question, *processor.rating_scale.attributes]))
    prefix, suffixes = split_prompts([assessor._prompt(each) for each in questions])

    def see(photos: list[ReadPhoto]) -> list[tuple[str, ProfilePhotos]]:
        shared = PrefixCache(assessor.model, prefix, assessor._see(photos, statistics=True))
        # the general ratings: a profile says how a person differs from them
        ratings = AestheticAssessor._read_ratings(assessor, shared, questions, suffixes)
        seen = ProfilePhotos.from_features(
            photos, shared.features, ratings, question, processor.num_example_tokens, keep_thumbnails
        )
        return [(photo_key(photo), seen.select([row])) for row, photo in enumerate(photos)]

    found: list[Any] = list(
        stream_photos(
            progress(sources),
            lambda source: read_photo(processor.image_processor, source, keep_image=True),
            torch.inference_mode()(see),
            read_ahead=assessor._reads_ahead,
            on_error="raise",
            batch_size=DEFAULT_BATCH_SIZE,
        )
    )
    return [key for key, _ in found], ProfilePhotos.concat([seen for _, seen in found]) if found else None
