"""FLICKR-AES: 40,000 photos of Flickr that 210 workers of Amazon Mechanical Turk rated, about five each (Ren et al. 2017).

Official is the protocol: 173 workers to train on and 37 to test on, and the photos that a test worker rated are for testing. The
release does not say who the 37 are. Where a list is at hand (test_workers_ID.csv with a column ID, as published code of
personalized assessment has it), it is taken; otherwise the paper's description, test workers having rated 105 to 171 photos each.
That every twentieth of the other photos is for validation is our choice.

The files' names in the release begin with a space; they are read with it and without.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean, pstdev

from ..record import Record, Vote
from ..source import Source
from ..tables import number, read_csv, read_lines

logger = logging.getLogger(__name__)

LOW, HIGH = 1, 5
VOTES = "FLICKR-AES_image_labeled_by_each_worker.csv"
SCORES = "FLICKR-AES_image_score.txt"
PHOTOS = "40K"
TEST_WORKERS = "test_workers_ID.csv"
TEST_WORKER_COUNT = 37
TEST_WORKER_PHOTOS = (105, 171)  # least and most that one of them rated, by the paper
VALIDATION_EVERY = 20  # of the photos that no test worker rated


def read(root: Path, split: str) -> Iterator[Record]:
    """Records of the photos that have a score, in the order of the list of scores: aesthetics from 1 to 5.

    Mean and standard deviation are those of the single votes. The list also gives weighted averages from 0 to 1, but not how they
    follow from the votes; they only say which photos belong to the data set, as in published loaders. A photo of the test workers
    has the votes of all its raters. Of two votes of a worker on a photo the first counts.
    """
    votes = votes_by_photo(root)
    tested = tested_workers(root, votes)
    others = 0
    for photo in _scored_photos(root):
        given = votes.get(photo, {})
        if not given:
            continue
        if tested.isdisjoint(given):
            its_split = "validation" if others % VALIDATION_EVERY == 0 else "train"
            others += 1
        else:
            its_split = "test"
        if its_split == split:
            yield Record(
                image=root / PHOTOS / photo,
                data_set="flickr_aes",
                split=split,
                question="aesthetic",
                mean=fmean(given.values()),
                spread=pstdev(given.values()),
                range_low=LOW,
                range_high=HIGH,
                votes=[Vote(worker, value) for worker, value in given.items()],
            )


def votes_by_photo(root: Path) -> dict[str, dict[str, float]]:
    """Votes from 1 to 5, by photo and worker."""
    path = _released(root, VOTES)
    votes: dict[str, dict[str, float]] = {}
    for line, row in read_csv(path, ("worker", "imagePair", "score")):
        votes.setdefault(row["imagePair"], {}).setdefault(row["worker"], number(path, line, "score", row["score"]))
    return votes


def tested_workers(root: Path, votes: Mapping[str, Mapping[str, float]]) -> set[str]:
    """Those whose photos are for testing: listed in the file if there is one, otherwise by the number of photos they rated."""
    path = root / TEST_WORKERS
    if path.is_file():
        return {row["ID"] for _, row in read_csv(path, ("ID",))}
    rated = Counter(worker for given in votes.values() for worker in given)
    least, most = TEST_WORKER_PHOTOS
    workers = {worker for worker, count in rated.items() if least <= count <= most}
    if len(workers) != TEST_WORKER_COUNT:
        logger.warning(
            "flickr_aes: %d workers rated %d to %d photos, but the paper tests on %d; to follow a published list put it in %s.",
            len(workers),
            least,
            most,
            TEST_WORKER_COUNT,
            path,
        )
    return workers


def _scored_photos(root: Path) -> Iterator[str]:
    path = _released(root, SCORES)
    for line, text in read_lines(path):
        photo, _, score = text.rpartition(" ")
        number(path, line, "score", score)
        yield photo.strip()


def _released(root: Path, name: str) -> Path:
    """A file whose name begins with a space in the release, and often no more at its users'."""
    spaced = root / f" {name}"
    return spaced if spaced.is_file() else root / name


SOURCE = Source(
    name="flickr_aes",
    url="https://github.com/alanspike/personalizedImageAesthetics",
    licence="photos of Flickr under Creative Commons licences of their authors; ratings for research",
    splits=("train", "validation", "test"),
    layout=f"{VOTES}, {SCORES}, {PHOTOS}/NAME.jpg, and {TEST_WORKERS} if at hand",
    read=read,
)
