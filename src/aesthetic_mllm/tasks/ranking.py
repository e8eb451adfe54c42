"""Ranking: which of several photos is better, how surely, and why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..processing.rating_scale import Rating

# Reasons that a comparison gives at most, and how much of the score range an attribute must differ by to be one.
MOST_REASONS = 3
LEAST_DIFFERENCE = 0.05
# The one attribute whose key names what is bad.
ATTRIBUTE_NAMES = {"noise": "freedom from noise"}


class RankingError(ValueError):
    """Photos that cannot be put in order, or a number of photos that cannot be picked."""


@dataclass(frozen=True)
class RankedPhoto:
    """A photo's place among others.

    Args:
        index: its position in the input, from 0.
        rating: of the question by which the photos are ranked.
        group: number of its burst, from 0 for the burst with the best photo; photos that look nearly the same share it.
        best_of_group: no photo of its burst is rated higher.
        ahead_of_next: probability that it is better than the next photo of the list; `None` for the last one.
    """

    index: int
    rating: Rating
    group: int
    best_of_group: bool
    ahead_of_next: float | None

    def to_dict(self) -> dict[str, Any]:
        """The photo's place as plain JSON values."""
        return {
            "index": self.index,
            "rating": self.rating.to_dict(),
            "group": self.group,
            "best_of_group": self.best_of_group,
            "ahead_of_next": self.ahead_of_next,
        }


@dataclass(frozen=True)
class Comparison:
    """Two photos side by side.

    Args:
        first, second: their ratings in the same question.
        probability_first: that the first is better, 0 to 1.
        reasons: in what they differ most, in plain words, the largest difference first; none where they hardly differ.
    """

    first: Rating
    second: Rating
    probability_first: float
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain JSON values."""
        return {
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "probability_first": self.probability_first,
            "reasons": list(self.reasons),
        }


def probability_better(first: Rating, second: Rating) -> float:
    """The probability that the first photo is better, 0 to 1; 0.5 for equal ratings.

    From distributions over the same level words: P(X > Y) + P(X = Y) / 2, for independent X and Y. Where a rating has only mean
    and spread, normal distributions take their place: Phi((m1 - m2) / sqrt(s1^2 + s2^2)), a missing spread counting as 0. As the
    distributions are those of people's ratings, this is how often a person's rating of the first photo beats another's of the
    second: it is nearer to 0.5 than the certainty that the first has the higher mean.

    Raises:
        RankingError: the ratings have different ranges.
    """
    if first.score_range != second.score_range:
        raise RankingError(f"Ratings from {first.score_range} and from {second.score_range} cannot be compared; rescale one.")
    if first.distribution and second.distribution and list(first.distribution) == list(second.distribution):
        shares, others = list(first.distribution.values()), list(second.distribution.values())
        # 1 - that of the swapped pair, to the last bit of what rounding leaves
        wins, losses = _beats(shares, others), _beats(others, shares)
        return (1 + wins - losses) / 2
    difference, spread = first.mean - second.mean, math.hypot(first.std or 0, second.std or 0)
    if spread == 0:
        return 0.5 if difference == 0 else float(difference > 0)
    return 0.5 * math.erfc(-difference / (spread * math.sqrt(2)))


def _beats(shares: list[float], others: list[float]) -> float:
    """P(X > Y) over levels, worst first."""
    return sum(share * sum(others[:level]) for level, share in enumerate(shares))


def attribute_reasons(first: Mapping[str, Rating], second: Mapping[str, Rating]) -> tuple[str, ...]:
    """The attributes that two photos differ in most, as sentences.

    Args:
        first, second: ratings of the same attributes by name.
    """
    differences = {}
    for name, rating in first.items():
        low, high = rating.score_range
        differences[name] = (rating.mean - second[name].mean) / (high - low)
    return tuple(
        f"The {_which(differences[name])} is better in {ATTRIBUTE_NAMES.get(name, name.replace('_', ' '))}: "
        f"{max(first[name].mean, second[name].mean):.1f} against {min(first[name].mean, second[name].mean):.1f}."
        for name in _largest(differences, LEAST_DIFFERENCE)
    )


@dataclass(frozen=True)
class MeasuredTrait:
    """How a difference in one measurement of `editing.measurements` is put into words.

    Args:
        more: what the photo with the larger value is.
        step: the smallest difference that is worth a word, in the measurement's unit.
        what, form: what the value is called, and how it is written.
    """

    more: str
    step: float
    what: str
    form: str


# What needs no judgement and anyone can check.
MEASURED_TRAITS = {
    "brightness": MeasuredTrait("brighter", 0.06, "mean brightness", "{:.0%}"),
    "contrast": MeasuredTrait("higher in contrast", 0.04, "spread of brightness", "{:.0%}"),
    "colourfulness": MeasuredTrait("more colourful", 10.0, "colourfulness", "{:.0f}"),
    "warmth": MeasuredTrait("warmer in colour", 0.4, "red over blue in stops", "{:+.1f}"),
    "sharpness": MeasuredTrait("richer in fine detail", 0.25, "detail, 0 to about 4", "{:.1f}"),
    "noise": MeasuredTrait("noisier", 1.0, "noise in levels of 255", "{:.1f}"),
    "clipped_highlights": MeasuredTrait("more blown out", 0.02, "pure white", "{:.0%}"),
}


def measured_reasons(first: Mapping[str, float], second: Mapping[str, float]) -> tuple[str, ...]:
    """The measurements that two photos differ in most, as sentences. They say what is, not what is better.

    Args:
        first, second: values of [`MEASURED_TRAITS`] by name, measured at one size: detail and noise depend on it.
    """
    steps = {name: (first[name] - second[name]) / trait.step for name, trait in MEASURED_TRAITS.items()}
    reasons = []
    for name in _largest(steps, 1.0):
        trait = MEASURED_TRAITS[name]
        larger, smaller = (trait.form.format(bound(first[name], second[name])) for bound in (max, min))
        reasons.append(f"The {_which(steps[name])} is {trait.more} ({trait.what}: {larger} against {smaller}).")
    return tuple(reasons)


def _which(difference: float) -> str:
    return "first" if difference > 0 else "second"


def _largest(differences: Mapping[str, float], least: float) -> list[str]:
    """The names of the largest differences, the largest first."""
    names = [name for name, difference in differences.items() if abs(difference) >= least]
    return sorted(names, key=lambda name: -abs(differences[name]))[:MOST_REASONS]
