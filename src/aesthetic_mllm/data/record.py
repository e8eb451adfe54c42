"""The one form in which all data sets' photos, ratings and comments come."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from datasets import Features, Image, List, Value

from .data_error import DataError

RECORD_FEATURES = Features(
    {
        "image": Image(),
        "data_set": Value("string"),
        "split": Value("string"),
        "question": Value("string"),
        "mean": Value("float32"),
        "spread": Value("float32"),
        "histogram": List(Value("float32")),
        "range_low": Value("float32"),
        "range_high": Value("float32"),
        "votes": List({"rater": Value("string"), "value": Value("float32")}),
        "attributes": List(
            {"name": Value("string"), "mean": Value("float32"), "range_low": Value("float32"), "range_high": Value("float32")}
        ),
        "comments": List({"aspect": Value("string"), "text": Value("string")}),
        "conversation": List({"role": Value("string"), "content": Value("string")}),
        "category": Value("string"),
        "licence": Value("string"),
    }
)


@dataclass(frozen=True)
class Vote:
    """What one person gave a photo, on the source's range."""

    rater: str
    value: float


@dataclass(frozen=True)
class AttributeRating:
    """One attribute's mean rating, on a range of its own."""

    name: str
    mean: float
    range_low: float
    range_high: float


@dataclass(frozen=True)
class Comment:
    """What a person wrote of a photo; `aspect` is "" where the source does not say."""

    text: str
    aspect: str = ""


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation: `role` is "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class Record:
    """A photo with what a data set tells of it.

    Args:
        image: the file.
        data_set: the source's name.
        split: "train", "validation" or "test".
        question: what the rating answers: "aesthetic", "quality", "beauty", or an attribute's name; "" where there is no rating.
        mean: of the ratings, on the source's range, the higher the better; `None` where there are none.
        spread: their standard deviation, on the source's range; `None` where the source does not tell.
        histogram: share or number of votes for each of its steps, evenly from the lowest to the highest value.
        range_low, range_high: the source's range.
        votes: of single persons.
        attributes: ratings beside the main one.
        comments: in words.
        conversation: of instruction data, turn by turn.
        category: genre or theme, in the source's words.
        licence: a note on the terms of use.
    """

    image: Path
    data_set: str
    split: str
    question: str = ""
    mean: float | None = None
    spread: float | None = None
    histogram: Sequence[float] = ()
    range_low: float | None = None
    range_high: float | None = None
    votes: Sequence[Vote] = ()
    attributes: Sequence[AttributeRating] = ()
    comments: Sequence[Comment] = ()
    conversation: Sequence[Turn] = field(default=())
    category: str = ""
    licence: str = ""

    def row(self) -> dict[str, Any]:
        """As [`RECORD_FEATURES`] takes it; the image is a path, read when it is needed."""
        return asdict(self) | {"image": str(self.image)}

    def faults(self) -> list[str]:
        """What is wrong with the numbers, in words; empty if nothing is."""
        if self.mean is None:
            return []
        if self.range_low is None or self.range_high is None or not self.range_low < self.range_high:
            return [f"range {self.range_low} to {self.range_high}"]
        low, high = self.range_low, self.range_high
        # `not a <= b` rather than `a > b`: not-a-number is a fault too
        found = [] if low <= self.mean <= high else [f"mean {self.mean:g}"]
        if self.spread is not None and not 0 <= self.spread <= (high - low) / 2 * 1.5:
            found.append(f"spread {self.spread:g}")
        if self.histogram and (not min(self.histogram) >= 0 or not sum(self.histogram) > 0):
            found.append(f"histogram {list(self.histogram)}")
        found += [f"vote {vote.value:g} of {vote.rater}" for vote in self.votes if not low <= vote.value <= high]
        for attribute in self.attributes:
            if not attribute.range_low <= attribute.mean <= attribute.range_high:
                found.append(f"{attribute.name} {attribute.mean:g}")
        return found


def histogram_moments(histogram: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation of votes whose steps lie evenly from `low` to `high`.

    Raises:
        DataError: no votes.
    """
    total = sum(histogram)
    if not total > 0 or len(histogram) < 2:
        raise DataError(f"a histogram {list(histogram)} has no votes or only one step")
    steps = [low + (high - low) * index / (len(histogram) - 1) for index in range(len(histogram))]
    mean = sum(share * step for share, step in zip(histogram, steps, strict=True)) / total
    variance = sum(share * (step - mean) ** 2 for share, step in zip(histogram, steps, strict=True)) / total
    return mean, variance**0.5
