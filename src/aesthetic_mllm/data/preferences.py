"""Pairs of a better and a worse answer about a photo: of one's own, or made from lessons, in which one answer is false."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
from datasets import Dataset, Features, Image, List, Value

from ..pretext.lessons import Lesson, LessonMaker
from ..pretext.phrase_bank import BINS
from .record import DataError
from .tables import check_columns

_MESSAGES = List({"role": Value("string"), "content": Value("string")})
PREFERENCE_FEATURES = Features({"images": List(Image()), "prompt": _MESSAGES, "chosen": _MESSAGES, "rejected": _MESSAGES})
COLUMNS = ("image", "prompt", "chosen", "rejected")
LEAST_APART = 2  # bins between a true and a false answer; neighbours are a matter of taste
_READERS = {
    ".csv": lambda path: pandas.read_csv(path, dtype=str, keep_default_na=False),
    ".jsonl": lambda path: pandas.read_json(path, lines=True, dtype=False),
    ".parquet": pandas.read_parquet,
}


def preference_row(images: list[Any], prompt: str, chosen: str, rejected: str) -> dict[str, Any]:
    """One pair in the conversational form that TRL's DPOTrainer takes."""
    return {
        "images": images,
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


def read_preferences(path: str | Path, skip_missing: bool = False) -> Dataset:
    """Pairs of a table with the columns `image` (relative to the table's folder), `prompt`, `chosen`, `rejected`.

    Args:
        path: a file named .csv, .jsonl or .parquet.
        skip_missing: leave out rows whose image is missing.

    Raises:
        DataError: the file cannot be read, lacks a column or has no rows; images are missing; both answers of a row are the same.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise DataError(f"{path}: cannot read {path.suffix or 'a file without suffix'}, expected {', '.join(_READERS)}.")
    try:
        table = _READERS[path.suffix](path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error
    check_columns(path, list(table.columns), COLUMNS)
    rows, missing = [], []
    for line, row in enumerate(table[list(COLUMNS)].to_dict("records"), start=1):
        image = path.parent / str(row["image"])
        if str(row["chosen"]).strip() == str(row["rejected"]).strip():
            raise DataError(f"{path}, row {line}: chosen and rejected are the same, {row['chosen']!r}.")
        if not image.is_file():
            missing.append(str(row["image"]))
            continue
        rows.append(preference_row([str(image)], str(row["prompt"]), str(row["chosen"]), str(row["rejected"])))
    if missing and not skip_missing:
        raise DataError(
            f"{path}: {len(missing)} images are missing, first {missing[0]}. Correct them, or leave them out with --skip-missing."
        )
    if not rows:
        raise DataError(f"{path}: no rows.")
    return Dataset.from_list(rows, features=PREFERENCE_FEATURES)


def lesson_preferences(photos: Iterator[tuple[str, Any]], maker: LessonMaker, seed: int = 0) -> Dataset:
    """Pairs from unlabelled photos: what was measured in a photo against what is far from it, in the phrase bank's words.

    Args:
        photos: key and Pillow image of each.
        maker: of the lessons; one attribute of each photo is asked about.
        seed: of attributes and wordings.
    """
    attributes = [name for names in maker.attributes.values() for name in names]
    rows = []
    for key, photo in photos:
        rng = random.Random(f"{seed}:{key}")
        lesson = maker.measured(photo, rng.choice(attributes), rng)
        rows.append(preference_row([photo], lesson.question, lesson.cue, false_cue(lesson, maker, rng)))
    if not rows:
        raise DataError("No photo was given to make preferences from.")
    return Dataset.from_list(rows, features=PREFERENCE_FEATURES)


def false_cue(lesson: Lesson, maker: LessonMaker, rng: random.Random) -> str:
    """An answer to a measured lesson that is clearly wrong."""
    far = [bin for bin in range(BINS) if abs(bin - int(lesson.bin or 0)) >= LEAST_APART]
    return maker.bank.measured(lesson.subject, rng.choice(far), rng, maker.held_out).text
