"""From photos and what a person said of them to a profile, and what the model saw of its photos."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

from PIL import Image

from ..engine.engine import DEFAULT_BATCH_SIZE, AestheticEngine, ReadPhoto
from ..processing.image_loading import ImageError, ImageSource
from ..tasks.personalizing import Profile, ProfileError
from .profile_photos import ProfilePhotos, photo_key

Keep = Literal["tokens", "thumbnails"]
Source = TypeVar("Source", bound=ImageSource)
Ratings = Mapping[Source, float] | Iterable[tuple[ImageSource, float]]
# Shows how far it is: takes the photos and gives them on, as tqdm does.
Progress = Callable[[Sequence[ImageSource]], Iterable[ImageSource]]


def make_profile(
    engine: AestheticEngine,
    ratings: Ratings[Source] = (),
    *,
    pairs: Iterable[tuple[ImageSource, ImageSource]] = (),
    likes: Iterable[ImageSource] = (),
    score_range: tuple[float, float] | None = None,
    question: str | None = None,
    keep: Keep = "tokens",
    progress: Progress = iter,
) -> tuple[Profile, ProfilePhotos | None]:
    """The profile of what a person says, and its photos; `None` where there are none.

    Args:
        ratings: photos with their ratings, the higher the better.
        pairs: the preferred photo, and the other.
        likes: photos that are liked; of others nothing is known.
        score_range: worst and best rating that could be given; default a usual range of which the ratings reach both ends.
        question: that the ratings answer; default the checkpoint's first.
        keep: what is kept of the photos: what the model saw of them ("tokens"), or also small "thumbnails".
        progress: shows how far it is.

    Raises:
        ImageError: a photo cannot be read or judged.
        ProfileError: what was said makes no profile.
        RatingScaleError: the checkpoint does not answer the question.
    """
    question = question or engine.processor.rating_scale.default_question
    engine.processor.rating_scale.question(question)
    if keep not in ("tokens", "thumbnails"):
        raise ProfileError(f"keep must be 'tokens' or 'thumbnails', got {keep!r}.")
    rated: list[tuple[ImageSource, float]] = list(ratings.items() if isinstance(ratings, Mapping) else ratings)
    preferred, liked = list(pairs), list(likes)
    if sum(map(bool, (rated, preferred, liked))) > 1:
        raise ProfileError("Ratings, pairs and likes make different profiles; give one of them.")
    sources = [source for source, _ in rated] + [source for pair in preferred for source in pair] + liked
    keys, photos = encode_photos(engine, sources, question, keep == "thumbnails", progress)
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


def encode_photos(
    engine: AestheticEngine,
    sources: Sequence[ImageSource],
    question: str,
    keep_thumbnails: bool = False,
    progress: Progress = iter,
) -> tuple[list[str], ProfilePhotos | None]:
    """Key of each photo, and what the model sees of them: in one pass, few photos at a time."""
    counts = engine.processor.num_example_tokens
    questions = list(dict.fromkeys([question, *engine.processor.rating_scale.attributes]))

    def encode(photos: list[ReadPhoto[Image.Image]]) -> list[tuple[str, ProfilePhotos]]:
        encoded = engine.encode(photos, statistics=True)
        ratings = engine.rate(encoded, questions)
        seen = ProfilePhotos.from_features(photos, encoded.features, ratings, question, counts, keep_thumbnails)
        return [(photo_key(photo), seen.select([row])) for row, photo in enumerate(photos)]

    results = engine.stream(progress(sources), encode, lambda image: image, on_error="raise", batch_size=DEFAULT_BATCH_SIZE)
    found = [result for result in results if not isinstance(result, ImageError)]  # errors were raised
    return [key for key, _ in found], ProfilePhotos.concat([seen for _, seen in found]) if found else None
