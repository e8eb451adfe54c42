"""`aesthetic-mllm personalize`: a person's rated photos to a profile, which other commands judge photos with."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .drawing import wrapped
from .judging import load_assessor, progress, usage_errors
from .usage import UsageError, with_exit_codes

if TYPE_CHECKING:
    from ..inference.personal_assessor import PersonalAssessor

# By what the header says that a table holds.
RATED, PREFERRED, LIKED = ("image", "rating"), ("preferred", "other"), ("image",)


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "personalize",
        help="learn what a person likes from photos they rated",
        description="Learns what a person likes from a CSV table with a header: image,rating; or preferred,other; or only image, "
        "for photos that are liked. Paths are relative to the table. Prints what it learned and how reliable that is.",
    )
    parser.add_argument("ratings", type=Path, metavar="RATINGS.csv", help="the table")
    parser.add_argument("--save", type=Path, required=True, metavar="FILE", help="where to write the profile")
    parser.add_argument(
        "--score-range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="the worst and the best possible rating, such as 1 5"
    )
    parser.add_argument("--update", type=Path, metavar="FILE", help="a profile that these ratings are added to")
    parser.add_argument("--method", help="ridge or in_context (default: ridge)")
    parser.add_argument("--thumbnails", action="store_true", help="keep small copies of the photos in the profile")
    parser.add_argument("--model", help="folder or Hub id of a checkpoint (default: the embedded one)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="(default: float32)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the GPU where there is one)")
    parser.set_defaults(run=with_exit_codes(run), parser=parser)


def run(options: argparse.Namespace) -> int:
    """Writes the profile, and prints what it says."""
    said = read_table(options.ratings)
    if options.save.is_dir() or not options.save.absolute().parent.is_dir():
        raise UsageError(f"the profile {options.save} must be a file in a folder that exists.")
    person = make(options, said)
    with usage_errors():
        person.save(options.save)
    count = len(person.profile)
    print(f"{options.save}: a profile of {count} {'photo' if count == 1 else 'photos'}")
    reliability = person.reliability()
    print(wrapped(str(reliability), ""))
    if options.method == "in_context":
        print("That is the agreement of ridge regression; how rated examples agree is not measured.")
    for taste in () if reliability.may_be_chance else person.describe():
        print(f"likes {taste.likes} (correlation {abs(taste.strength):.2f})")
    return 0


def make(options: argparse.Namespace, said: dict[str, Any]) -> "PersonalAssessor":
    """The person of a table, and of the profile that it is added to."""
    from ..inference.personal_assessor import PersonalAssessor
    from ..processing.image_loading import ImageError

    assessor = load_assessor(options)
    more: dict[str, Any] = {"keep": "thumbnails"} if options.thumbnails else {}
    if options.score_range is not None:
        more["score_range"] = tuple(options.score_range)
    if options.method is not None:
        more["method"] = options.method
    more["progress"] = lambda photos: progress(photos, len(photos))
    try:
        with usage_errors():
            if options.update is not None:
                return PersonalAssessor.load(options.update, assessor).update(**said, **more)
            return assessor.personalize(**said, **more)
    except ImageError as error:
        raise UsageError(f"a photo of {options.ratings} cannot be used: {error}") from error


def read_table(path: Path) -> dict[str, Any]:
    """Arguments of `personalize`, by what the table holds.

    Raises:
        UsageError: no such table, other columns, no rows, an empty cell, or a rating that is no number.
    """
    from ..data import tables
    from ..data.data_error import DataError

    try:
        columns, rows = tables.read_table(path, RATED + PREFERRED)
        found: tuple[str, ...] = next((wanted for wanted in (RATED, PREFERRED) if set(wanted) <= set(columns)), LIKED)
        if found == LIKED and tuple(columns) != LIKED:  # photos beside other columns may be rated there by another name
            raise UsageError(
                f"the table {path} has the columns {', '.join(columns) or 'none'}; expected image,rating or preferred,other, "
                "or image alone for photos that are liked."
            )
        if not rows:
            raise UsageError(f"the table {path} has a header and no rows; without ratings there is nothing to learn.")
        cells = [(line, [tables.cell_text(path, line, name, row.get(name)) for name in found]) for line, row in rows]
        for line, row in cells:
            if empty := [name for name, text in zip(found, row, strict=True) if not text]:
                raise UsageError(f"{path}, line {line}: no {empty[0]}; fill it in or leave the line out.")
        if found == RATED:
            ratings = [(image, tables.number(path, line, "rating", text)) for line, (image, text) in cells]
            return {"ratings": [(path.parent / image, rating) for image, rating in ratings]}
    except DataError as error:
        raise UsageError(error) from error
    if found == PREFERRED:
        return {"pairs": [(path.parent / preferred, path.parent / other) for _, (preferred, other) in cells]}
    return {"likes": [path.parent / image for _, (image,) in cells]}
