"""One HTML page about a table of ratings, which needs no network: how ratings are spread, and small copies of photos."""

import base64
import io
import math
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ..processing.image_loading import ImageError, ImageSource, load_image
from .job_error import JobError
from .ratings_summary import BURST_SECONDS, RatedRow, RatingsSummary
from .sources import HUB, find_sources

SIDE, QUALITY = 240, 70
CAPTION = 13  # letters
TEMPLATE = "ratings_page.html.jinja"


def render_page(summary: RatingsSummary, title: str, near: Path) -> str:
    """The page's HTML.

    Args:
        summary: of the table.
        title: of the page, such as the table's name.
        near: the table's folder: where photos are looked for that are not at their paths as seen from here.
    """
    pictures = thumbnails({*summary.best, *summary.worst, *summary.sheet}, near)
    environment = Environment(
        loader=PackageLoader("aesthetic_mllm.jobs"),
        autoescape=select_autoescape(enabled_extensions=("jinja",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["caption"] = caption
    low, high = summary.score_range
    return environment.get_template(TEMPLATE).render(
        title=title,
        summary=summary,
        pictures=pictures,
        missing=any(row not in pictures and not row.file.startswith(HUB) for row in (*summary.best, *summary.worst)),
        burst_seconds=BURST_SECONDS,
        rating_ticks=round_values(low, high, 10),
        count_ticks=[int(count) for count in round_values(0, max(summary.histogram), 4) if count == int(count)],
    )


def caption(row: RatedRow) -> str:
    """A short name for a photo: its file's without the ending, of which the middle is left out where it is long."""
    name = os.path.splitext(os.path.basename(row.name or row.path))[0]
    return name if len(name) <= CAPTION else f"{name[: CAPTION // 2]}…{name[-(CAPTION // 2) :]}"


def round_values(low: float, high: float, most: int) -> list[float]:
    """Round values from low to high, in steps of 1, 2 or 5 times a power of ten, of which there are at most so many."""
    power = 10 ** math.floor(math.log10((high - low) / most))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if (high - low) / step <= most + 1e-9)
    return [round(place * step, 10) for place in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def thumbnails(rows: Iterable[RatedRow], near: Path) -> dict[RatedRow, str]:
    """Small JPEG copies as data URIs; a photo that is not found any more has none."""
    made = {}
    inside: dict[str, dict[str, RatedRow]] = defaultdict(dict)
    for row in rows:
        file = _file(row, near)
        if file is not None:
            made[row] = _picture(file)
        elif "#" in row.file and not row.file.startswith(HUB):
            inside[row.file.partition("#")[0]][row.file] = row
    for container, wanted in inside.items():
        try:
            for item in find_sources([container]).items(wanted.__contains__):
                if not isinstance(item, ImageError):
                    made[wanted[item.key]] = _picture(item.photo)
        except JobError:  # it is gone, or which of its columns was meant is not known
            continue
    return {row: picture for row, picture in made.items() if picture is not None}


def _file(row: RatedRow, near: Path) -> str | None:
    """The photo's own file, if it has one that is there."""
    container = os.path.dirname(row.file.partition("#")[0])
    candidates = [row.file, os.path.join(near, row.file)]
    if row.name is not None:
        candidates.append(os.path.join(container, row.name))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _picture(photo: ImageSource) -> str | None:
    try:
        image = load_image(photo, min_size=(SIDE, SIDE))
    except ImageError:
        return None
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
