"""`aesthetic-mllm rank`: photos in order, the best first, and the best of each burst."""

import argparse
import sys
from collections import Counter
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

if TYPE_CHECKING:
    from ..inference.ranking import RatedPhoto

COLUMNS = (
    "path", "rank", "mean", "std", "percentile", "group", "group_size", "best_of_group", "ahead_of_next", "error"
)  # fmt: skip
# Columns of a table's line beside the path.
BAR, REST = 12, 54


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = add_command(
        commands,
        "rank",
        run,
        "put photos in order, or pick the best",
        "Puts photos in order, the best first. Photos that look nearly the same are one burst. 'ahead' is the probability that a "
        "person's rating of the photo beats another's of the next one. Ctrl-C ranks what has been rated so far. " + ABOUT_PHOTOS,
    )
    add_paths(parser)
    add_question(parser)
    add_profile(parser)
    parser.add_argument("--pick", type=positive, metavar="K", help="only the K best, of each burst at most one")
    parser.add_argument(
        "--max-distance",
        type=int,
        metavar="BITS",
        help="bits in which the 64-bit perceptual hashes of one burst's photos may differ (default: 10)",
    )
    add_batch_size(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the photos in order when all are rated, or when it is interrupted."""
    from ..inference.ranking import BURST_DISTANCE, order_photos, pick_ranked, rate_photos

    distance = BURST_DISTANCE if options.max_distance is None else options.max_distance
    with usage_errors():
        order_photos({}, distance)  # a wrong distance is told before photos are rated
    photos = find_photos(options)
    assessor = personal_assessor(options)
    question = asked_question(options, assessor)
    rated: dict[int, RatedPhoto] = {}
    failures: list[Row] = []
    interrupted = False
    try:
        results = results_in_place(photos, lambda found: rate_photos(assessor, found, question, **batching(options)))
        for index, (path, result) in enumerate(progress(results, len(photos))):
            if isinstance(result, Exception):
                failures.append(photo_row(path, result, dict))
            else:
                rated[index] = result
    except KeyboardInterrupt:
        interrupted = True
        _tell(f"interrupted; these are the {len(rated)} of {len(photos)} photos that were rated.")
    ranked = order_photos(rated, distance)
    sizes = Counter(photo.group for photo in ranked)
    if options.pick is not None and ranked:
        if options.pick > len(sizes):
            _tell(f"{options.pick} photos cannot be picked: without near-duplicates there are {len(sizes)}.")
        ranked = pick_ranked(ranked, min(options.pick, len(sizes)))
    rows = []
    for rank, photo in enumerate(ranked, 1):
        values = {"rank": rank, "question": question, **photo.to_dict(), "group_size": sizes[photo.group]}
        rows.append(photo_row(str(photos[photo.index]), values, dict))
    code = write_rows([*rows, *failures], options, Layout(COLUMNS, lines, RankLines()))
    too_few = options.pick is not None and options.pick > len(sizes)
    return INTERRUPTED if interrupted else max(code, int(too_few))


def lines(row: Row) -> list[Row]:
    """The CSV line of a photo."""
    if row["error"] is not None:
        return [row]
    values = row | {key: row["rating"][key] for key in ("mean", "std", "percentile")}
    return [{key: values[key] for key in COLUMNS}]


class RankLines:
    """A heading, and a line a photo: place, rating, its lead over the next one, and its burst where that has more photos."""

    def __init__(self) -> None:
        self.started = False
        self.bursts: dict[int, int] = {}  # number by group, in the order in which they are printed

    def __call__(self, row: Row) -> str:
        columns = path_columns(REST)
        if row["error"] is not None:
            return f"{'-':>4}  {failure(row['path'], row['error'], columns)}"
        lead = "" if row["ahead_of_next"] is None else f"{row['ahead_of_next']:.0%}"
        burst = ""
        if row["group_size"] > 1:
            number = self.bursts.setdefault(row["group"], len(self.bursts) + 1)
            burst = f"burst {number}{', best' * row['best_of_group']}"
        line = f"{row['rank']:4}  {fitted(row['path'], columns)}  {rating_bar(row['rating'], BAR)}  {lead:>5}  {burst}".rstrip()
        if self.started:
            return line
        self.started = True
        low, high = row["rating"]["score_range"]
        return f"rank  {'photo':{columns}}  {row['question'] + f', {low:g} to {high:g}':{11 + BAR}}  ahead\n{line}"


def _tell(text: str) -> None:
    print(f"aesthetic-mllm rank: {text}", file=sys.stderr)
