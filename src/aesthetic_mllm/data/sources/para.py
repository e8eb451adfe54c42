"""PARA: 31,220 photos rated by 438 people, about 25 each, in aesthetics, quality and further attributes (Yang et al. 2022).

The layout is that of the README in the release. Official are the lists for training (PARA-GiaaTrain.csv, 28,220 photos) and for
testing (PARA-GiaaTest.csv, 3,000 photos); that every twentieth training photo is for validation is our choice.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..record import AttributeRating, Record, Vote
from ..source import Source
from ..tables import number, read_csv

LOW, HIGH = 1, 5
AESTHETIC = "aestheticScore"
STEPS = [f"{AESTHETIC}_{half / 2:.1f}" for half in range(2 * LOW, 2 * HIGH + 1)]  # columns with numbers of votes
# By the columns' stems: our names, and the ranges.
ATTRIBUTES = {
    "qualityScore": ("quality", LOW, HIGH),
    "compositionScore": ("composition", LOW, HIGH),
    "colorScore": ("color", LOW, HIGH),
    "dofScore": ("depth of field", LOW, HIGH),
    "lightScore": ("light", LOW, HIGH),
    "contentScore": ("content", LOW, HIGH),
    "contentPreference": ("content preference", LOW, HIGH),
    "willingnessToShare": ("willingness to share", LOW, HIGH),
    "isObjectEmphasis": ("object emphasis", 0, 1),
}
ANNOTATION = Path("annotation")
TRAIN, TEST, VOTES = (ANNOTATION / f"PARA-{name}.csv" for name in ("GiaaTrain", "GiaaTest", "Images"))
VALIDATION_EVERY = 20  # of the training list, since the source has no validation list


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the official list: aesthetics from 1 to 5 in halves.

    Mean, standard deviation, histogram (nine steps, numbers of votes) and the attributes' means are the source's own; attributes
    are from 1 to 5, but object emphasis, the share of those who see one, is from 0 to 1. The votes are of PARA-Images.csv, the
    raters its user ids; a row of it without an aesthetic score is no vote. PARA-UserInfo.csv, which describes the raters, is not
    read. The category is the source's scene category.
    """
    path = root / (TEST if split == "test" else TRAIN)
    columns = ["imageName", "sessionId", "semantic", f"{AESTHETIC}_mean", f"{AESTHETIC}_std", *STEPS]
    columns += [f"{stem}_mean" for stem in ATTRIBUTES]
    votes = votes_by_photo(root)
    for index, (line, row) in enumerate(read_csv(path, columns)):
        if split != "test" and (index % VALIDATION_EVERY == 0) != (split == "validation"):
            continue
        yield Record(
            image=root / "imgs" / row["sessionId"] / row["imageName"],
            data_set="para",
            split=split,
            question="aesthetic",
            mean=number(path, line, f"{AESTHETIC}_mean", row[f"{AESTHETIC}_mean"]),
            spread=number(path, line, f"{AESTHETIC}_std", row[f"{AESTHETIC}_std"]),
            histogram=[number(path, line, step, row[step]) for step in STEPS],
            range_low=LOW,
            range_high=HIGH,
            votes=votes.get((row["sessionId"], row["imageName"]), ()),
            attributes=_attributes(path, line, row),
            category=row["semantic"],
        )


def votes_by_photo(root: Path) -> dict[tuple[str, str], list[Vote]]:
    """Single persons' aesthetic scores, by session and name of the photo."""
    path = root / VOTES
    votes: dict[tuple[str, str], list[Vote]] = {}
    for line, row in read_csv(path, ("sessionId", "imageName", "userId", AESTHETIC)):
        if row[AESTHETIC]:
            vote = Vote(row["userId"], number(path, line, AESTHETIC, row[AESTHETIC]))
            votes.setdefault((row["sessionId"], row["imageName"]), []).append(vote)
    return votes


def _attributes(path: Path, line: int, row: Mapping[str, str]) -> list[AttributeRating]:
    """The attributes' means; those with empty cells are left out."""
    return [
        AttributeRating(name, number(path, line, f"{stem}_mean", row[f"{stem}_mean"]), low, high)
        for stem, (name, low, high) in ATTRIBUTES.items()
        if row[f"{stem}_mean"]
    ]


SOURCE = Source(
    name="para",
    url="https://cv-datasets.institutecv.com/#/data-sets",
    licence="OPPO Research Institute: for research and learning only, no commercial use",
    splits=("train", "validation", "test"),
    layout=f"{TRAIN}, {TEST}, {VOTES}, imgs/sessionN/NAME.jpg",
    read=read,
)
