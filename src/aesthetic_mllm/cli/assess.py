"""`aesthetic-mllm assess`: everything there is to say about photos."""

import argparse
from collections.abc import Sequence
from typing import Any

from .drawing import INDENT, failure, fine_bar, rating_bar, width, wrapped
from .jobs import ABOUT_JOBS, add_job, run_job, wants_job
from .judging import (
    ABOUT_PHOTOS,
    add_batch_size,
    add_command,
    add_paths,
    batching,
    find_photos,
    load_assessor,
    photo_row,
    results_in_place,
    write_rows,
)
from .output import Layout, Row
from .suggest import draw_suggestions
from .xmp import StarWriting, add_stars

BAR, LEVEL_BAR, SMALL_BAR = 20, 24, 14


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = add_command(
        commands,
        "assess",
        run,
        "rating, attributes, comment and suggestions of photos",
        "Says of each photo all that the checkpoint can: rating, attributes, comment and suggestions. JSON rows are described by "
        f"docs/assessment.schema.json. {ABOUT_PHOTOS} {ABOUT_JOBS}",
    )
    add_paths(parser)
    parser.add_argument("--verify", action="store_true", help="try suggested edits and keep what is rated better")
    add_batch_size(parser)
    add_stars(parser)
    add_job(parser)


def run(options: argparse.Namespace) -> int:
    """Prints each photo's assessment as soon as it is made; or runs a job."""
    if wants_job(options):
        from ..jobs.table import Request

        return run_job(options, load_assessor, lambda assessor: Request.assessments(assessor, verify=options.verify))
    photos = find_photos(options)
    sidecars = StarWriting(options, photos)
    assessor = load_assessor(options)
    sidecars.check_range(assessor.processor.rating_scale.score_range)
    results = results_in_place(
        photos, lambda found: assessor.assess_stream(found, options.verify, on_error="return", **batching(options))
    )
    rows = (photo_row(path, result, lambda assessment: assessment.to_dict()) for path, result in results)
    scale = assessor.processor.rating_scale
    layout = assessment_layout(scale.default_question, scale.attributes)
    return sidecars.finish(write_rows(sidecars.watch(rows, lambda row: row["rating"]["mean"]), options, layout, len(photos)))


def assessment_layout(question: str, attributes: Sequence[str]) -> Layout:
    """How assessments look.

    Args:
        question: that the rating answers.
        attributes: that the checkpoint rates.
    """
    from ..tasks.suggesting import MOST_SUGGESTIONS

    rated = ("rating", "quality", *attributes)
    columns = (
        "path",
        *(f"{name}_{value}" for name in rated for value in ("mean", "std")),
        "comment",
        *(f"suggestion_{number + 1}" for number in range(MOST_SUGGESTIONS)),
        "error",
    )

    def line(row: Row) -> Row:
        if row["error"] is not None:
            return row
        ratings = {"rating": row["rating"], "quality": row["quality"] or {}, **row["attributes"]}
        flat = {f"{name}_{value}": rating.get(value) for name, rating in ratings.items() for value in ("mean", "std")}
        advice = {f"suggestion_{number + 1}": each["text"] for number, each in enumerate(row["suggestions"])}
        return {"path": row["path"], **flat, "comment": row["comment"], **advice}

    return Layout(columns, lambda row: [line(row)], lambda row: draw(row, question))


def draw(row: Row, question: str) -> str:
    """A block a photo: rating and quality, the levels' shares, the attributes, the comment, the suggestions."""
    if row["error"] is not None:
        return f"{failure(row['path'], row['error'])}\n"
    return "\n\n".join([
        "\n".join([row["path"], *_ratings(row, question)]),
        *filter(None, [
            "\n".join(_levels(row["rating"]["distribution"])),
            "\n".join(_attributes(row["attributes"])),
            wrapped(row["comment"]) if row["comment"] else "",
        ]),
        f"{draw_suggestions(row['suggestions'])}\n",
    ])  # fmt: skip


def _ratings(row: Row, question: str) -> list[str]:
    """Lines of the rating and of the quality."""
    lines = []
    for name, rating in ((question, row["rating"]), ("quality", row["quality"])):
        if rating is None:
            continue
        percentile = rating["percentile"]
        beaten = "" if percentile is None else f"  above {percentile:.0f}% of reference photos"
        lines.append(f"{INDENT}{name.replace('_', ' '):14}  {rating_bar(rating, BAR)}{beaten}")
    return lines


def _levels(distribution: dict[str, float] | None) -> list[str]:
    """A line for each level word, worst first."""
    shares = (distribution or {}).items()
    return [f"{INDENT}{word:14}  {share:4.0%}  {fine_bar(share, LEVEL_BAR)}".rstrip() for word, share in shares]


def _attributes(attributes: dict[str, Row]) -> list[str]:
    """Small bars of the attributes, two beside each other where there is room."""
    bars = [f"{name.replace('_', ' '):14}  {rating_bar(rating, SMALL_BAR)}" for name, rating in attributes.items()]
    if not bars:
        return []
    beside = 2 if width() >= 2 * len(bars[0]) + 2 * len(INDENT) else 1
    rows = -(-len(bars) // beside)
    return [f"{INDENT}{INDENT.join(bars[row::rows])}" for row in range(rows)]
