"""`aesthetic-mllm score`: photos to ratings."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from .output import FORMATS, rating_row, writer

# From so many photos on a terminal shows how far the command is.
PROGRESS_FROM = 16


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "score",
        help="rate photos",
        description="Rates photos. A folder means the photos in it and below. A photo that cannot be judged comes out as a row "
        "with an error, and the exit code is then 1.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATHS", help="photos and folders")
    parser.add_argument("--model", help="folder or Hub id of a checkpoint (default: the embedded one)")
    parser.add_argument("--question", help="aesthetic (default) or quality, or what else the checkpoint answers")
    parser.add_argument("--format", choices=FORMATS, default="table", help="json is one object a line (default: table)")
    parser.add_argument("--batch-size", type=_positive, help="photos in one forward")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the GPU where there is one)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints a row for each photo as soon as it is judged."""
    from ..inference.photo_files import photos_of

    photos = [photo for path in options.paths for photo in photos_of(path)]
    rows = writer(options.format, sys.stdout)
    failed = 0
    try:
        for photo, result in _progress(_results(photos, options), len(photos)):
            row = rating_row(photo, options.question, result)
            failed += row["error"] is not None
            rows.write(row)
    except _UsageError as error:
        print(f"aesthetic-mllm score: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 1 if failed else 0


class _UsageError(Exception):
    """A model or a question that there is not."""


def _results(photos: list[Any], options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Each photo's name with its rating or its error, in order."""
    from ..inference.assessor import DEFAULT_BATCH_SIZE, AestheticAssessor
    from ..processing.image_loading import ImageError
    from ..processing.rating_scale import RatingScaleError

    try:
        assessor = AestheticAssessor.from_pretrained(options.model, dtype=options.dtype, device=options.device)
        options.question = options.question or assessor.processor.rating_scale.default_question
        found = [photo for photo in photos if not isinstance(photo, ImageError)]
        ratings = assessor.score_stream(
            found, options.question, on_error="return", batch_size=options.batch_size or DEFAULT_BATCH_SIZE
        )
    except (RatingScaleError, ValueError, OSError) as error:
        raise _UsageError(error) from error
    for photo in photos:
        if isinstance(photo, ImageError):
            yield photo.source, photo
        else:
            yield str(photo), next(ratings)


def _progress(results: Iterator[Any], total: int) -> Iterator[Any]:
    if total < PROGRESS_FROM or not sys.stderr.isatty():
        return results
    from tqdm import tqdm

    return iter(tqdm(results, total=total, unit=" photos", file=sys.stderr))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value
