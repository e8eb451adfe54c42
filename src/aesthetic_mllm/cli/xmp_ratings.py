"""`aesthetic-mllm xmp`: sidecars from ratings that are there already."""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .jobs import check_job_packages
from .judging import progress
from .usage import UsageError, with_exit_codes
from .xmp import StarWriting, add_stars, tell

if TYPE_CHECKING:
    from ..jobs.rated_photos import RatedPhotos

# Why a photo gets no sidecar.
GONE, CHANGED, INSIDE, UNJUDGED = (
    "not there any more",
    "changed since the rating",
    "inside tables or archives, without a file of their own",
    "that could not be judged",
)


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "xmp",
        help="write sidecars from ratings that are there already",
        description="Writes the sidecars that `score --write-xmp` would, from what `score` or `assess` wrote with --output. "
        "Photos are read to see that they are still those that were rated. One that is gone or has changed gets no stars and "
        "does not count for --stars, and the exit code is then 1.",
    )
    parser.add_argument(
        "ratings", type=Path, metavar="RATINGS", help="ratings.parquet, the folder of a job, or a .csv or .jsonl file"
    )
    parser.add_argument("--question", help="of parquet, whose ratings (default: the table's first)")
    parser.add_argument(
        "--unchecked", action="store_true", help="do not compare the photos' bytes; give stars also to those that have changed"
    )
    add_stars(parser, always=True)
    parser.set_defaults(run=with_exit_codes(run), parser=parser)


def run(options: argparse.Namespace) -> int:
    """Finds the photos that were rated, and writes their sidecars."""
    from ..jobs.job_error import JobError
    from ..jobs.rated_photos import TEXT_SUFFIXES, RatedPhotos

    if options.xmp_folder is not None and options.xmp_root is None:
        raise UsageError(
            "--xmp-folder needs --xmp-root: a table does not say which folder was rated. --xmp-root holiday has the layout of "
            "`score holiday --write-xmp --xmp-folder ...`."
        )
    sidecars = StarWriting(options)
    if options.ratings.suffix.lower() not in TEXT_SUFFIXES:
        check_job_packages()
    try:
        rated = RatedPhotos(options.ratings, options.question)
        left_out = take_ratings(rated, sidecars, options)
    except JobError as error:
        raise UsageError(error) from error
    except OSError as error:
        raise UsageError(f"{options.ratings}: cannot be read ({error}).") from error
    if not (rated.know_contents or options.unchecked):
        tell("xmp", f"{options.ratings} has no sha256, so photos that changed since the rating were not noticed.")
    if left_out:
        tell(
            "xmp", "left out: " + "; ".join(f"{count} photo{'s' * (count != 1)} {what}" for what, count in left_out.items()) + "."
        )
    return sidecars.finish(1 if left_out else 0)


def take_ratings(rated: "RatedPhotos", sidecars: StarWriting, options: argparse.Namespace) -> Counter[str]:
    """Takes the ratings of photos that are still there, names those that are not, and counts what is left out."""
    from ..jobs.rated_photos import is_unchanged

    left_out: Counter[str] = Counter()
    there: list[tuple[Path, float]] = []
    missed: list[tuple[str, str]] = []
    for photo in progress(rated, rated.total):
        if photo.mean is None:
            left_out[UNJUDGED] += 1
            continue
        file = rated.file_of(photo)
        if file is None and "#" in photo.key:
            left_out[INSIDE] += 1
        elif file is None or not (options.unchecked or is_unchanged(file, photo)):
            missed.append((photo.key, GONE if file is None else CHANGED))
        else:
            there.append((file, photo.mean))
    for key, what in missed:
        tell("xmp", f"{key}: {what}{'' if what == GONE else '; rate it again, or give --unchecked'}.")
        left_out[what] += 1
    sidecars.take(there)
    return left_out
