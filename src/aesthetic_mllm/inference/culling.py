"""Photos culled: series found, bursts judged, picks and rejects proposed."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..editing.alignment import align, grey_copy, overlapping, stops_between
from ..editing.perceptual_hash import perceptual_hash
from ..editing.tiles import SMALL_SIDE, detail_and_noise
from ..processing.image_loading import ImageError, ImageSource
from ..processing.rating_scale import Rating
from ..tasks.culling import REJECT_MARGIN, CulledPhoto, CullingError, Measured, Verdict, judge_burst
from .capture import Capture
from .ranking import BURST_DISTANCE
from .series import MAX_GAP, Frame, Series, find_series

# Share of the places, those with the most detail, in which the photos of a burst are compared: what is meant to be sharp, not the
# background.
_SHARPEST = 0.25
# What a stop more light adds to detail, in log2: twice that of values that are encoded with a gamma of about 2.2.
_DETAIL_OF_STOPS = 0.9
# Levels of 255 from which on a pixel is pure white, and up to which black.
_WHITE, _BLACK = 253, 2


class FrameNote(NamedTuple):
    """What is noted of a photo when it is read, before its pixels go."""

    hash: int
    grey: np.ndarray
    detail: np.ndarray
    coarse_detail: np.ndarray
    noise: float
    blown: float
    blocked: float


class RatedFrame(NamedTuple):
    """A photo that is ready to be culled: no pixels but a small grey copy."""

    rating: Rating
    note: FrameNote
    capture: Capture


def note_frame(image: Image.Image) -> FrameNote:
    """Measures a photo for culling; without its rating."""
    detail, noise = detail_and_noise(image)
    grey = np.asarray(image.convert("L").reduce(max(1, max(image.size) // 512)))
    return FrameNote(
        perceptual_hash(image),
        grey_copy(image),
        detail,
        detail_and_noise(image, SMALL_SIDE)[0],
        noise,
        float((grey >= _WHITE).mean()),
        float((grey <= _BLACK).mean()),
    )


def different_photos(images: Iterable[ImageSource | ImageError]) -> Iterator[tuple[int, ImageSource | ImageError]]:
    """The photos and their positions, without files that came before, be it by another path."""
    seen: set[str] = set()
    for index, image in enumerate(images):
        if isinstance(image, os.PathLike) or (isinstance(image, str) and not image.startswith("data:")):
            try:
                path = os.path.realpath(image)
            except ValueError:  # no path at all, which is told by whoever reads it
                path = str(image)
            if path in seen:
                continue
            seen.add(path)
        yield index, image


def cull_photos(
    rated: Mapping[int, RatedFrame],
    *,
    keep: int = 1,
    max_gap: float = MAX_GAP,
    max_distance: int = BURST_DISTANCE,
    reject_margin: float = REJECT_MARGIN,
) -> list[CulledPhoto]:
    """What is proposed for each photo: series in the order of shooting, in a burst the best photo first.

    Args:
        rated: photos by their position in the input.
        keep: picks of each burst.
        max_gap, max_distance: of [`find_series`].
        reject_margin: points of a 1 to 10 rating, measured losses included, by which a reject is behind the best of its burst.

    Raises:
        CullingError: `keep` below 1, or a gap or margin below 0.
        RankingError: a distance that is none.
    """
    if keep < 1:
        raise CullingError(f"keep must be at least 1, got {keep}.")
    if not reject_margin >= 0:
        raise CullingError(f"reject_margin must be at least 0 points, got {reject_margin:g}.")
    indices = list(rated)
    frames = [
        Frame(each.note.hash, each.note.grey, each.note.detail, each.capture) for each in (rated[index] for index in indices)
    ]
    photos: list[CulledPhoto] = []
    for number, series in enumerate(find_series(frames, max_gap=max_gap, max_distance=max_distance)):
        members = [indices[photo] for photo in series.photos]
        if series.kind == "burst":
            photos += _culled_burst(number, members, rated, keep, reject_margin)
        else:
            photos += [_left_alone(number, series, index, rated[index].rating) for index in members]
    return photos


def _left_alone(number: int, series: Series, index: int, rating: Rating) -> CulledPhoto:
    return CulledPhoto(index, rating, number, series.kind, len(series.photos), None, "left_alone")


def _culled_burst(
    number: int, members: Sequence[int], rated: Mapping[int, RatedFrame], keep: int, reject_margin: float
) -> list[CulledPhoto]:
    photos = [rated[index] for index in members]
    measured = measure_burst([photo.note for photo in photos])
    culled = []
    for place, (at, behind, reasons) in enumerate(judge_burst([photo.rating for photo in photos], measured), 1):
        verdict: Verdict = "pick" if place <= keep else "reject" if behind >= reject_margin else "undecided"
        culled.append(
            CulledPhoto(members[at], photos[at].rating, number, "burst", len(members), place, verdict, reasons, measured[at])
        )
    return culled


def measure_burst(notes: Sequence[FrameNote]) -> list[Measured]:
    """Each photo of a burst against the others: detail where the burst is sharpest, exposure against its middle photo."""
    places = np.array([note.coarse_detail.ravel() for note in notes])
    first = notes[0].grey
    stops = np.array([0.0, *(_stops(first, note.grey) for note in notes[1:])])
    stops -= np.median(stops)
    places = places - _DETAIL_OF_STOPS * stops[:, None]
    typical = places.max(axis=0)
    sharpest = typical >= np.quantile(typical, 1 - _SHARPEST)
    return [
        Measured(float(detail[sharpest].mean()), note.noise, note.blown, note.blocked, float(brighter))
        for detail, note, brighter in zip(places, notes, stops, strict=True)
    ]


def _stops(first: np.ndarray, second: np.ndarray) -> float:
    return stops_between(*overlapping(first, second, align(first, second)))
