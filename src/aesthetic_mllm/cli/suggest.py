"""`aesthetic-mllm suggest`: what would make photos better, and the photos with it done."""

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .drawing import INDENT, failure, wrapped
from .judging import (
    ABOUT_PHOTOS,
    add_command,
    add_paths,
    find_photos,
    load_assessor,
    photo_row,
    results_in_place,
    usage_errors,
    write_rows,
)
from .output import Layout, Row
from .usage import UsageError, positive

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor
    from ..tasks.suggesting import Suggestion

SUGGESTION_COLUMNS = ("text", "edit", "amount", "unit", "measured_gain", "flaw")
COLUMNS = ("path", "number", *SUGGESTION_COLUMNS, "applied", "error")


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = add_command(
        commands,
        "suggest",
        run,
        "suggest what would make photos better",
        "Suggests what would make photos better, and says by which edit where one can do it. Most good photos are "
        "told nothing. " + ABOUT_PHOTOS,
    )
    add_paths(parser)
    parser.add_argument("--limit", type=positive, help="the most suggestions a photo")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="try each edit, rate the result, and keep what gains more than harmless changes do; takes seconds a photo",
    )
    parser.add_argument(
        "--apply",
        type=Path,
        metavar="OUT",
        help="verify, and write the photo with the edits that are kept: a file for one photo, a folder for several or for one; "
        "never over a file that is there",
    )


def run(options: argparse.Namespace) -> int:
    """Prints each photo's suggestions, and writes the edited photo, as soon as they are found."""
    photos = find_photos(options)
    named = [photo for photo in photos if isinstance(photo, Path)]
    targets = {} if options.apply is None else find_targets(options.paths, named, options.apply)
    assessor = load_assessor(options)
    verify = options.verify or options.apply is not None
    limit = {} if options.limit is None else {"limit": options.limit}
    results = results_in_place(photos, lambda found: assessor.suggest_stream(found, verify=verify, on_error="return", **limit))
    rows = _rows(results, assessor, targets)
    return write_rows(rows, options, Layout(COLUMNS, lines, partial(draw, applying=bool(targets))), len(photos))


def find_targets(paths: Sequence[str], photos: Sequence[Path], out: Path) -> dict[str, Path]:
    """Where each edited photo is written, by the photo's name.

    Several photos go into a folder, with the names that they have below the folder that was asked for; a photo of a format that
    cannot be written becomes a JPEG.

    Raises:
        UsageError: a target exists, two photos have the same, or it is no file of a format that can be written.
    """
    from ..inference.photo_writing import FORMATS

    folder = len(photos) != 1 or any(Path(path).is_dir() for path in paths) or out.is_dir()
    targets: dict[str, Path] = {}
    taken: dict[Path, Path] = {}
    for photo in photos:
        target = out
        if folder:
            root = next((Path(path) for path in paths if Path(path).is_dir() and photo.is_relative_to(path)), photo.parent)
            target = out / photo.relative_to(root)
            if target.suffix.lower() not in FORMATS:
                target = target.with_name(f"{target.name}.jpg")
        elif target.suffix.lower() not in FORMATS:
            raise UsageError(f"{target}: photos are written as {', '.join(FORMATS)}; choose a name that ends in one of them.")
        if target.exists():
            raise UsageError(f"{target} exists, and nothing is written over; choose another --apply.")
        if taken.setdefault(target, photo).resolve() != photo.resolve():
            raise UsageError(f"{taken[target]} and {photo} would both be written to {target}; call the command for each.")
        targets[str(photo)] = target
    if folder and not out.exists() and out.suffix.lower() in FORMATS:
        raise UsageError(f"{out} is named as one photo, but several are written; name a folder.")
    if not folder and not out.absolute().parent.is_dir():
        raise UsageError(f"the folder of {out} does not exist; make it first.")
    if folder and out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; several photos need a folder.")
    return targets


def _rows(results: Iterator[tuple[str, Any]], assessor: "AestheticAssessor", targets: dict[str, Path]) -> Iterator[Row]:
    for path, result in results:
        row = photo_row(path, result, lambda found: {"suggestions": [each.to_dict() for each in found], "applied": None})
        if row["error"] is None and path in targets and any(each.edit for each in result):
            row |= _apply(path, result, targets[path])
        yield row


def _apply(path: str, suggestions: "Sequence[Suggestion]", target: Path) -> Row:
    """Writes the photo with the suggested edits; what to say of it in the row."""
    from ..inference.photo_writing import PhotoWritingError, write_photo
    from ..inference.suggestion_search import apply_suggestions
    from ..processing.image_loading import load_image

    with usage_errors():
        edited = apply_suggestions(load_image(path), suggestions)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return {"applied": str(write_photo(edited, path, target))}
    except (PhotoWritingError, OSError) as error:
        return {"error": f"the edited photo was not written: {error}"}


def lines(row: Row) -> list[Row]:
    """A CSV line for each suggestion, or one that says there is none."""
    frame = {key: row.get(key) for key in ("path", "applied", "error")}
    found = row.get("suggestions") or []
    return [frame | {"number": number, **each} for number, each in enumerate(found, 1)] or [frame]


def draw(row: Row, applying: bool = False) -> str:
    """The path, and the numbered suggestions below it.

    Args:
        applying: whether edited photos are written, so that it is told where none was.
    """
    if "suggestions" not in row:
        return f"{failure(row['path'], row['error'])}\n"
    text = [row["path"], draw_suggestions(row["suggestions"])]
    if row["applied"] is not None:
        text.append(f"{INDENT}written to {row['applied']}")
    elif applying and row["error"] is None:
        text.append(f"{INDENT}nothing written: no edit is suggested")
    if row["error"] is not None:
        text.append(f"{INDENT}{row['error']}")
    return "\n".join([*text, ""])


def draw_suggestions(suggestions: Sequence[Row]) -> str:
    """Suggestions as a numbered list, each with its edit and its gain."""
    if not suggestions:
        return f"{INDENT}nothing to suggest"
    return "\n".join(
        wrapped(f"{each['text']}{_details(each)}", f"{INDENT}{number}. ") for number, each in enumerate(suggestions, 1)
    )


def _details(suggestion: Row) -> str:
    """What stands in brackets behind a suggestion, such as " (exposure +0.60 EV; rating +0.5)"."""
    edit = "" if suggestion["edit"] is None else f"{suggestion['edit']} {suggestion['amount']:+.2f} {suggestion['unit']}"
    gain = "" if suggestion["measured_gain"] is None else f"rating {suggestion['measured_gain']:+.1f}"
    details = "; ".join(part for part in (edit, gain) if part)
    return f" ({details})" if details else ""
