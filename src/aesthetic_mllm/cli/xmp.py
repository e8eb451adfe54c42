"""The options of commands that write XMP sidecars, and the writing itself."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .output import Row, printable
from .usage import UsageError

if TYPE_CHECKING:
    from ..sidecars import Borders, Marks, SidecarWriter

# Options that mean nothing without --write-xmp, with what they are if nobody names them.
_NEEDING = {
    "xmp_style": None, "xmp_folder": None, "xmp_tags": None, "overwrite_ratings": False, "stars": None, "star_ratings": None,
    "reject_below": None, "pick_from": None,
}  # fmt: skip


def add_xmp(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """The options of sidecars."""
    group = parser.add_argument_group(
        "XMP sidecars, for Lightroom, darktable, digiKam, Immich (pip install 'aesthetic-mllm[xmp]')"
    )
    group.add_argument(
        "--write-xmp", action="store_true", help="write the result into the photos' sidecars; photos stay as they are"
    )
    group.add_argument(
        "--xmp-style",
        choices=("adobe", "darktable"),
        help="names: adobe is photo.xmp, darktable (default) photo.jpg.xmp, which digiKam and Immich read too",
    )
    group.add_argument(
        "--xmp-folder", type=Path, metavar="DIR", help="write there, in the photos' tree, and not beside the photos"
    )
    group.add_argument("--xmp-tags", metavar="PREFIX", help="also write a tag below this one, such as PREFIX|high")
    group.add_argument(
        "--overwrite-ratings", action="store_true", help="also replace ratings and flags that a person gave (default: keep them)"
    )
    return group


def add_stars(parser: argparse.ArgumentParser) -> None:
    """The options of sidecars, and of what makes stars of ratings; for [`StarWriting`]."""
    group = add_xmp(parser)
    borders = group.add_mutually_exclusive_group()
    borders.add_argument(
        "--stars", metavar="P,P,P,P", help="percent of these photos below 2, 3, 4 and 5 stars (default: 10,30,60,85)"
    )
    borders.add_argument("--star-ratings", metavar="R,R,R,R", help="instead, the ratings from which on a photo has 2 to 5 stars")
    group.add_argument("--reject-below", type=float, metavar="N", help="reject (-1) photos below this percent or rating")
    group.add_argument("--pick-from", type=float, metavar="N", help="flag photos as picks from this percent or rating on")


class StarWriting:
    """Takes ratings from the rows that pass by, and writes sidecars when all are known, since stars are relative.

    Args:
        options: of [`add_stars`].
        mean: a row's rating.

    Raises:
        UsageError: an option that cannot be, or a package that is missing; before anything long has begun.
    """

    def __init__(self, options: argparse.Namespace, mean: Callable[[Row], float]):
        self.options, self.mean = options, mean
        self.found: list[tuple[Path, float]] = []
        self.borders = None
        self.writer = sidecar_writer(options)
        if self.writer is not None:
            self.borders = _borders(options)
            _check_tag(options)

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, unchanged."""
        for row in rows:
            if self.writer is not None and row["error"] is None:
                self.found.append((Path(row["path"]), self.mean(row)))
            yield row

    def finish(self, code: int) -> int:
        """Writes the sidecars of the rows that passed by; the exit code is 1 where one could not be written."""
        from ..sidecars import marks_of

        if self.writer is None or self.borders is None:
            return code
        marks = marks_of([mean for _, mean in self.found], self.borders, self.options.xmp_tags)
        return max(code, write_sidecars(self.writer, self.options.command, [path for path, _ in self.found], marks))


def sidecar_writer(options: argparse.Namespace) -> "SidecarWriter | None":
    """The writer that the options name; `None` without --write-xmp.

    Raises:
        UsageError: other options of sidecars without it, or a package that is missing.
    """
    if not options.write_xmp:
        given = [name for name, default in _NEEDING.items() if getattr(options, name, default) != default]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} needs --write-xmp, which writes sidecars.")
        return None
    from ..sidecars import SidecarError, SidecarWriter, check_xmp_extra, mirrored_root

    try:
        check_xmp_extra()
        root = None if options.xmp_folder is None else mirrored_root(options.paths)
    except SidecarError as error:
        raise UsageError(error) from error
    return SidecarWriter(options.xmp_style or "darktable", options.xmp_folder, root, options.overwrite_ratings)


def write_sidecars(writer: "SidecarWriter", command: str, photos: Sequence[Path], marks: "Sequence[Marks]") -> int:
    """Writes each photo's marks and tells on the error stream what was done; returns 1 where one could not be written."""
    from ..processing.image_formats import RAW_SUFFIXES
    from ..sidecars import SharedSidecarError, SidecarError, Written

    written: list[Written] = []
    failed = shared = 0
    # of a raw file and its JPEG, which have one sidecar in Adobe's style, it is the raw file's
    for photo, mark in sorted(zip(photos, marks, strict=True), key=lambda pair: pair[0].suffix.lower() not in RAW_SUFFIXES):
        try:
            written.append(writer.write(photo, mark))
        except SharedSidecarError as error:
            shared += 1
            _tell(command, str(error))
        except SidecarError as error:
            failed += 1
            _tell(command, str(error))
    new = sum(each.changed and not each.existed for each in written)
    merged = sum(each.changed and each.existed for each in written)
    said = [f"sidecars: {new} new, {merged} merged into existing ones, {len(written) - new - merged} already up to date"]
    for count, what, rest in (
        (sum(each.kept_rating for each in written), "rating", "of a person kept"),
        (sum(each.kept_pick for each in written), "flag", "of a person kept"),
        (shared, "photo", "left out, whose sidecar is another photo's"),
        (failed, "sidecar", "that could not be written"),
    ):
        said += [f"{count} {what}{'s' * (count != 1)} {rest}"] if count else []
    _tell(command, "; ".join(said) + ".")
    return int(failed > 0)


def _borders(options: argparse.Namespace) -> "Borders":
    from ..sidecars import Borders, SidecarError

    text = options.star_ratings or options.stars
    try:
        stars = Borders.stars if text is None else tuple(float(part) for part in text.split(","))
        return Borders(stars, options.star_ratings is None, options.reject_below, options.pick_from)
    except SidecarError as error:
        raise UsageError(error) from error
    except ValueError as error:
        raise UsageError(f"borders between stars must be four numbers, such as 10,30,60,85; got {text}.") from error


def _check_tag(options: argparse.Namespace) -> None:
    from ..sidecars import Marks, SidecarError

    try:
        Marks(tags=() if options.xmp_tags is None else (options.xmp_tags,))
    except SidecarError as error:
        raise UsageError(f"--xmp-tags: {error}") from error


def _tell(command: str, text: str) -> None:
    print(f"aesthetic-mllm {command}: {printable(text)}", file=sys.stderr)
