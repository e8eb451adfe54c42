"""Many photos in order, the best of each burst, and two photos side by side."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from ..editing.measurements import measure
from ..editing.perceptual_hash import BITS
from ..processing.image_loading import ImageError, ImageSource
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating
from ..tasks.ranking import (
    MEASURED_TRAITS,
    Comparison,
    RankedPhoto,
    RankingError,
    attribute_reasons,
    measured_reasons,
    probability_better,
)

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Rate = Callable[[list[ImageSource], list[str]], Sequence[Mapping[str, Rating]]]

# Bits in which the hashes of photos of one burst may differ. Of shots of one scene by a hand that turns by half a degree and
# moves by 1% of the frame, nine of ten pairs lie within; of pairs of other people's photos that do, nearly all show one scene.
# From 12 on, one pair in ten shows two.
BURST_DISTANCE = 10
# Photos are measured at most this long, and both alike.
MEASURED_SIDE = 512


class RatedPhoto(NamedTuple):
    """What is kept of a photo until all are rated: no pixels."""

    rating: Rating
    hash: int


def rank_photos(
    rated: Iterable[RatedPhoto | ImageError],
    *,
    max_distance: int = BURST_DISTANCE,
    on_error: Literal["raise", "skip"] = "raise",
) -> list[RankedPhoto]:
    """All photos, the best first; equal ones in their order.

    Args:
        rated: photos, or an error in the place of one that cannot be judged.
        max_distance: of [`group_bursts`].
        on_error: `"raise"` the first photo's `ImageError`, or `"skip"` the photo with a warning; `index` tells which are left.

    Raises:
        ImageError: a photo cannot be judged, with `on_error="raise"`.
        RankingError: another `on_error`, or a distance that is none.
    """
    _check_distance(max_distance)
    return order_photos(judged(rated, on_error), max_distance)


def judged(results: Iterable[Result | ImageError], on_error: Literal["raise", "skip"]) -> dict[int, Result]:
    """Results by their position, without those of photos that cannot be judged.

    Args:
        on_error: as of [`rank_photos`].

    Raises:
        ImageError: a photo cannot be judged, with `on_error="raise"`.
        RankingError: another `on_error`.
    """
    if on_error not in ("raise", "skip"):
        raise RankingError(f"on_error must be 'raise' or 'skip', got {on_error!r}.")
    found: dict[int, Result] = {}
    for index, result in enumerate(results):
        if not isinstance(result, ImageError):
            found[index] = result
        elif on_error == "raise":
            raise result
        else:
            logger.warning("Left out of the ranking: %s", result)
    return found


def pick_ranked(ranked: Sequence[RankedPhoto], k: int) -> list[RankedPhoto]:
    """The `k` best of photos that are ranked already, of each burst at most the best one.

    Raises:
        RankingError: `k` is less than 1, or more than there are bursts; a lone photo is one too.
    """
    if k < 1:
        raise RankingError(f"k must be at least 1, got {k}.")
    best = [photo for photo in ranked if photo.best_of_group]
    if k > len(best):
        raise RankingError(
            f"{k} photos cannot be picked of {len(ranked)}: without near-duplicates they are {len(best)}. Pick from 1 to "
            f"{len(best)}, or lower max_distance to keep more of them apart."
        )
    return _with_lead(best[:k])


def order_photos(rated: Mapping[int, RatedPhoto], max_distance: int = BURST_DISTANCE) -> list[RankedPhoto]:
    """The photos in order, the best first.

    Args:
        rated: photos by their position in the input.
        max_distance: of [`group_bursts`].
    """
    ranked = sorted(rated, key=lambda index: (-rated[index].rating.mean, index))
    groups = group_bursts([rated[index].hash for index in ranked], max_distance)
    seen: set[int] = set()
    photos = []
    for index, group in zip(ranked, groups, strict=True):
        photos.append(RankedPhoto(index, rated[index].rating, group, best_of_group=group not in seen, ahead_of_next=None))
        seen.add(group)
    return _with_lead(photos)


def _with_lead(photos: Sequence[RankedPhoto]) -> list[RankedPhoto]:
    """The photos, each with its lead over the one that follows here."""
    return [
        replace(photo, ahead_of_next=probability_better(photo.rating, following.rating) if following else None)
        for photo, following in zip_longest(photos, photos[1:])
    ]


def group_bursts(hashes: Sequence[int], max_distance: int = BURST_DISTANCE) -> list[int]:
    """The group of each photo, numbered from 0 as they come. It holds all that are like one of its photos.

    So the first and the last photo of a long burst may differ by more than `max_distance`, if there are photos between them. All
    pairs are compared: a second for some ten thousand photos.

    Args:
        hashes: of [`perceptual_hash`].
        max_distance: bits in which two photos are alike, 0 to 63. Distances are even, but for photos without any detail.

    Raises:
        RankingError: another `max_distance`.
    """
    _check_distance(max_distance)
    bits = np.unpackbits(np.array(hashes, dtype=">u8").view(np.uint8)).reshape(len(hashes), BITS)
    signs = bits.astype(np.float32) * 2 - 1  # the product of two rows is BITS - 2 * distance
    groups = np.full(len(hashes), -1)
    count = 0
    for start in range(len(hashes)):
        if groups[start] >= 0:
            continue
        reached = [start]
        groups[start] = count
        while reached:
            alike = signs @ signs[reached.pop()] >= BITS - 2 * max_distance
            new = np.flatnonzero(alike & (groups < 0))
            groups[new] = count
            reached.extend(new.tolist())
        count += 1
    return groups.tolist()


def compare_photos(
    processor: AestheticMLLMProcessor, rate: Rate, first: ImageSource, second: ImageSource, question: str | None = None
) -> Comparison:
    """Which of two photos is better, how surely, and why.

    The reasons are the attributes in which they differ most. A checkpoint without attributes gives measured differences
    instead, such as which is brighter: facts, that may or may not be why.

    Args:
        processor: reads the photos and says what can be asked.
        rate: photos and questions to each photo's ratings by question.

    Raises:
        ImageError: a photo cannot be read or judged.
        RatingScaleError: the checkpoint does not answer the question.
    """
    scale = processor.rating_scale
    question = question or scale.default_question
    rated = rate([first, second], list(dict.fromkeys([question, *scale.attributes])))
    ratings = rated[0][question], rated[1][question]
    if scale.attributes:
        reasons = attribute_reasons(*({name: photo[name] for name in scale.attributes} for photo in rated))
    else:
        reasons = _measured_reasons(*(processor.image_processor.read(source) for source in (first, second)))
    return Comparison(*ratings, probability_better(*ratings), reasons)


def _measured_reasons(*images: Image.Image) -> tuple[str, ...]:
    side = min(MEASURED_SIDE, *(max(image.size) for image in images))
    for image in images:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return measured_reasons(*(measure(image, MEASURED_TRAITS) for image in images))


def _check_distance(max_distance: int) -> None:
    if not 0 <= max_distance < BITS:
        raise RankingError(f"max_distance must be from 0 to {BITS - 1} bits, got {max_distance}.")
