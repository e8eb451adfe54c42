"""`aesthetic-mllm pretext`: a picture of what photos teach."""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from .usage import UsageError, check_train_extra, with_exit_codes

logger = logging.getLogger(__name__)

# A sheet with more rows is nothing that anybody looks at.
MOST_PHOTOS = 40
# Fifths of fewer photos say little.
FEWEST_FOR_STATISTICS = 5


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "pretext",
        help="draw the pretext samples of photos",
        description="Draws what photos teach in the self-supervised alignment: a row a photo, with questions, answers and labels "
        "at three levels. A folder means the photos in it and below. A photo that cannot be read is named and left out, and the "
        "exit code is then 1.",
    )
    parser.add_argument("paths", nargs="+", metavar="PHOTOS", help=f"photos and folders, at most {MOST_PHOTOS} photos in all")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.png", help="the picture to write")
    parser.add_argument("--epoch", type=_not_negative, default=0, help="other pretext samples of the same photos (default: 0)")
    parser.add_argument("--seed", type=_not_negative, default=0, help="of everything drawn by chance (default: 0)")
    parser.add_argument(
        "--statistics", type=Path, metavar="FILE", help="statistics of a pool, as JSON (default: of the given photos)"
    )
    parser.add_argument("--contents", type=Path, metavar="FILE", help="what a teacher saw in each photo, as JSON")
    parser.set_defaults(run=run, parser=parser)


@with_exit_codes
def run(options: argparse.Namespace) -> int:
    """Writes the picture."""
    return 1 if _draw(options) else 0


def _draw(options: argparse.Namespace) -> int:
    """Writes the picture and returns how many photos could not be read."""
    if options.output.suffix.lower() != ".png":
        raise UsageError(f"the output {options.output} does not end in .png; pictures are written as PNG alone.")
    if not options.output.absolute().parent.is_dir():
        raise UsageError(f"the folder of the output {options.output} does not exist; make it first.")
    check_train_extra()
    from ..pretext.gallery import draw_gallery, gallery_row
    from ..pretext.phrase_bank import PhraseBank
    from ..pretext.pretext_samples import PretextSampleMaker
    from ..pretext.teachers import TeacherError, load_contents

    bank = PhraseBank()
    # Before the photos, whose measurement takes longer than finding a fault in a file.
    statistics = None if options.statistics is None else _load_statistics(options.statistics, bank)
    try:
        contents = {} if options.contents is None else load_contents(options.contents)
    except TeacherError as error:
        raise UsageError(error) from error
    photos, failed = _load_photos(options.paths)
    if statistics is None:
        statistics = _statistics_of(photos, bank)
    maker = PretextSampleMaker(bank, statistics, contents, options.seed)
    sheet = draw_gallery(gallery_row(maker, key, photo, options.epoch) for key, photo in photos.items())
    try:
        sheet.save(options.output, "PNG", optimize=True)
    except OSError as error:
        raise UsageError(f"the picture cannot be written to {options.output} ({error}).") from error
    return failed


def _load_photos(paths: list[str]) -> tuple[dict[str, Any], int]:
    """Photos by folder and name, as a pool's keys are, and how many could not be read."""
    from ..inference.photo_files import find_photos
    from ..pretext.pretext_dataset import load_photo
    from ..processing.image_loading import ImageError

    # A photo that is named twice is drawn once.
    found: dict[Path, None] = {}
    photos_found = find_photos(paths)
    if remark := photos_found.remark():
        print(f"aesthetic-mllm pretext: {remark}", file=sys.stderr)
    for photo in photos_found.photos:
        if isinstance(photo, ImageError):
            raise UsageError(photo)
        found[photo] = None
    if len(found) > MOST_PHOTOS:
        raise UsageError(f"{len(found)} photos are more than one picture can show; name at most {MOST_PHOTOS}.")
    photos: dict[str, Any] = {}
    for path in found:
        key = f"{path.absolute().parent.name}/{path.name}"
        try:
            # Folders of one name must not hide each other's photos.
            photos[key if key not in photos else str(path)] = load_photo(path)
        except ImageError as error:
            print(f"aesthetic-mllm pretext: {error}", file=sys.stderr)
    if not photos:
        raise UsageError("none of the photos can be read.")
    return photos, len(found) - len(photos)


def _load_statistics(path: Path, bank: Any) -> Any:
    from ..editing.measurements.pool_statistics import PoolStatistics
    from ..pretext.phrase_bank import BINS

    try:
        statistics = PoolStatistics.load(path)
        wrong = [
            name
            for name in bank.attributes
            if len(statistics.cuts[name]) != BINS - 1 or list(statistics.cuts[name]) != sorted(map(float, statistics.cuts[name]))
        ]
    except OSError as error:
        raise UsageError(f"the statistics {path} cannot be read ({error}).") from error
    except KeyError as error:
        raise UsageError(f"the statistics {path} lack {error}; write them with PoolStatistics.save.") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} holds no statistics of a pool ({error}); write them with PoolStatistics.save.") from error
    if wrong:
        raise UsageError(f"the statistics {path} do not hold {BINS - 1} ascending numbers for {', '.join(wrong)}.")
    return statistics


def _statistics_of(photos: dict[str, Any], bank: Any) -> Any:
    from ..editing.measurements.pool_statistics import PoolStatistics

    if len(photos) < FEWEST_FOR_STATISTICS:
        logger.warning("Statistics of %d photo(s) say little about what is usual; give a pool's by --statistics.", len(photos))
    return PoolStatistics.of(photos.values(), bank.attributes)


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is negative")
    return value
