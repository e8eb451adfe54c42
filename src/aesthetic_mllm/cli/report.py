"""`aesthetic-mllm report`: a page about a table of ratings."""

import argparse
from pathlib import Path
from typing import Any

from .jobs import check_job_packages
from .usage import UsageError, with_exit_codes


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "report",
        help="a page about a table of ratings",
        description="Makes one HTML page of a table that `score` or `assess` wrote: how ratings are spread, best and worst "
        "photos, means by folder and month, a contact sheet. It needs no network, and holds small copies of the photos.",
    )
    parser.add_argument("table", type=Path, metavar="RATINGS", help="ratings.parquet, or the folder of a job")
    parser.add_argument("--output", type=Path, metavar="FILE", help="(default: beside the table, with the ending .html)")
    parser.add_argument("--question", help="whose ratings (default: the table's first)")
    parser.set_defaults(run=with_exit_codes(run), parser=parser)


def run(options: argparse.Namespace) -> int:
    """Writes the page and prints its path."""
    check_job_packages()
    from ..jobs.job_error import JobError
    from ..jobs.ratings_page import render_page
    from ..jobs.ratings_summary import summarize

    table: Path = options.table
    output: Path = options.output or table.with_suffix(".html")
    if output.absolute() == table.absolute() or output.is_dir() or not output.absolute().parent.is_dir():
        raise UsageError(f"the output {output} must be a file of its own in a folder that exists.")
    try:
        page = render_page(summarize(table, options.question), table.name, table.absolute().parent)
    except JobError as error:
        raise UsageError(error) from error
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the output {output} cannot be written ({error.strerror}).") from error
    print(output)
    return 0
