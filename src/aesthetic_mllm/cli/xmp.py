"""The options of commands that write XMP sidecars, and the writing itself."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .output import Row, printable
from .usage import UsageError

if TYPE_CHECKING:
    from ..processing.image_loading import ImageError
    from ..sidecars import Borders, Marks, SidecarWriter

# Options that mean nothing without --write-xmp, with what they are if nobody names them.
_NEEDING = {
    "xmp_style": None, "xmp_folder": None, "xmp_root": None, "xmp_tags": None, "overwrite_ratings": False, "stars": None,
    "star_ratings": None, "reject_below": None, "pick_from": None,
}  # fmt: skip
# What --xmp-root is by default.
ROOT = "default: below the named folder in which a photo was found, and for a file that was named itself, below its own folder"


def add_xmp(parser: argparse.ArgumentParser, *, always: bool = False) -> argparse._ArgumentGroup:
    """The options of sidecars.

    Args:
        always: whether the command writes them without being told.
    """
    group = parser.add_argument_group(
        "XMP sidecars, for Lightroom, darktable, digiKam, Immich (pip install 'aesthetic-mllm[xmp]')"
    )
    if always:
        parser.set_defaults(write_xmp=True)
    else:
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
    group.add_argument(
        "--xmp-root",
        type=Path,
        metavar="ROOT",
        help="the photos' tree begins below this folder; " + ("needed with --xmp-folder" if always else ROOT),
    )
    group.add_argument("--xmp-tags", metavar="PREFIX", help="also write a tag below this one, such as PREFIX|high")
    group.add_argument(
        "--overwrite-ratings", action="store_true", help="also replace ratings and flags that a person gave (default: keep them)"
    )
    return group


def add_stars(parser: argparse.ArgumentParser, *, always: bool = False) -> None:
    """The options of sidecars, and of what makes stars of ratings; for [`StarWriting`].

    Args:
        always: whether the command writes them without being told.
    """
    group = add_xmp(parser, always=always)
    borders = group.add_mutually_exclusive_group()
    borders.add_argument(
        "--stars", metavar="P,P,P,P", help="percent of these photos below 2, 3, 4 and 5 stars (default: 10,30,60,85)"
    )
    borders.add_argument("--star-ratings", metavar="R,R,R,R", help="instead, the ratings from which on a photo has 2 to 5 stars")
    group.add_argument("--reject-below", type=float, metavar="N", help="reject (-1) photos below this percent or rating")
    group.add_argument("--pick-from", type=float, metavar="N", help="flag photos as picks from this percent or rating on")


class StarWriting:
    """Takes ratings, and writes sidecars when all are known, since stars are relative.

    Args:
        options: of [`add_stars`].
        photos: that are to be rated, as far as they are known.

    Raises:
        UsageError: an option that cannot be, or a package that is missing; before anything long has begun.
    """

    def __init__(self, options: argparse.Namespace, photos: "Iterable[Path | ImageError]" = ()):
        self.options = options
        self.found: list[tuple[Path, float]] = []
        self.borders = None
        self.writer = sidecar_writer(options, photos)
        if self.writer is not None:
            self.borders = _borders(options)
            _check_tag(options)

    def watch(self, rows: Iterable[Row], mean: Callable[[Row], float]) -> Iterator[Row]:
        """The rows, unchanged, while the ratings of those without an error are taken.

        Args:
            mean: a row's rating.
        """
        for row in rows:
            if self.writer is not None and row["error"] is None:
                self.found.append((Path(row["path"]), mean(row)))
            yield row

    def take(self, ratings: Sequence[tuple[Path, float]]) -> None:
        """Takes ratings that are known already.

        Raises:
            UsageError: a photo has no place of its own.
        """
        self.found += ratings
        if self.writer is not None:
            _check_places(self.writer, (photo for photo, _ in ratings))

    def check_range(self, score_range: tuple[float, float]) -> None:
        """Raises a `UsageError` where a border is a rating that the checkpoint does not give; before photos are rated."""
        from ..sidecars import SidecarError

        try:
            if self.borders is not None:
                self.borders.check_range(*score_range)
        except SidecarError as error:
            raise UsageError(error) from error

    def finish(self, code: int) -> int:
        """Writes the sidecars of the rows that passed by; the exit code is 1 where one could not be written.

        A photo counts once, by whatever names it was found.
        """
        from ..sidecars import marks_of

        if self.writer is None or self.borders is None:
            return code
        means = {os.path.realpath(path): mean for path, mean in self.found}
        marks = dict(zip(means, marks_of([*means.values()], self.borders, self.options.xmp_tags), strict=True))
        photos = {os.path.abspath(path): path for path, _ in self.found}
        said = [marks[os.path.realpath(path)] for path in photos.values()]
        return max(code, write_sidecars(self.writer, self.options.command, [*photos.values()], said))


def sidecar_writer(options: argparse.Namespace, photos: "Iterable[Path | ImageError]") -> "SidecarWriter | None":
    """The writer that the options name; `None` without --write-xmp.

    Args:
        photos: whose places are checked.

    Raises:
        UsageError: other options of sidecars without it, a package that is missing, or photos without a place of their own.
    """
    if not options.write_xmp:
        given = [name for name, default in _NEEDING.items() if getattr(options, name, default) != default]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} needs --write-xmp, which writes sidecars.")
        return None
    if options.xmp_root is not None and options.xmp_folder is None:
        raise UsageError("--xmp-root needs --xmp-folder, in which the tree below it is mirrored.")
    from ..sidecars import SidecarError, SidecarWriter, check_xmp_extra, named_folders

    named = named_folders(getattr(options, "paths", ()))
    style = options.xmp_style or "darktable"
    writer = SidecarWriter(style, options.xmp_folder, options.xmp_root, options.overwrite_ratings, named)
    try:
        check_xmp_extra()
        writer.check_folder()
    except SidecarError as error:
        raise UsageError(error) from error
    _check_places(writer, (photo for photo in photos if isinstance(photo, Path)))
    return writer


def write_sidecars(writer: "SidecarWriter", command: str, photos: Sequence[Path], marks: "Sequence[Marks]") -> int:
    """Writes each photo's marks and tells on the error stream what was done; returns 1 where one could not be written."""
    from ..processing.image_formats import RAW_SUFFIXES
    from ..sidecars import SharedSidecarError, SidecarError

    counts: Counter[str] = Counter()
    # of a raw file and its JPEG, which have one sidecar in Adobe's style, it is the raw file's
    for photo, mark in sorted(zip(photos, marks, strict=True), key=lambda pair: pair[0].suffix.lower() not in RAW_SUFFIXES):
        try:
            written = writer.write(photo, mark)
        except SidecarError as error:
            counts["shared" if isinstance(error, SharedSidecarError) else "failed"] += 1
            tell(command, str(error))
            continue
        except Exception as error:  # whatever is wrong with one sidecar, the others are written
            counts["failed"] += 1
            tell(command, f"The sidecar of {photo} cannot be written ({type(error).__name__}: {error}); it is left as it is.")
            continue
        counts["rating"] += written.kept_rating
        counts["flag"] += written.kept_pick
        if written.changed:
            counts["merged" if written.existed else "new"] += 1
        elif mark.say_nothing:
            counts["nothing"] += 1
        elif not (written.kept_rating or written.kept_pick):
            counts["same"] += 1
    said = [f"sidecars: {counts['new']} new, {counts['merged']} merged into existing ones, {counts['same']} already up to date"]
    kept = "of a person kept in place of ours (see --overwrite-ratings)"
    for key, what, rest in (
        ("nothing", "photo", "of which there is nothing to say"),
        ("rating", "rating", kept),
        ("flag", "flag", kept),
        ("shared", "photo", "left out, whose sidecar is another photo's"),
        ("failed", "sidecar", "that could not be written"),
    ):
        said += [f"{counts[key]} {what}{'s' * (counts[key] != 1)} {rest}"] if counts[key] else []
    tell(command, "; ".join(said) + ".")
    return int(counts["failed"] > 0)


def tell(command: str, text: str) -> None:
    """A line on the error stream."""
    print(f"aesthetic-mllm {command}: {printable(text)}", file=sys.stderr)


def _check_places(writer: "SidecarWriter", photos: Iterable[Path]) -> None:
    from ..sidecars import SidecarError

    try:
        writer.check(photos)
    except SidecarError as error:
        raise UsageError(error) from error


def _borders(options: argparse.Namespace) -> "Borders":
    from ..sidecars import Borders, SidecarError

    text = options.stars if options.star_ratings is None else options.star_ratings
    try:
        stars = Borders.stars if text is None else tuple(float(part) for part in text.split(","))
        return Borders(stars, options.star_ratings is None, options.reject_below, options.pick_from)
    except SidecarError as error:
        raise UsageError(error) from error
    except ValueError as error:
        raise UsageError(f"borders between stars must be four numbers, such as 10,30,60,85; got {text!r}.") from error


def _check_tag(options: argparse.Namespace) -> None:
    from ..sidecars import Marks, SidecarError

    try:
        Marks(tags=() if options.xmp_tags is None else (options.xmp_tags,))
    except SidecarError as error:
        raise UsageError(f"--xmp-tags: {error}") from error
