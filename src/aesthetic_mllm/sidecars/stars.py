"""From ratings to stars, rejects and picks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .names import SidecarError
from .packet import REJECTED, Marks

MOST_STARS = 5
LABELS = ("low", "below average", "average", "above average", "high")


@dataclass(frozen=True)
class Borders:
    """From which value on a photo has 2, 3, 4 and 5 stars; below the first it has one.

    Args:
        stars: four rising numbers, in percent of the photos or on the ratings' range.
        in_percent: whether these are percent of the photos at hand; otherwise they are ratings.
        reject_below: photos below it are rejected, in the same unit.
        pick_from: photos from it on are flagged as picks, in the same unit.

    Raises:
        SidecarError: the numbers do not rise, percent lie outside 0 to 100, or a photo could be both reject and pick.
    """

    stars: tuple[float, ...] = (10.0, 30.0, 60.0, 85.0)
    in_percent: bool = True
    reject_below: float | None = None
    pick_from: float | None = None

    def __post_init__(self) -> None:
        if len(self.stars) != MOST_STARS - 1 or any(low >= high for low, high in zip(self.stars, self.stars[1:], strict=False)):
            raise SidecarError(
                f"Borders between stars must be {MOST_STARS - 1} rising numbers, such as 10,30,60,85; got {_shown(self.stars)}."
            )
        others = [value for value in (self.reject_below, self.pick_from) if value is not None]
        values = [*self.stars, *others]
        if not all(map(math.isfinite, values)):
            raise SidecarError(f"Borders must be numbers that are finite; got {_shown(values)}.")
        if self.in_percent and not all(0 <= value <= 100 for value in values):
            raise SidecarError(f"Borders in percent must lie within 0 and 100; got {_shown(values)}.")
        if len(others) == 2 and others[0] > others[1]:
            raise SidecarError(f"Photos below {others[0]:g} cannot be rejects while those from {others[1]:g} on are picks.")

    def check_range(self, low: float, high: float) -> None:
        """Raises a `SidecarError` where a border is a rating that no photo can have."""
        values = [*self.stars, *(value for value in (self.reject_below, self.pick_from) if value is not None)]
        if not self.in_percent and not all(low <= value <= high for value in values):
            raise SidecarError(
                f"Borders in ratings must lie within {low:g} and {high:g}, which the checkpoint rates in; got {_shown(values)}. "
                "--stars takes percent."
            )


def _shown(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)


def marks_of(means: Sequence[float], borders: Borders, tag_prefix: str | None = None) -> list[Marks]:
    """Stars, flag and tag of each photo.

    In percent, a photo's place is the share of the photos that are rated lower, equal ones counting half. So equal ratings have
    equal stars, and a lone photo lies in the middle.

    Args:
        means: the photos' ratings.
        tag_prefix: first level of a tag such as `aesthetic|high`; default no tags.
    """
    values = np.asarray(means, dtype=np.float64)
    if borders.in_percent and len(values):
        ordered = np.sort(values)
        lower, upto = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
        places = (lower + upto) / (2 * len(values)) * 100
    else:
        places = values
    marks = []
    for place in places.tolist():
        stars = 1 + sum(place >= border for border in borders.stars)
        rejected = borders.reject_below is not None and place < borders.reject_below
        picked = borders.pick_from is not None and place >= borders.pick_from
        flagged = borders.reject_below is not None or borders.pick_from is not None
        tags = None if tag_prefix is None else (f"{tag_prefix}|{label_of(stars)}",)
        marks.append(Marks(REJECTED if rejected else stars, (picked - rejected) if flagged else None, tags, tag_prefix))
    return marks


def label_of(stars: int) -> str:
    """The word of 1 to 5 stars, for tags."""
    return LABELS[stars - 1]
