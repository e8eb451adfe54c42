"""Writes a data set of ratings as a TSV file of multiple-choice questions for VLMEvalKit.

    python integrations/vlmevalkit.py oasis_beauty /data/OASIS validation $LMUData/AestheticRating.tsv

The columns are those that its guide lists for a new benchmark (docs/en/Development.md of open-compass/VLMEvalKit): index, image
(base64), question, the options A to E, answer, category, split. The options are the five level words, the answer is the one
that is nearest to people's mean. The columns question_key, mean, range_low and range_high keep the rating itself, for
correlations.
"""

import argparse
import base64
import csv
import io
from pathlib import Path

from PIL import Image

from aesthetic_mllm.data.catalogue import get_source
from aesthetic_mllm.data.record import Record
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.processing.rating_scale import DEFAULT_QUESTIONS, RatingScale

LETTERS = "ABCDE"
COLUMNS = (
    "index",
    "image",
    "question",
    *LETTERS,
    "answer",
    "category",
    "split",
    "question_key",
    "mean",
    "range_low",
    "range_high",
)
LONGEST_SIDE = 1_024


def rows(records: list[Record]) -> "list[dict[str, object]]":
    """A row for each record that has a rating."""
    scale = RatingScale()
    words = [word.strip() for word in reversed(scale.level_words)]  # best first
    found: list[dict[str, object]] = []
    for record in records:
        if record.mean is None or record.range_low is None or record.range_high is None:
            continue
        score = scale.from_range(record.mean, (record.range_low, record.range_high))
        nearest = min(range(len(words)), key=lambda place: abs(scale.level_scores[-1 - place] - score))
        question = DEFAULT_QUESTIONS.get(record.question)
        asked = question.prompt if question else f"How would you rate the {record.question.replace('_', ' ')} of this photo?"
        found.append(
            {
                "index": len(found),
                "image": as_base64(record.image),
                "question": asked,
                **dict(zip(LETTERS, words, strict=True)),
                "answer": LETTERS[nearest],
                "category": record.category,
                "split": record.split,
                "question_key": record.question,
                "mean": record.mean,
                "range_low": record.range_low,
                "range_high": record.range_high,
            }
        )
    return found


def as_base64(path: Path) -> str:
    """The upright photo as a JPEG that is not longer than [`LONGEST_SIDE`]."""
    photo = load_image(path)
    photo.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    photo.save(data, "JPEG", quality=95)
    return base64.b64encode(data.getvalue()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="name of the data set")
    parser.add_argument("root", type=Path, help="its folder")
    parser.add_argument("split", choices=("train", "validation", "test"))
    parser.add_argument("output", type=Path, help="the TSV file")
    options = parser.parse_args()
    records, _ = read_source(get_source(options.source), options.root, options.split)
    with open(options.output, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t")
        writer.writeheader()
        writer.writerows(rows(records))


if __name__ == "__main__":
    main()
