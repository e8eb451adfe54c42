"""What `score` and `assess` do where the output is a table of parquet: a job that goes on where it stopped."""

import argparse
import hashlib
import logging
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import printable
from .progress import job_progress
from .usage import UsageError

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor
    from ..jobs.rating_job import JobSummary
    from ..jobs.table import Request

SUFFIX = ".parquet"
JOB_OPTIONS = ("retry_failed", "check_changed", "column", "split", "readers", "attributes")
ABOUT_JOBS = (
    "With --output ratings.parquet, or a folder, it is a job that goes on where it stopped when it is run again; PATHS may then "
    "be parquet and tar files of photos, data sets saved by `datasets`, and hf://datasets/NAME too."
)


def add_job(parser: argparse.ArgumentParser) -> Any:
    """The options that belong to jobs alone, as a group; a command may add its own."""
    parser.set_defaults(output_is_folder=False)
    group = parser.add_argument_group("jobs", f"with --output ratings{SUFFIX} or a folder")
    group.add_argument("--retry-failed", action="store_true", help="try photos again that ended in an error")
    group.add_argument(
        "--check-changed",
        action="store_true",
        help="read the files of all photos that are done, and rate again those that were edited under the same name",
    )
    group.add_argument("--column", help="of tables and data sets: where the photos or their paths are")
    group.add_argument("--split", help="of data sets")
    group.add_argument(
        "--readers", type=_count, metavar="N", help="processes that decode photos (default: 0, threads of this process)"
    )
    return group


def wants_job(options: argparse.Namespace) -> bool:
    """Whether the output is a job's.

    Raises:
        UsageError: an option of jobs, or what only jobs read, without a job's output; or a format with it.
    """
    if options.output is not None and (options.output_is_folder or options.output.suffix.lower() == SUFFIX):
        if options.format is not None:
            raise UsageError(f"--output {options.output} is written as parquet; leave out --format {options.format}.")
        if options.write_xmp:
            raise UsageError(
                f"--write-xmp does not go with a job. Leave it out; then `aesthetic-mllm xmp {options.output}` writes sidecars "
                "from the table, without rating again."
            )
        return True
    given = [name for name in JOB_OPTIONS if getattr(options, name, None)]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{names} needs --output ratings{SUFFIX} or --output FOLDER/.")
    from ..jobs.sources import container_kind

    for path in options.paths:
        if kind := container_kind(path):
            raise UsageError(f"{path} is {kind}; its photos are rated into a table: add --output ratings{SUFFIX}.")
    return False


def check_job_packages() -> None:
    """Raises a `UsageError` where tables cannot be read and written."""
    if find_spec("pyarrow") is None:
        raise UsageError("parquet needs pyarrow; install it with pip install 'aesthetic-mllm[jobs]'.")


def run_job(
    options: argparse.Namespace,
    load: "Callable[[argparse.Namespace], AestheticAssessor]",
    request: "Callable[[AestheticAssessor], Request]",
    profile: Path | None = None,
) -> int:
    """Runs the job that the options name, and returns the command's exit code: 1 where a row has an error.

    Args:
        load: of the options the assessor.
        request: what it is asked.
        profile: its file.
    """
    check_job_packages()
    from torch import OutOfMemoryError

    from ..jobs.job_error import JobError
    from ..jobs.rating_job import RatingJob, Reading
    from ..jobs.sources import find_sources

    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what is wrong with a photo is told in its row
    try:
        sources = find_sources(options.paths, column=options.column, split=options.split)
        if sources.remark:
            print(f"aesthetic-mllm {options.command}: {sources.remark}", file=sys.stderr)
        assessor = load(options)
        reading = Reading(options.readers or 0, **({} if options.batch_size is None else {"batch_size": options.batch_size}))
        digest = None if profile is None else hashlib.sha256(profile.read_bytes()).hexdigest()
        job = RatingJob(assessor, request(assessor), options.output, profile=digest, reading=reading)
        with job_progress() as progress:
            summary = job.run(sources, retry_failed=options.retry_failed, check_changed=options.check_changed, progress=progress)
    except (JobError, OutOfMemoryError) as error:
        raise UsageError(error) from error
    print(said(summary))
    if summary.failed:
        print(f"aesthetic-mllm {options.command}: {failures(summary)}", file=sys.stderr)
    return 1 if summary.failed or summary.problems else 0


def said(summary: "JobSummary") -> str:
    """One line about a run: photos that it rated, that have an earlier rating, and that cannot be judged add up to the table."""
    parts = [f"{_photos(summary.rated)} rated"]
    if summary.before:
        parts.append(f"{summary.before:,} {_was(summary.before)} rated before")
    if summary.failed:
        parts.append(f"{summary.failed:,} cannot be judged")
    line = ", ".join(parts)
    if summary.retried:
        line += f"; {summary.mended:,} of {summary.retried:,} tried again {'is' if summary.mended == 1 else 'are'} rated now"
    if summary.changed:
        line += f"; {summary.changed:,} {_was(summary.changed)} edited, and tried again"
    if summary.problems:
        line += f"; {summary.problems:,} place{'s' * (summary.problems != 1)} cannot be read"
    return f"{summary.path}: {line}"


def failures(summary: "JobSummary") -> str:
    """The first photos that cannot be judged, and the remedy."""
    named = ", ".join(f"{printable(each.path)} ({each.reason.rstrip('.')})" for each in summary.failures)
    more = ", ..." if summary.failed > len(summary.failures) else ""
    return (
        f"{_photos(summary.failed)} cannot be judged: {named}{more}. The column error says why. Once they are mended, the same "
        "command with --retry-failed tries them again."
    )


def _photos(count: int) -> str:
    return f"{count:,} photo{'s' * (count != 1)}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is below 0")
    return value
