"""AADB: about 9,960 photos of Flickr with a mean aesthetic score from 0 to 1 and eleven attributes from -1 to 1.

Official: the lists for training, for validation, and the "new" test list, which published results use. A photo of the test list
that also lies in another list belongs to the test alone, which is our choice. The labels lie in one file for each attribute, as
read by TensorBay's loader of AADB. Single ratings from 1 to 5, five for most photos, are in AllinAll.csv, the raw answers of the
authors' survey; they come as votes from 0 to 1 if the file is there.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import pstdev
from urllib.parse import urlparse

from ..record import AttributeRating, DataError, Record, Vote
from ..source import Source
from ..tables import number, read_csv, read_lines

LOW, HIGH = 0, 1
ATTRIBUTE_LOW, ATTRIBUTE_HIGH = -1, 1
RATING_LOW, RATING_HIGH = 1, 5  # in AllinAll.csv, where 0 is a rating that was not given
LABELS = "imgListFiles_label"
LISTS = {"train": "Train", "validation": "Validation", "test": "TestNew"}
PHOTOS, TEST_PHOTOS = "datasetImages_originalSize", "AADB_newtest_originalSize"
ANSWERS = "AllinAll.csv"
PHOTOS_PER_ANSWER = 10
ATTRIBUTES = {  # in the names of files, where the first is spelt so; and in words
    "BalacingElements": "balancing elements",
    "ColorHarmony": "color harmony",
    "Content": "content",
    "DoF": "depth of field",
    "Light": "light",
    "MotionBlur": "motion blur",
    "Object": "object emphasis",
    "Repetition": "repetition",
    "RuleOfThirds": "rule of thirds",
    "Symmetry": "symmetry",
    "VividColor": "vivid color",
}


def read(root: Path, split: str) -> Iterator[Record]:
    """Records in the order of the split's list; a line of any label file holds a photo's name and its value."""
    scores = labels(label_path(root, split, "score"))
    tested = set() if split == "test" else set(labels(label_path(root, "test", "score")))
    attributes = {name: labels(label_path(root, split, name)) for name in ATTRIBUTES}
    votes = single_votes(root / ANSWERS)
    for photo, score in scores.items():
        if photo in tested:
            continue
        for name, values in attributes.items():
            if photo not in values:
                raise DataError(f"{label_path(root, split, name)}: no line for {photo}, which is in the list of scores.")
        given = votes.get(photo, [])
        yield Record(
            image=image_path(root, split, photo, score),
            data_set="aadb",
            split=split,
            question="aesthetic",
            mean=score,
            spread=pstdev(vote.value for vote in given) if given else None,
            range_low=LOW,
            range_high=HIGH,
            votes=given,
            attributes=[
                AttributeRating(words, attributes[name][photo], ATTRIBUTE_LOW, ATTRIBUTE_HIGH)
                for name, words in ATTRIBUTES.items()
            ],
        )


def label_path(root: Path, split: str, what: str) -> Path:
    """The file of a split's scores or of one attribute."""
    return root / LABELS / f"imgList{LISTS[split]}Regression_{what}.txt"


def labels(path: Path) -> dict[str, float]:
    """Values by the photo's name, in the file's order."""
    found: dict[str, float] = {}
    for line, text in read_lines(path):
        cells = text.split()
        if len(cells) < 2:
            raise DataError(f"{path}, line {line}: {text!r}, expected a photo's name and a number.")
        found[cells[0]] = number(path, line, "the value", cells[1])
    return found


def image_path(root: Path, split: str, photo: str, score: float) -> Path:
    """The file of a photo.

    Test photos have a folder of their own, in some copies with the score before the name; the folder of all photos will do too.
    """
    path = root / PHOTOS / photo
    if split == "test":
        own = root / TEST_PHOTOS / photo
        path = next((other for other in (own, own.with_name(f"{score:.3f}_{photo}"), path) if other.is_file()), own)
    return path


def single_votes(path: Path) -> dict[str, list[Vote]]:
    """Votes by the photo's name, from 0 to 1; none if there is no such file.

    A row holds what one person said of ten photos, each named by its address: farm1.staticflickr.com/450/2013_5df7_b.jpg is the
    photo farm1_450_2013_5df7_b.jpg.
    """
    found: dict[str, list[Vote]] = defaultdict(list)
    if not path.is_file():
        return found
    pairs = [(f"Input.image_url{index}", f"Answer.overallScore{index}") for index in range(1, PHOTOS_PER_ANSWER + 1)]
    for line, cells in read_csv(path, ["WorkerId", *(column for pair in pairs for column in pair)]):
        for address, score in pairs:
            if not cells[address] or not cells[score]:
                continue
            rating = number(path, line, score, cells[score])
            if rating == 0:
                continue
            if not RATING_LOW <= rating <= RATING_HIGH:
                raise DataError(f"{path}, line {line}: {score} is {rating:g}, expected {RATING_LOW} to {RATING_HIGH}.")
            url = urlparse(cells[address])
            photo = "_".join([url.netloc.split(".")[0], *url.path.strip("/").split("/")])
            found[photo].append(Vote(cells["WorkerId"], (rating - RATING_LOW) / (RATING_HIGH - RATING_LOW)))
    return found


SOURCE = Source(
    name="aadb",
    url="https://github.com/aimerykong/deepImageAestheticsAnalysis",
    licence="photos of Flickr under Creative Commons licences; research use only",
    splits=("train", "validation", "test"),
    layout=f"{LABELS}/imgListTrainRegression_score.txt and so on, NAME.jpg in {PHOTOS} and {TEST_PHOTOS}, {ANSWERS} if at hand",
    read=read,
)
