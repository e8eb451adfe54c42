"""Pairs of a better and a worse answer about a photo: of one's own, or made from pretext samples, in which one answer is
false."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, List

from ..pretext.phrase_bank import BINS
from ..pretext.pretext_samples import PretextSample, PretextSampleMaker
from .conversations import MESSAGES, assistant_says, user_says
from .record import DataError
from .tables import cell_text, check_columns, read_table

PREFERENCE_FEATURES = Features({"images": List(Image()), "prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES})
COLUMNS = ("image", "prompt", "chosen", "rejected")
LEAST_APART = 2  # bins between a true and a false answer; neighbours are a matter of taste


def preference_row(images: list[Any], prompt: str, chosen: str, rejected: str) -> dict[str, Any]:
    """One pair in the conversational form that TRL's DPOTrainer takes."""
    return {
        "images": images,
        "prompt": [user_says(prompt)],
        "chosen": [assistant_says(chosen)],
        "rejected": [assistant_says(rejected)],
    }


def read_preferences(path: str | Path, skip_missing: bool = False) -> Dataset:
    """Pairs of a table with the columns `image` (relative to the table's folder), `prompt`, `chosen`, `rejected`.

    Args:
        path: a file that [`read_table`] reads.
        skip_missing: leave out rows whose image is missing.

    Raises:
        DataError: the file cannot be read, lacks a column or a value, or has no rows; images are missing; both answers of a row
            are the same.
    """
    path = Path(path)
    columns, lines = read_table(path, COLUMNS)
    check_columns(path, columns, COLUMNS)
    rows, missing = [], []
    for line, cells in lines:
        image, prompt, chosen, rejected = (cell_text(path, line, name, cells.get(name)) for name in COLUMNS)
        if empty := [name for name, text in zip(COLUMNS, (image, prompt, chosen, rejected), strict=True) if not text]:
            raise DataError(f"{path}, line {line}: {empty[0]} is empty.")
        if chosen == rejected:
            raise DataError(f"{path}, line {line}: chosen and rejected are the same, {chosen!r}.")
        if not (path.parent / image).is_file():
            missing.append(image)
            continue
        rows.append(preference_row([str(path.parent / image)], prompt, chosen, rejected))
    if missing and not skip_missing:
        what = "image is" if len(missing) == 1 else "images are"
        raise DataError(
            f"{path}: {len(missing)} {what} missing, first {missing[0]}. Correct them, or leave them out with --skip-missing."
        )
    if not rows:
        raise DataError(f"{path}: no rows.")
    return Dataset.from_list(rows, features=PREFERENCE_FEATURES)


def pretext_preferences(photos: Iterator[tuple[str, Any]], maker: PretextSampleMaker, seed: int = 0) -> Dataset:
    """Pairs from unlabelled photos: what was measured in a photo against what is far from it, in the phrase bank's words.

    Args:
        photos: key and Pillow image of each.
        maker: of the pretext samples; one attribute of each photo is asked about.
        seed: of attributes and wordings.
    """
    attributes = [name for names in maker.attributes.values() for name in names]
    rows = []
    for key, photo in photos:
        rng = random.Random(f"{seed}:{key}")
        pretext_sample = maker.measured(photo, rng.choice(attributes), rng)
        rows.append(
            preference_row(
                [photo], pretext_sample.question, pretext_sample.target_text, false_target_text(pretext_sample, maker, rng)
            )
        )
    if not rows:
        raise DataError("No photo was given to make preferences from.")
    return Dataset.from_list(rows, features=PREFERENCE_FEATURES)


def false_target_text(pretext_sample: PretextSample, maker: PretextSampleMaker, rng: random.Random) -> str:
    """An answer to a measured pretext sample that is clearly wrong."""
    far = [bin for bin in range(BINS) if abs(bin - int(pretext_sample.bin or 0)) >= LEAST_APART]
    return maker.bank.measured(pretext_sample.subject, rng.choice(far), rng, maker.held_out).text
