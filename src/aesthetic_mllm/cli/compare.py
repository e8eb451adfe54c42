"""`aesthetic-mllm compare`: which of two photos is better, how surely, and why."""

import argparse
from pathlib import Path
from typing import Any

from .drawing import INDENT, fitted, level_blocks, path_columns, rating_bar, wrapped
from .judging import add_command, add_question, asked_question, check_output, load_assessor, write_rows
from .output import Layout, Row

COLUMNS = (
    "first_path", "second_path", "question", "first_mean", "first_std", "second_mean", "second_std", "probability_first",
    "reasons", "error",
)  # fmt: skip
# Columns of a table's line beside the path.
BAR, REST = 16, 46


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = add_command(
        commands,
        "compare",
        run,
        "say which of two photos is better, and why",
        "Says which of two photos is better, with the probability that a person's rating of the one beats another's of the "
        "other, and in what they differ most. A photo that cannot be judged gives a row with an error, and the exit code 1.",
    )
    parser.add_argument("first", metavar="FIRST", help="a photo")
    parser.add_argument("second", metavar="SECOND", help="another photo")
    add_question(parser)


def run(options: argparse.Namespace) -> int:
    """Prints one row."""
    from ..processing.image_loading import ImageError

    check_output(options, [Path(options.first), Path(options.second)])
    assessor = load_assessor(options)
    question = asked_question(options, assessor)
    row: Row = {"first_path": options.first, "second_path": options.second, "question": question}
    try:
        row |= assessor.compare(options.first, options.second, question).to_dict() | {"error": None}
    except ImageError as error:
        row |= {"error": str(error)}
    return write_rows([row], options, Layout(COLUMNS, lines, draw))


def lines(row: Row) -> list[Row]:
    """The CSV line of a comparison."""
    if row["error"] is not None:
        return [row]
    values = row | {f"{which}_{key}": row[which][key] for which in ("first", "second") for key in ("mean", "std")}
    return [{key: values[key] for key in COLUMNS} | {"reasons": " ".join(row["reasons"])}]


def draw(row: Row) -> str:
    """Both ratings below each other, the verdict and the reasons."""
    if row["error"] is not None:
        return f"cannot be compared: {row['error']}"
    columns = path_columns(REST)
    low, high = row["first"]["score_range"]
    text = [f"{'':6}  {'photo':{columns}}  {row['question']}, {low:g} to {high:g}"]
    for which in ("first", "second"):
        rating = row[which]
        path = fitted(row[f"{which}_path"], columns)
        text.append(f"{which:6}  {path}  {rating_bar(rating, BAR)}  {level_blocks(rating['distribution'])}")
    probability = row["probability_first"]
    better, sure = ("first", probability) if probability >= 0.5 else ("second", 1 - probability)
    text.append(f"\nThe {better} is better with a probability of {sure:.0%}.")
    text += [wrapped(reason, f"{INDENT}- ") for reason in row["reasons"]]
    return "\n".join(text)
