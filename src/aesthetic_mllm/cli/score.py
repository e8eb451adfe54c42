"""`aesthetic-mllm score`: photos to ratings."""

import argparse
from typing import Any

from .drawing import failure, fitted, level_blocks, path_columns, rating_bar
from .jobs import ABOUT_JOBS, add_job, run_job, wants_job
from .judging import (
    ABOUT_PHOTOS,
    add_batch_size,
    add_command,
    add_onnx,
    add_paths,
    add_profile,
    add_question,
    asked_question,
    batching,
    find_photos,
    personal_assessor,
    results_in_place,
    write_rows,
)
from .output import Layout, Row
from .usage import UsageError
from .xmp import StarWriting, add_stars

COLUMNS = ("path", "question", "mean", "std", "distribution", "score_range", "error")
# Columns of a table's line beside the path.
BAR, REST = 20, 60


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = add_command(commands, "score", run, "rate photos", f"Rates photos. {ABOUT_PHOTOS} {ABOUT_JOBS}")
    add_paths(parser)
    add_question(parser)
    add_profile(parser)
    add_batch_size(parser)
    add_onnx(parser)
    add_stars(parser)
    jobs = add_job(parser)
    jobs.add_argument("--attributes", action="store_true", help="rate the checkpoint's attributes too")


def run(options: argparse.Namespace) -> int:
    """Prints a row for each photo as soon as it is rated; or runs a job."""
    if wants_job(options):
        if options.onnx is not None:
            raise UsageError(f"a job rates with the model itself, not with --onnx {options.onnx}; leave that out.")
        return run_scores(options)
    photos = find_photos(options)
    sidecars = StarWriting(options, photos)
    assessor = personal_assessor(options)
    sidecars.check_range(assessor.processor.rating_scale.score_range)
    question = asked_question(options, assessor)
    results = results_in_place(
        photos, lambda found: assessor.score_stream(found, question, on_error="return", **batching(options))
    )
    rows = (rating_row(path, question, result) for path, result in results)
    layout = Layout(COLUMNS, lambda row: [row], RatingLines())
    return sidecars.finish(write_rows(sidecars.watch(rows, lambda row: row["mean"]), options, layout, len(photos)))


def run_scores(options: argparse.Namespace) -> int:
    """Rates photos into a table of parquet."""
    from ..jobs.table import Request

    def request(assessor: Any) -> Request:
        return Request.scores(assessor, asked_question(options, assessor), attributes=options.attributes)

    return run_job(options, personal_assessor, request, options.profile)


def rating_row(path: str, question: str, result: Any) -> Row:
    """The row of a rating, or of the error in its place; the keys are `COLUMNS`."""
    row = dict.fromkeys(COLUMNS) | {"path": path, "question": question}
    if isinstance(result, Exception):
        return row | {"error": getattr(result, "reason", str(result))}
    values = result.to_dict()
    return row | {key: values[key] for key in ("mean", "std", "distribution", "score_range")}


class RatingLines:
    """A heading, and a line a photo: mean, spread, a bar over the range, and a small block for each level word's share."""

    def __init__(self) -> None:
        self.started = False

    def __call__(self, row: Row) -> str:
        columns = path_columns(REST)
        if row["error"] is not None:
            return failure(row["path"], row["error"], columns)
        line = f"{fitted(row['path'], columns)}  {rating_bar(row, BAR)}  {level_blocks(row['distribution'])}"
        if self.started:
            return line
        self.started = True
        low, high = row["score_range"]
        words = "|".join(row["distribution"] or {})
        return f"{'photo':{columns}}  {row['question']}, {low:g} to {high:g}{'':8}{words}\n{line}"
