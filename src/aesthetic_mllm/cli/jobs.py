"""What `score` and `assess` do where the output is a table of parquet: a job that goes on where it stopped."""

import argparse
import hashlib
import logging
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .usage import UsageError

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor
    from ..jobs.rating_job import JobSummary
    from ..jobs.table import Request

SUFFIX = ".parquet"
ABOUT_JOBS = (
    "With --output ratings.parquet, or a folder, it is a job that goes on where it stopped when it is run again; PATHS may then "
    "be parquet and tar files of photos, data sets saved by `datasets`, and hf://datasets/NAME too."
)


def add_job(parser: argparse.ArgumentParser) -> Any:
    """The options that belong to jobs alone, as a group; a command may add its own."""
    parser.set_defaults(output_is_folder=False)
    group = parser.add_argument_group("jobs", f"with --output ratings{SUFFIX} or a folder")
    group.add_argument("--retry-failed", action="store_true", help="try photos again that ended in an error")
    group.add_argument("--column", help="of tables and data sets: where the photos or their paths are")
    group.add_argument("--split", help="of data sets")
    group.add_argument(
        "--readers", type=_count, metavar="N", help="processes that decode photos (default: 0, threads of this process)"
    )
    return group


def wants_job(options: argparse.Namespace) -> bool:
    """Whether the output is a job's.

    Raises:
        UsageError: an option of jobs without a job's output, or a format with it.
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
    given = [name for name in ("retry_failed", "column", "split", "readers", "attributes") if getattr(options, name, None)]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{names} needs --output ratings{SUFFIX} or --output FOLDER/.")
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
        with _bar(sources.total) as progress:
            summary = job.run(sources, retry_failed=options.retry_failed, progress=progress.update)
    except (JobError, OutOfMemoryError) as error:
        raise UsageError(error) from error
    print(said(summary))
    return 1 if summary.failed or summary.problems else 0


def said(summary: "JobSummary") -> str:
    """One line about a run."""
    parts = [f"{summary.rated:,} photos rated"]
    if summary.before:
        parts.append(f"{summary.before:,} were rated before")
    if summary.retried:
        parts.append(f"{summary.retried:,} tried again")
    if summary.failed:
        parts.append(f"{summary.failed:,} cannot be judged (see the column error)")
    if summary.problems:
        parts.append(f"{summary.problems:,} places cannot be read")
    return f"{summary.path}: {', '.join(parts)}"


def _bar(total: int | None) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit="photo", file=sys.stderr, leave=False, disable=not sys.stderr.isatty())


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is below 0")
    return value
