"""PCCD (Photo Critique Captioning Dataset) of Chang et al. 2017: 4,235 photos of gurushots.com, each judged by one professional.

The archive holds one JSON table and images/full/TITLE. The authors' description calls the table raw.json, the archive as read
by mediatechnologycenter/Aestheval has guru.json; either is taken. A judgement has a text and a score from 1 to 10 for seven
aspects, and an overall score, the mean of the aspects' scores to one decimal. The archive has no splits: 80% for training, 10%
for validation and 10% for testing, by hash of the title, is our choice.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..record import AttributeRating, Comment, DataError, Record, Vote
from ..source import Source
from ..tables import read_json
from .own import hash_split

LOW, HIGH = 1, 10
TABLES = ("raw.json", "guru.json")
IMAGES = "images/full"
IMAGE_SUFFIX = ".jpg"
# in the order of a row's list of scores
ASPECTS = (
    "general_impression",
    "subject_of_photo",
    "composition",
    "use_of_camera",
    "depth_of_field",
    "color_lighting",
    "focus",
)
NOT_GIVEN = ("", "N", "NA")  # in place of a score
VALIDATION_PERCENT = TEST_PERCENT = 10


def read(root: Path, split: str) -> Iterator[Record]:
    """One record for each judgement of the split, in the table's order.

    The aspects' texts are given as comments, their scores as attributes from 1 to 10, where there are any. The reviewer's overall
    score is the rating and the only vote; a judgement without one has no rating. The photographer's own words (`description`) are
    left out.
    """
    path = next((root / name for name in TABLES if (root / name).is_file()), root / TABLES[0])
    rows = read_json(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: {type(rows).__name__} in it, expected a list of judgements.")
    for number, row in enumerate(rows, start=1):
        where = f"{path}, entry {number}"
        title = _text(where, row, "title")
        if not title:
            raise DataError(f"{where}: 'title' is empty, expected the name of the image.")
        # a title is the number of a theme and a name; a photo sent in for two themes must not be in two splits
        if hash_split(title.split("_", 1)[-1].removesuffix(IMAGE_SUFFIX), VALIDATION_PERCENT, TEST_PERCENT) != split:
            continue
        scores = row.get("score")
        if not isinstance(scores, list) or len(scores) != len(ASPECTS):
            raise DataError(f"{where} ({title}): 'score' is {scores!r:.80}, expected {len(ASPECTS)} scores.")
        named = [(aspect, _score(f"{where} ({title})", aspect, score)) for aspect, score in zip(ASPECTS, scores, strict=True)]
        texts = [(aspect, _text(where, row, aspect)) for aspect in ASPECTS]
        overall = _score(f"{where} ({title})", "overall", _text(where, row, "overall"))
        reviewer = _text(where, row, "reviewer")
        votes = [Vote(reviewer, overall)] if overall is not None and reviewer else []
        rated = overall is not None
        yield Record(
            image=_image_path(root, title),
            data_set="pccd",
            split=split,
            question="aesthetic" if rated else "",
            mean=overall,
            range_low=LOW if rated else None,
            range_high=HIGH if rated else None,
            votes=votes,
            attributes=[AttributeRating(aspect, score, LOW, HIGH) for aspect, score in named if score is not None],
            comments=[Comment(text, aspect) for aspect, text in texts if text],
            category=_text(where, row, "category"),
        )


def _image_path(root: Path, title: str) -> Path:
    """The images are named by the bare title, which has no suffix; copies of the data set that add one are read too."""
    with_suffix = root / IMAGES / f"{title}{IMAGE_SUFFIX}"
    return with_suffix if with_suffix.is_file() else root / IMAGES / title


def _text(where: str, row: Any, key: str) -> str:
    if not isinstance(row, dict) or key not in row:
        raise DataError(f"{where}: no {key!r} in it.")
    return str(row[key]).strip()


def _score(where: str, name: str, value: Any) -> float | None:
    text = str(value).strip()
    if text in NOT_GIVEN:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{where}: {name} is {text!r}, expected a number from {LOW} to {HIGH}.") from error


SOURCE = Source(
    name="pccd",
    url="https://github.com/ivclab/DeepPhotoCritic-ICCV17",
    licence="photos and critiques belong to their authors; research use",
    splits=("train", "validation", "test"),
    layout=f"{' or '.join(TABLES)}, {IMAGES}/TITLE",
    read=read,
)
