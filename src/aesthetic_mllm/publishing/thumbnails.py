"""Photos to look at: those that were rated as people did, and those that were missed the most, as small pictures."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..processing.image_errors import ImageError
from ..processing.image_loading import load_image
from .predictions import Prediction

SIDE = 240  # pixels of the long side, shown at about half of it so that it is sharp on dense screens
SHOWN = 6  # photos of a kind


@dataclass(frozen=True)
class Thumbnail:
    """A photo of a report's page.

    Args:
        picture: a data URI; `None` where the photo cannot be read any more.
    """

    prediction: Prediction
    picture: str | None


@dataclass(frozen=True)
class Examples:
    """Photos of one data set and question: rated too high, too low, and as people did."""

    too_high: tuple[Thumbnail, ...]
    too_low: tuple[Thumbnail, ...]
    right: tuple[Thumbnail, ...]


def choose_examples(predictions: Sequence[Prediction], roots: Mapping[str, Path]) -> Examples:
    """The largest errors either way, and from each stretch of people's ratings the photo with the smallest.

    Args:
        predictions: of one system, data set and question.
        roots: the data sets' folders by name.
    """
    by_error = sorted(predictions, key=lambda one: one.error)
    too_low = [one for one in by_error[:SHOWN] if one.error < 0]
    too_high = [one for one in reversed(by_error[-SHOWN:]) if one.error > 0]
    missed = {one.photo for one in (*too_low, *too_high)}
    others = sorted((one for one in predictions if one.photo not in missed), key=lambda one: one.label)
    right = []
    for number in range(SHOWN):
        stretch = others[number * len(others) // SHOWN : (number + 1) * len(others) // SHOWN]
        right += [min(stretch, key=lambda one: abs(one.error))] if stretch else []

    def shown(chosen: Sequence[Prediction]) -> tuple[Thumbnail, ...]:
        return tuple(Thumbnail(one, make_thumbnail(roots.get(one.data), one.photo, one.file)) for one in chosen)

    return Examples(shown(too_high), shown(too_low), shown(right))


def make_thumbnail(root: Path | None, photo: str, file: str | None = None) -> str | None:
    """A small JPEG of a photo as a data URI; `None` where it is not below the folder or is no image.

    Args:
        file: where the photo lies, if elsewhere.
    """
    if root is None:
        return None
    path = (root / photo).resolve() if file is None else Path(file)
    if file is None and not path.is_relative_to(root.resolve()):
        return None
    try:
        image = load_image(path)
    except ImageError:
        return None
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=72, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
