"""EVA (Kang et al., 2020): 4,070 photos of AVA with single people's votes from 0 to 10 and four attributes from 1 to 4.

The repository's own folders: data and images, the latter with EVA_together.zip unpacked. Read are the filtered votes, which the
paper uses: 30 to 46 people for each photo. The source has no splits; ours go by the last digit of the photo's number in AVA: 0
is for the test, 1 for validation. All photos are in AVA too, so do not test on one of the two what was trained on the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from ..record import AttributeRating, DataError, Record, Vote, histogram_moments
from ..source import Source
from ..tables import number, read_csv

LOW, HIGH = 0, 10
ATTRIBUTE_LOW, ATTRIBUTE_HIGH = 1, 4  # very bad to very good
# visual: light and colour; composition: with depth
ATTRIBUTES = ("visual", "composition", "quality", "semantic")
VOTES = Path("data", "votes_filtered.csv")
CATEGORIES = Path("data", "image_content_category.csv")
CATEGORY_NAMES = {
    "1": "animals",
    "2": "architectures and city scenes",
    "3": "human",
    "4": "natural and rural scenes",
    "5": "still life",
    "6": "other",
}
SPLIT_OF_DIGIT = {"0": "test", "1": "validation"}


@dataclass
class Said:
    """What all people said of one photo."""

    votes: list[Vote] = field(default_factory=list)
    attributes: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ATTRIBUTES})


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order in which the table of votes, a row for each person and photo, first names their photos."""
    categories = content_categories(root)
    for image_id, said in gathered_votes(root, split).items():
        histogram = [0.0] * (HIGH - LOW + 1)
        for vote in said.votes:
            histogram[round(vote.value) - LOW] += 1
        mean, spread = histogram_moments(histogram, LOW, HIGH)
        yield Record(
            image=root / "images" / "EVA_together" / f"{image_id}.jpg",
            data_set="eva",
            split=split,
            question="aesthetic",
            mean=mean,
            spread=spread,
            histogram=histogram,
            range_low=LOW,
            range_high=HIGH,
            votes=said.votes,
            attributes=[
                AttributeRating(name, fmean(values), ATTRIBUTE_LOW, ATTRIBUTE_HIGH)
                for name, values in said.attributes.items()
                if values
            ],
            category=categories.get(image_id, ""),
        )


def gathered_votes(root: Path, split: str) -> dict[str, Said]:
    """Votes and attributes by the photo's number, for the photos of a split; an attribute left empty is left out."""
    path = root / VOTES
    found: dict[str, Said] = {}
    for line, cells in read_csv(path, ("image_id", "user_id", "score", *ATTRIBUTES), delimiter="="):
        image_id = cells["image_id"]
        if SPLIT_OF_DIGIT.get(image_id[-1:], "train") != split:
            continue
        said = found.setdefault(image_id, Said())
        said.votes.append(Vote(cells["user_id"], whole(path, line, "score", cells["score"], LOW, HIGH)))
        for name, values in said.attributes.items():
            if cells[name]:
                values.append(whole(path, line, name, cells[name], ATTRIBUTE_LOW, ATTRIBUTE_HIGH))
    return found


def whole(path: Path, line: int, column: str, text: str, low: int, high: int) -> float:
    """A cell as one of the steps that people could choose."""
    value = number(path, line, column, text)
    if not low <= value <= high or value != round(value):
        raise DataError(f"{path}, line {line}: {column} is {text!r}, expected a whole number from {low} to {high}.")
    return value


def content_categories(root: Path) -> dict[str, str]:
    """What a photo shows, by its number."""
    path = root / CATEGORIES
    found = {}
    for line, cells in read_csv(path, ("image_id", "sort")):
        if cells["sort"] not in CATEGORY_NAMES:
            raise DataError(f"{path}, line {line}: sort is {cells['sort']!r}, expected one of {', '.join(CATEGORY_NAMES)}.")
        found[cells["image_id"]] = CATEGORY_NAMES[cells["sort"]]
    return found


SOURCE = Source(
    name="eva",
    url="https://github.com/kang-gnak/eva-dataset",
    licence="votes CC0-1.0; photos of AVA belong to their authors; research use",
    splits=("train", "validation", "test"),
    layout=f"{VOTES.as_posix()}, {CATEGORIES.as_posix()}, images/EVA_together/ID.jpg",
    read=read,
)
