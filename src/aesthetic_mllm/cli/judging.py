"""What the commands that judge photos share: their options, the model, rows as they come, and progress."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from .output import ANY_NAME, FORMATS, Layout, Row, printable, writer, writing_any_name
from .progress import follow
from .usage import Run, UsageError, positive, with_exit_codes

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor
    from ..processing.image_loading import ImageError

Result = TypeVar("Result")

# From so many photos on a terminal shows how far the command is.
PROGRESS_FROM = 2
FORMAT_OF_SUFFIX = {".json": "json", ".jsonl": "json", ".csv": "csv"}
ABOUT_PHOTOS = (
    "A folder means the photos in it and below. A photo that cannot be judged comes out as a row with an error, and the exit "
    "code is then 1."
)


def add_command(commands: Any, name: str, run: Run, help: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options of model and output; photos and what else the command takes are for the caller to add."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=description)
    parser.add_argument("--model", help="folder or Hub id of a checkpoint (default: the embedded one)")
    parser.add_argument(
        "--format", choices=FORMATS, help="json is one object a line (default: by the ending of --output, else table)"
    )
    parser.add_argument("--output", action=Output, metavar="FILE", help="write the rows there as they come (default: print them)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="(default: float32)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the GPU where there is one)")
    parser.set_defaults(run=with_exit_codes(run), parser=parser)
    return parser


class Output(argparse.Action):
    """A path, and whether it was written as a folder's, with a slash at its end, which a `Path` does not keep."""

    def __call__(self, parser: Any, options: argparse.Namespace, value: Any, option: str | None = None) -> None:
        options.output = Path(value)
        options.output_is_folder = value.endswith(("/", os.sep)) or options.output.is_dir()


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Any number of photos and folders, to be found by [`find_photos`]."""
    parser.add_argument("paths", nargs="+", metavar="PATHS", help="photos and folders")


def add_batch_size(parser: argparse.ArgumentParser) -> None:
    """For [`batching`]."""
    parser.add_argument("--batch-size", type=positive, help="photos in one forward")


def add_onnx(parser: argparse.ArgumentParser) -> None:
    """For [`load_assessor`]."""
    parser.add_argument(
        "--onnx", type=Path, metavar="FILE", help="a file of `export`: rate with it on ONNX Runtime, which is faster on a CPU"
    )


def add_question(parser: argparse.ArgumentParser) -> None:
    """For [`asked_question`]."""
    parser.add_argument("--question", help="aesthetic (default) or quality, or what else the checkpoint answers")


def add_profile(parser: argparse.ArgumentParser) -> None:
    """For [`personal_assessor`]."""
    parser.add_argument(
        "--profile", type=Path, metavar="FILE", help="a profile saved by `personalize`: predict that person's ratings"
    )


def personal_assessor(options: argparse.Namespace) -> "AestheticAssessor":
    """As [`load_assessor`], personalized where a profile was given.

    Raises:
        UsageError: also where the profile cannot be used.
    """
    assessor = load_assessor(options)
    if options.profile is None:
        return assessor
    from ..inference.personal_assessor import PersonalAssessor

    with usage_errors():
        return PersonalAssessor.load(options.profile, assessor)


def batching(options: argparse.Namespace) -> dict[str, int]:
    """The argument `batch_size` of the assessor's methods, where one was given."""
    return {} if options.batch_size is None else {"batch_size": options.batch_size}


def asked_question(options: argparse.Namespace, assessor: "AestheticAssessor") -> str:
    """The question to ask, the checkpoint's own where none was given."""
    with usage_errors():
        assessor.processor.rating_scale.question(options.question)
    return options.question or assessor.processor.rating_scale.default_question


def find_photos(options: argparse.Namespace) -> "list[Path | ImageError]":
    """The photos that the paths mean; an error stands for a path that means none. Files that are passed over are told.

    Raises:
        UsageError: one of them is where the rows are to be written.
    """
    from ..inference import photo_files

    found = photo_files.find_photos(options.paths)
    check_output(options, [photo for photo in found.photos if isinstance(photo, Path)])
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what is wrong with a photo is told in its row
    if remark := found.remark():
        print(f"aesthetic-mllm {options.command}: {printable(remark)}", file=sys.stderr)
    return found.photos


def check_output(options: argparse.Namespace, photos: Iterable[Path]) -> None:
    """Raises a `UsageError` where the rows cannot be written, or would be over a photo; before anything long has begun."""
    if options.output is None:
        return
    if options.output.is_dir() or not options.output.absolute().parent.is_dir():
        raise UsageError(f"the output {options.output} must be a file in a folder that exists.")
    if options.output.exists() and any(_is_same_file(photo, options.output) for photo in photos):
        raise UsageError(f"the output {options.output} is one of the photos; choose another name.")


def _is_same_file(photo: Path, output: Path) -> bool:
    try:
        return photo.samefile(output)
    except (OSError, ValueError):  # a photo that cannot be found is told in its row
        return False


def load_assessor(options: argparse.Namespace) -> "AestheticAssessor":
    """The assessor that the options name.

    Raises:
        UsageError: there is no such checkpoint or device.
    """
    from transformers.utils import logging

    from ..checkpoints.names import EMBEDDED, is_hub_id
    from ..inference.assessor import AestheticAssessor

    logging.disable_progress_bar()  # of the weights, which load in a second
    name = options.model
    if name is not None and name != EMBEDDED and not Path(name).exists() and not is_hub_id(name):  # the Hub would take a minute
        hint = f" A checkpoint on the Hub is named owner/{name}." if "/" not in name else ""
        raise UsageError(f"{getattr(options, 'named_by', '--model')} {name}: there is no such folder.{hint}")
    try:
        onnx = getattr(options, "onnx", None)
        return AestheticAssessor.from_pretrained(options.model, dtype=options.dtype, device=options.device, onnx=onnx)
    except (ValueError, OSError, RuntimeError) as error:
        tuned = None if name is None else Path(name) / "tuned"
        hint = f" Did you mean --model {tuned}, where `train` writes its checkpoint?" if tuned and tuned.is_dir() else ""
        raise UsageError(f"{error}{hint}") from error


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turns what a checkpoint or an installation cannot do into a `UsageError`."""
    from ..processing.rating_scale import RatingScaleError
    from ..tasks.commenting import CommentingError
    from ..tasks.personalizing import ProfileError
    from ..tasks.ranking import RankingError

    try:
        yield
    except (RatingScaleError, CommentingError, ProfileError, RankingError) as error:
        raise UsageError(error) from error


def results_in_place(
    photos: "list[Path | ImageError]", judge: "Callable[[list[Path]], Iterator[Result | ImageError]]"
) -> "Iterator[tuple[str, Result | ImageError]]":
    """Each photo's name with its result or its error, in order.

    Args:
        photos: of [`find_photos`].
        judge: a stream of the assessor's, of the photos that were found.
    """
    from ..processing.image_loading import ImageError

    with usage_errors():  # now, before a row is out
        results = judge([photo for photo in photos if not isinstance(photo, ImageError)])

    def in_place() -> "Iterator[tuple[str, Result | ImageError]]":
        for photo in photos:
            if isinstance(photo, ImageError):
                yield photo.source, photo
            else:
                with usage_errors():
                    result = next(results)
                yield str(photo), result

    return in_place()


def photo_row(path: str, result: Any, values: Callable[[Any], Row]) -> Row:
    """A photo's row: its path, what a result says, and `error`; of an error only that."""
    if isinstance(result, Exception):
        return {"path": path, "error": getattr(result, "reason", str(result))}
    return {"path": path, **values(result), "error": None}


def write_rows(rows: Iterable[Row], options: argparse.Namespace, layout: Layout, total: int = 0) -> int:
    """Writes rows as they come, and returns the command's exit code: 1 where a row has an error.

    Args:
        rows: with a key `error`.
        total: how many there will be, where they take time and progress is to be shown.
    """
    from tqdm import tqdm

    failed = 0
    with _output(options) as stream:
        lines = writer(_form(options), stream, layout)
        for row in progress(rows, total):
            failed += row["error"] is not None
            with tqdm.external_write_mode(stream):  # the bar steps aside
                lines.write(row)
    return 1 if failed else 0


def progress(items: Iterable[Result], total: int) -> Iterator[Result]:
    """The items; while they come, a bar on the error stream shows how far they are, their rate and the time left."""
    return follow(items, total, unit="photo") if total >= PROGRESS_FROM else iter(items)


def _form(options: argparse.Namespace) -> str:
    suffix = "" if options.output is None else options.output.suffix.lower()
    return options.format or FORMAT_OF_SUFFIX.get(suffix, "table")


@contextmanager
def _output(options: argparse.Namespace) -> Iterator[TextIO]:
    if options.output is None:
        with writing_any_name(sys.stdout) as stream:
            yield stream
        return
    try:
        stream = open(options.output, "w", encoding="utf-8", errors=ANY_NAME, newline="")
    except OSError as error:
        raise UsageError(f"the output {options.output} cannot be written ({error}).") from error
    with stream:
        yield stream
