"""Personalizing: what a person said of photos, and what follows from it about their taste.

A person rates photos, or says which of two they prefer, or only which they like. All of it becomes evidence: for each photo, by
how much this person liked it better than people in general would.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from ..processing.rating_scale import RatingScale

Kind = Literal["ratings", "pairs", "likes"]
# Ranges that are guessed where the ratings reach both ends of exactly one of them.
KNOWN_RANGES = ((0.0, 1.0), (1.0, 5.0), (1.0, 7.0), (1.0, 10.0), (0.0, 5.0), (0.0, 10.0), (0.0, 100.0), (1.0, 100.0))
# By how much a photo that was preferred or liked is taken to exceed what people in general think of it, as a share of the
# score range: about how far one person's rating lies from another's. Whoever has lost a pair falls behind by as much.
PREFERENCE_STEP = 0.2
# Fewer ratings than this say nothing about reliability: an interval of a correlation needs four.
LEAST_FOR_INTERVAL = 4


class ProfileError(ValueError):
    """Ratings that make no profile, or a profile that cannot be used here; says what is wrong and what to do."""


@dataclass(frozen=True)
class Profile:
    """What one person said of photos.

    Args:
        kind: "ratings"; "pairs" of which one was preferred; or "likes".
        photos: a key for each photo, the same for the same photo; what else is told of photos is in this order.
        values: for ratings, each photo's on `source_range`; empty otherwise.
        source_range: worst and best rating that the person could give; `None` without ratings.
        pairs: for pairs, the places in `photos` of the preferred photo and of the other.
        question: of the checkpoint, which these ratings answer.
    """

    kind: Kind
    question: str
    photos: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    source_range: tuple[float, float] | None = None
    pairs: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.photos)

    @classmethod
    def from_ratings(
        cls,
        ratings: Sequence[tuple[str, float]],
        question: str,
        source_range: tuple[float, float] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> "Profile":
        """A profile of rated photos; no ratings at all are the profile of nobody in particular.

        Args:
            ratings: keys of photos with their ratings. The same photo with the same rating counts once.
            source_range: worst and best rating; default a usual range of which the ratings reach both ends.
            names: of the keys, for messages.

        Raises:
            ProfileError: a photo with different ratings, one distinct rating only, ratings outside their range or no number, a
                range that is not stated and cannot be guessed.
        """
        if not ratings:
            return cls("ratings", question)
        named = names or {}
        kept: dict[str, float] = {}
        for key, value in ratings:
            if not math.isfinite(value):
                raise ProfileError(
                    f"The rating of {named.get(key, key)} is {value}, which is no number; correct it or leave it out."
                )
            if kept.setdefault(key, value) != value:
                raise ProfileError(
                    f"{named.get(key, key)} is rated {kept[key]:g} and {value:g} (the same photo, maybe by another name); keep "
                    "one of the ratings."
                )
        values = tuple(kept.values())
        if len(set(values)) == 1 and len(values) > 1:
            raise ProfileError(
                f"All {len(values)} photos are rated {values[0]:g}, so the ratings say nothing of what is preferred; rate some "
                "photos higher or lower, or say which photos are liked instead of rating them."
            )
        if len(values) == 1 and source_range is None:
            raise ProfileError(
                f"There is only one rating, {values[0]:g}; rate more photos with different ratings, or state the range."
            )
        low, high = source_range or guessed_range(values)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ProfileError(
                f"The range of ratings is {low:g} to {high:g}; both must be numbers, and the best rating must be above the worst."
            )
        outside = next((value for value in values if not low <= value <= high), None)
        if outside is not None:
            raise ProfileError(f"The rating {outside:g} lies outside the range {low:g} to {high:g}; correct it or the range.")
        return cls("ratings", question, tuple(kept), values, (float(low), float(high)))

    @classmethod
    def from_pairs(cls, pairs: Sequence[tuple[str, str]], question: str, names: Mapping[str, str] | None = None) -> "Profile":
        """A profile of pairs: keys of the preferred photo and of the other.

        Raises:
            ProfileError: a photo is paired with itself.
        """
        photos = tuple(dict.fromkeys(key for pair in pairs for key in pair))
        for first, second in pairs:
            if first == second:
                name = (names or {}).get(first, first)
                raise ProfileError(f"{name} is preferred to itself (the same photo, maybe by another name); leave the pair out.")
        places = {key: place for place, key in enumerate(photos)}
        return cls("pairs", question, photos, pairs=tuple((places[first], places[second]) for first, second in pairs))

    @classmethod
    def from_likes(cls, likes: Sequence[str], question: str) -> "Profile":
        """A profile of photos that are liked; of others nothing is known."""
        return cls("likes", question, tuple(dict.fromkeys(likes)))

    def updated(self, newer: "Profile") -> "Profile":
        """This profile with more of the same kind; of a photo that was rated again the newer rating counts.

        Raises:
            ProfileError: profiles of different kinds, questions or ranges.
        """
        if not len(self):
            return newer
        if (self.kind, self.question) != (newer.kind, newer.question):
            raise ProfileError(
                f"A profile of {self.kind} about {self.question!r} cannot be updated with {newer.kind} about {newer.question!r}; "
                "make another profile of them."
            )
        if self.kind == "pairs":
            named = [(profile.photos[a], profile.photos[b]) for profile in (self, newer) for a, b in profile.pairs]
            return Profile.from_pairs(named, self.question)
        if self.kind == "likes":
            return Profile.from_likes([*self.photos, *newer.photos], self.question)
        if self.source_range != newer.source_range:
            raise ProfileError(
                f"This profile's ratings are of the range {self.source_range}, the new ones of {newer.source_range}; "
                "give both on one range."
            )
        merged = dict(zip(self.photos, self.values, strict=True)) | dict(zip(newer.photos, newer.values, strict=True))
        return replace(self, photos=tuple(merged), values=tuple(merged.values()))

    def scores(self, scale: RatingScale) -> np.ndarray:
        """Each photo's rating on the checkpoint's scale, [n].

        Without ratings they are a step above the middle of the range for what is liked or was preferred, and as much below it
        for what was not; in between for what won some pairs and lost others.
        """
        low, high = scale.score_range
        if self.kind == "ratings":
            assert self.source_range is not None or not self.values
            return np.array([scale.from_range(value, self.source_range or (low, high)) for value in self.values])
        middle, step = (low + high) / 2, PREFERENCE_STEP * (high - low)
        if self.kind == "likes":
            return np.full(len(self), middle + step)
        won, lost = Counter(first for first, _ in self.pairs), Counter(second for _, second in self.pairs)
        return np.array([middle + step * (won[place] - lost[place]) / (won[place] + lost[place]) for place in range(len(self))])

    def evidence(self, scale: RatingScale, general: np.ndarray) -> np.ndarray:
        """By how much this person liked each photo better than people in general, in points of the score range: [n].

        A preference that everybody shares says little about a person: of a pair's step, each photo gets the share that its
        general ratings did not let expect (a logistic model, one step of its fit).

        Args:
            general: the photos' ratings without a profile, [n].
        """
        if self.kind == "ratings":
            return self.scores(scale) - general
        low, high = scale.score_range
        step = PREFERENCE_STEP * (high - low)
        if self.kind == "likes":
            return np.full(len(self), step)
        total, times = np.zeros(len(self)), np.zeros(len(self))
        for first, second in self.pairs:
            surprise = 1 / (1 + math.exp((general[first] - general[second]) / step))
            for place, sign in ((first, 1), (second, -1)):
                total[place] += sign * step * surprise
                times[place] += 1
        return total / times

    @property
    def has_level(self) -> bool:
        """Whether it says how high the person rates, and not only what is better."""
        return self.kind == "ratings"

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Profile":
        """The inverse of `to_dict`."""
        source_range = values["source_range"]
        return cls(
            kind=values["kind"],
            question=values["question"],
            photos=tuple(values["photos"]),
            values=tuple(values["values"]),
            source_range=None if source_range is None else (source_range[0], source_range[1]),
            pairs=tuple((first, second) for first, second in values["pairs"]),
        )


def guessed_range(values: Sequence[float]) -> tuple[float, float]:
    """The usual range of which the ratings reach both ends.

    Raises:
        ProfileError: there is none.
    """
    ends = (min(values), max(values))
    if ends in KNOWN_RANGES:
        return ends
    raise ProfileError(
        f"The ratings go from {ends[0]:g} to {ends[1]:g}, which does not tell their range; state the worst and the best rating "
        "that could be given, such as 1 and 5."
    )


def balanced(levels: Sequence[int], keys: Sequence[str], most: int) -> list[int]:
    """The places of at most so many examples, of all levels as evenly as there are; in the input's order.

    Which are chosen does not depend on that order.

    Args:
        levels: the level of each example.
        keys: distinct, one for each; they break ties.
    """
    if len(levels) <= most:
        return list(range(len(levels)))
    by_level: dict[int, list[int]] = {}
    for place in sorted(range(len(levels)), key=lambda place: keys[place]):
        by_level.setdefault(levels[place], []).append(place)
    # the first of each level before the second of any, and of those the outer levels first: they say most
    middle = sum(by_level) / len(by_level)
    turns = [
        (turn, -abs(level - middle), level, place) for level, places in by_level.items() for turn, place in enumerate(places)
    ]
    return sorted(place for *_, place in sorted(turns)[:most])


@dataclass(frozen=True)
class Reliability:
    """How reliable personal ratings are.

    Args:
        count: photos in the profile.
        agreement: correlation of the person's ratings with what the profile says of each photo when that one is left out; `None`
            where that cannot be computed.
        interval: its 95% interval; -1 to 1 where there are too few ratings to say.
        general: correlation of the person's ratings with the general ones; `None` as above.
    """

    count: int
    agreement: float | None
    interval: tuple[float, float]
    general: float | None

    @classmethod
    def of(cls, given: np.ndarray, left_out: np.ndarray, general: np.ndarray) -> "Reliability":
        """From the person's ratings, those that are predicted of each photo without it, and the general ones: each [n]."""
        agreement, by_general = _correlation(given, left_out), _correlation(given, general)
        if agreement is None or len(given) < LEAST_FOR_INTERVAL:
            return cls(len(given), agreement, (-1.0, 1.0), by_general)
        from scipy.stats import pearsonr  # takes a moment to import

        interval = pearsonr(given, left_out).confidence_interval()
        return cls(len(given), agreement, (float(interval.low), float(interval.high)), by_general)

    def __str__(self) -> str:
        if self.agreement is None:
            return f"{self.count} photos are too few to say how reliable the personal ratings are; rate more."
        low, high = self.interval
        text = f"Agreement with {self.count} ratings, each predicted from the others: {self.agreement:.2f}"
        text += f" (95%: {low:.2f} to {high:.2f})"
        text += "." if self.general is None else f"; of the general ratings: {self.general:.2f}."
        return text + " The agreement may be chance; rate more photos." if self.may_be_chance else text

    @property
    def may_be_chance(self) -> bool:
        """Whether the interval holds 0, so that nothing is certain of the person's taste."""
        return self.interval[0] <= 0


@dataclass(frozen=True)
class Taste:
    """Something this person likes or dislikes.

    Args:
        trait: a key of [`TRAITS`], or a rated attribute.
        likes: what is liked, in words, such as "warm colours".
        strength: partial rank correlation of the person's ratings with the trait, given the general ratings; -1 to 1, its sign
            says whether more of the trait is liked.
    """

    trait: str
    likes: str
    strength: float


# What is liked where more, and where less, of a measurement is; the tilt counts without its direction.
TRAITS: dict[str, tuple[str, str]] = {
    "brightness": ("bright photos", "dark photos"),
    "contrast": ("strong contrast", "soft contrast"),
    "saturation": ("strong colours", "pale colours"),
    "warmth": ("warm colours", "cool colours"),
    "sharpness": ("much fine detail", "little fine detail"),
    "noise": ("grain", "photos without noise"),
    "tilt": ("tilted lines", "level lines"),
    "symmetry": ("symmetry", "asymmetry"),
    "subject_size": ("large subjects", "small subjects"),
    "off_centre": ("subjects off the centre", "subjects in the centre"),
    "focus_contrast": ("blurred backgrounds", "sharp backgrounds"),
    "palette_spread": ("many colours", "few colours"),
}
MOST_TASTES = 3


def attribute_words(name: str) -> tuple[str, str]:
    """What is liked where a rated attribute is high, and where it is low."""
    spoken = name.replace("_", " ")
    return f"good {spoken}", f"weak {spoken}"


def tastes(liked: np.ndarray, general: np.ndarray, traits: Mapping[str, np.ndarray]) -> tuple[Taste, ...]:
    """What a person likes, the strongest first: traits whose partial correlation with their ratings is certainly not zero.

    Of ranks, because what is measured often has a long tail. Certainly: the 95% interval, made wider for as many traits as are
    looked at (Bonferroni), lies on one side.

    Args:
        liked: the person's ratings, or how much better than others they liked the photos: [n].
        general: what people in general think of the photos, [n].
        traits: values by name, [n] each.
    """
    if len(liked) <= LEAST_FOR_INTERVAL:
        return ()
    from scipy.stats import rankdata  # takes a moment to import

    found = []
    # Fisher's transformation; each variable that is held fixed, here one, takes a degree of freedom
    least = math.tanh(NormalDist().inv_cdf(1 - 0.025 / max(len(traits), 1)) / math.sqrt(len(liked) - 4))
    shared = rankdata(general)
    for name, values in traits.items():
        strength = _correlation(_without(rankdata(liked), shared), _without(rankdata(values), shared))
        if strength is not None and abs(strength) > least:
            more, less = TRAITS.get(name) or attribute_words(name)
            found.append(Taste(name, more if strength > 0 else less, strength))
    return tuple(sorted(found, key=lambda taste: -abs(taste.strength))[:MOST_TASTES])


def _without(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """What of some values another variable does not explain linearly."""
    centred, explaining = values - values.mean(), other - other.mean()
    power = float(explaining @ explaining)
    return centred - explaining * float(centred @ explaining) / power if power > 0 else centred


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Pearson's, or `None` where one of them does not vary."""
    if len(first) < 2 or np.ptp(first) < 1e-9 or np.ptp(second) < 1e-9:
        return None
    return float(np.corrcoef(first, second)[0, 1])
