"""Culling: which photos of a series to keep and which to let go, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..processing.rating_scale import Rating
from .ranking import RankingError

Kind = Literal["single", "burst", "bracket", "panorama", "focus_stack"]
Verdict = Literal["pick", "reject", "undecided", "left_alone"]
# Series whose photos belong together: none of them is better than another.
BELONGING_TOGETHER: tuple[Kind, ...] = ("bracket", "panorama", "focus_stack")
MOST_REASONS = 3
NO_REASON = "hardly different from the next best"


class CullingError(RankingError):
    """An argument of culling that has no meaning."""


@dataclass(frozen=True)
class Measured:
    """What is measured of a photo against the others of its burst.

    Args:
        detail: log2 of the detail where the burst is sharpest; noise does not count as detail.
        noise: standard deviation in levels of 255.
        blown, blocked: shares of pixels that are pure white and pure black.
        stops: how much brighter than the middle photo of the burst.
    """

    detail: float
    noise: float
    blown: float
    blocked: float
    stops: float

    def to_dict(self) -> dict[str, float]:
        """The values by name."""
        return {
            "detail": self.detail, "noise": self.noise, "blown": self.blown, "blocked": self.blocked, "stops": self.stops
        }  # fmt: skip


@dataclass(frozen=True)
class CulledPhoto:
    """A photo, its series and what is proposed for it.

    Args:
        index: its position in the input, from 0.
        rating: of the question that was asked.
        series: number of its series, from 0 in the order of shooting; a lone photo is one, too.
        kind: `"burst"`, `"bracket"`, `"panorama"`, `"focus_stack"` or `"single"`.
        series_size: photos of the series.
        place: 1 for the best of a burst; `None` elsewhere.
        verdict: `"pick"`, `"reject"` or `"undecided"` in a burst, `"left_alone"` elsewhere.
        reasons: of the verdict, in plain words; only what was rated or measured.
        measured: against the others of its burst; `None` elsewhere.
    """

    index: int
    rating: Rating
    series: int
    kind: Kind
    series_size: int
    place: int | None
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    measured: Measured | None = None

    def to_dict(self) -> dict[str, Any]:
        """The proposal as plain JSON values."""
        return {
            "index": self.index,
            "rating": self.rating.to_dict(),
            "series": self.series,
            "kind": self.kind,
            "series_size": self.series_size,
            "place": self.place,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "measured": None if self.measured is None else self.measured.to_dict(),
        }


@dataclass(frozen=True)
class _Trait:
    """A measured difference that counts.

    Args:
        better, worse: what the photo with less and with more of it is.
        points: what one unit takes from a rating.
    """

    better: str
    worse: str
    points: float


# Points for a unit of each of `_losses`; of a rating on 1 to 10.
_TRAITS = {
    "blur": _Trait("sharper", "less sharp", 0.8),
    "noise": _Trait("less noisy", "noisier", 0.3),
    "blown": _Trait("less blown out", "more blown out", 15.0),
    "blocked": _Trait("less blocked in the shadows", "more blocked in the shadows", 8.0),
    "darkness": _Trait("better exposed", "darker than the others", 0.5),
    "brightness": _Trait("better exposed", "brighter than the others", 0.5),
    "rating": _Trait("rated higher", "rated lower", 1.0),
}
# A difference in points that a reader can see is a reason; a photo that is so much worse than the best is a reject.
_LEAST_REASON, REJECT_MARGIN = 0.15, 0.8
# Photos of one burst differ in exposure by less without anybody having erred.
_FREE_STOPS = 0.3
# A difference in detail below this, in log2, is that of a hand's or a leaf's move.
_FREE_BLUR = 0.3


def judge_burst(ratings: Sequence[Rating], measured: Sequence[Measured]) -> list[tuple[int, float, tuple[str, ...]]]:
    """The photos of a burst, the best first: index, points behind the best, and the reasons for its place.

    What decides is the rating, less what is measured to be worse than in the other photos: blur, noise, clipping, exposure.
    """
    losses = [_losses(rating, each, ratings, measured) for rating, each in zip(ratings, measured, strict=True)]
    points = [sum(_TRAITS[name].points * loss for name, loss in each.items()) for each in losses]
    order = sorted(range(len(points)), key=lambda index: (points[index], index))
    best, second = order[0], order[1]
    placed = []
    for index in order:
        other = losses[second] if index == best else losses[best]
        placed.append((index, points[index] - points[best], _reasons(losses[index], other, index == best)))
    return placed


def _losses(rating: Rating, photo: Measured, ratings: Sequence[Rating], burst: Sequence[Measured]) -> dict[str, float]:
    """By how much a photo is worse than the best of its burst, in each trait."""
    low, high = rating.score_range
    return {
        "blur": max(0.0, max(each.detail for each in burst) - photo.detail - _FREE_BLUR),
        "noise": photo.noise - min(each.noise for each in burst),
        "blown": photo.blown - min(each.blown for each in burst),
        "blocked": photo.blocked - min(each.blocked for each in burst),
        "darkness": max(0.0, -photo.stops - _FREE_STOPS),
        "brightness": max(0.0, photo.stops - _FREE_STOPS),
        "rating": (max(each.mean for each in ratings) - rating.mean) * 9 / (high - low),
    }


def _reasons(losses: dict[str, float], other: dict[str, float], is_best: bool) -> tuple[str, ...]:
    """In what the photo is better than the other, if it is the best, or else worse; the largest difference first."""
    sign = 1 if is_best else -1
    gains = {name: sign * (other[name] - losses[name]) * trait.points for name, trait in _TRAITS.items()}
    names = sorted((name for name, gain in gains.items() if gain >= _LEAST_REASON), key=lambda name: -gains[name])
    words = [_TRAITS[name].better if is_best else _TRAITS[name].worse for name in names]
    if is_best and not words:
        return (NO_REASON,)
    return tuple(dict.fromkeys(words))[:MOST_REASONS]
