"""`aesthetic-mllm comment`: photos to comments in words."""

import argparse
from typing import Any

from .drawing import failure, wrapped
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

COLUMNS = ("path", "style", "aspect", "comment", "error")


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = add_command(commands, "comment", run, "comment on photos in words", f"Comments on photos in words. {ABOUT_PHOTOS}")
    add_paths(parser)
    parser.add_argument("--style", default="brief", help="brief or detailed (default: brief)")
    parser.add_argument("--aspect", help="what to comment on, such as light or composition (default: the whole photo)")
    add_batch_size(parser)


def run(options: argparse.Namespace) -> int:
    """Prints each photo's comment as soon as it is written."""
    photos = find_photos(options)
    assessor = load_assessor(options)
    results = results_in_place(
        photos,
        lambda found: assessor.comment_stream(found, options.style, options.aspect, on_error="return", **batching(options)),
    )
    asked = {"style": options.style, "aspect": options.aspect}
    rows = (photo_row(path, result, lambda comment: {**asked, "comment": comment}) for path, result in results)
    return write_rows(rows, options, Layout(COLUMNS, lambda row: [row], draw), len(photos))


def draw(row: Row) -> str:
    """The path, and the comment below it."""
    if row["error"] is not None:
        return f"{failure(row['path'], row['error'])}\n"
    return f"{row['path']}\n{wrapped(row['comment'])}\n"
