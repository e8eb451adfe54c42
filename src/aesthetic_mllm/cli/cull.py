"""`aesthetic-mllm cull`: series found, the best of each burst picked, the clearly worse proposed as rejects."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .drawing import failure, fitted, path_columns, rating_bar
from .judging import (
    ABOUT_PHOTOS,
    add_batch_size,
    add_command,
    add_paths,
    add_profile,
    add_question,
    asked_question,
    batching,
    find_photos,
    personal_assessor,
    photo_row,
    progress,
    results_in_place,
    usage_errors,
    write_rows,
)
from .output import Layout, Row
from .usage import INTERRUPTED, positive
from .xmp import add_xmp, sidecar_writer, write_sidecars

if TYPE_CHECKING:
    from ..inference.culling import RatedFrame
    from ..processing.image_loading import ImageError
    from ..sidecars import Marks
    from ..tasks.culling import CulledPhoto

MEASURED = ("detail", "noise", "blown", "blocked", "stops")
COLUMNS = (
    "path", "series", "kind", "series_size", "place", "verdict", "reasons", "mean", "std", "percentile", *MEASURED, "error"
)  # fmt: skip
# Columns of a table's line beside the path.
BAR, REST = 10, 72
NAMES = {
    "burst": "burst", "bracket": "bracket", "panorama": "panorama", "focus_stack": "focus stack", "single": "lone photo"
}  # fmt: skip
SIGNS = {"pick": "+ pick", "reject": "- reject", "undecided": ". undecided", "left_alone": ""}


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = add_command(
        commands,
        "cull",
        run,
        "find series, propose picks and rejects",
        "Finds bursts, ranks the photos of each, and proposes the best one as a pick and what is clearly worse as rejects, with "
        "reasons. Brackets, panoramas, focus stacks and lone photos are left alone. Nothing is written into "
        "sidecars without --write-xmp, and photos are never touched. " + ABOUT_PHOTOS,
    )
    add_paths(parser)
    add_question(parser)
    add_profile(parser)
    parser.add_argument("--keep", type=positive, default=1, metavar="K", help="picks of each burst (default: 1)")
    parser.add_argument(
        "--max-gap", type=float, metavar="SECONDS", help="between neighbours of one series, where EXIF has times (default: 60)"
    )
    parser.add_argument(
        "--max-distance", type=int, metavar="BITS", help="in which perceptual hashes of one burst may differ (default: 10)"
    )
    parser.add_argument(
        "--reject-margin", type=float, metavar="POINTS", help="by which a reject is behind its burst's best (default: 0.8)"
    )
    add_batch_size(parser)
    add_xmp(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the series when all photos are rated, or when it is interrupted."""
    from ..inference.culling import cull_photos

    names = ("max_gap", "max_distance", "reject_margin")
    limits = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    with usage_errors():
        cull_photos({}, keep=options.keep, **limits)  # what cannot be is told before photos are rated
    photos = each_once(find_photos(options))
    sidecars = sidecar_writer(options, photos)
    assessor = personal_assessor(options)
    question = asked_question(options, assessor)
    rated: dict[int, RatedFrame] = {}
    failures: list[Row] = []
    interrupted = False
    try:
        results = results_in_place(photos, lambda found: assessor.rated_frames(found, question, **batching(options)))
        for index, (path, result) in enumerate(progress(results, len(photos))):
            if isinstance(result, Exception):
                failures.append(photo_row(path, result, dict))
            else:
                rated[index] = result
    except KeyboardInterrupt:
        interrupted = True
        _tell(f"interrupted; these are the {len(rated)} of {len(photos)} photos that were rated. No sidecar is written.")
    culled = cull_photos(rated, keep=options.keep, **limits)
    rows = [photo_row(str(photos[photo.index]), {"question": question, **photo.to_dict()}, dict) for photo in culled]
    code = write_rows([*rows, *failures], options, Layout(COLUMNS, lines, SeriesLines()))
    if culled:
        _tell(summary(culled))
    if interrupted:
        return INTERRUPTED
    if sidecars is None:
        return code
    named = [Path(str(photos[photo.index])) for photo in culled]
    return max(code, write_sidecars(sidecars, "cull", named, [marks(photo, options.xmp_tags) for photo in culled]))


def each_once(photos: "list[Path | ImageError]") -> "list[Path | ImageError]":
    """The photos without those that were found by another name before: one would compete with itself."""
    from ..inference.culling import different_photos

    found = [photos[index] for index, _ in different_photos(photos)]
    if again := len(photos) - len(found):
        _tell(f"passed over {_count(again, 'photo')} that {'was' if again == 1 else 'were'} named twice.")
    return found


def marks(photo: "CulledPhoto", tag_prefix: str | None = None) -> "Marks":
    """What a sidecar says of a photo: flags of picks and rejects, of rejects the rating -1 too; stars are for `score` to give."""
    from ..sidecars import Marks

    word = photo.verdict if photo.kind == "burst" else photo.kind
    tags = None if tag_prefix is None else () if word in ("single", "undecided") else (f"{tag_prefix}|{word.replace('_', ' ')}",)
    return Marks(-1 if photo.verdict == "reject" else 0, {"pick": 1, "reject": -1}.get(photo.verdict, 0), tags, tag_prefix)


def lines(row: Row) -> list[Row]:
    """The CSV line of a photo."""
    if row["error"] is not None:
        return [row]
    values = row | {key: row["rating"][key] for key in ("mean", "std", "percentile")} | (row["measured"] or {})
    values["reasons"] = "; ".join(row["reasons"])
    return [{key: values.get(key) for key in COLUMNS}]


class SeriesLines:
    """A heading for each series, and a line a photo: what is proposed, rating, reasons."""

    def __init__(self) -> None:
        self.series: int | str | None = None
        self.numbers: Counter[str] = Counter()

    def __call__(self, row: Row) -> str:
        columns = path_columns(REST)
        if row["error"] is not None:
            return f"\n{failure(row['path'], row['error'])}"
        reasons = ", ".join(row["reasons"])
        line = (
            f"  {SIGNS[row['verdict']]:11}  {fitted(row['path'], columns)}  {rating_bar(row['rating'], BAR)}  {reasons}".rstrip()
        )
        # lone photos one after the other have one heading
        series = "lone" if row["kind"] == "single" else row["series"]
        if series == self.series:
            return line
        first, self.series = self.series is None, series
        return f"{'' if first else chr(10)}{self._heading(row)}\n{line}"

    def _heading(self, row: Row) -> str:
        kind = row["kind"].replace("_", " ")
        if kind == "single":
            return "lone photos, left alone"
        self.numbers[kind] += 1
        left = "" if kind == "burst" else ", left alone"
        return f"{kind} {self.numbers[kind]}: {row['series_size']} photos{left}"


def summary(culled: "Sequence[CulledPhoto]") -> str:
    """One line about what was found and proposed."""
    verdicts = Counter(photo.verdict for photo in culled)
    kinds: Counter[str] = Counter(kind for _, kind in {(photo.series, photo.kind) for photo in culled})
    parts = [_count(kinds[kind], words) for kind, words in NAMES.items() if kinds[kind]]
    return (
        f"{_count(len(culled), 'photo')}, {', '.join(parts)}; proposed: {_count(verdicts['pick'], 'pick')}, "
        f"{_count(verdicts['reject'], 'reject')}."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _tell(text: str) -> None:
    print(f"aesthetic-mllm cull: {text}", file=sys.stderr)
