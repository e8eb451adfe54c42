"""How a checkpoint rates the flaws of photos as they are, and of the same photos damaged to show each flaw."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..editing import get_edit
from ..editing.claims.photo_evidence import PhotoEvidence
from ..processing.image_loading import load_image
from ..tasks.suggesting import FLAWS, Flaw, flaw_question

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor

logger = logging.getLogger(__name__)

WHOLE = "whole"
BATCH_SIZE = 8


@dataclass(frozen=True)
class FlawRatings:
    """Answers to the questions about flaws, a row for each view of each photo, and what was measured beside them.

    Args:
        photos: [N] names.
        views: [N] `WHOLE`, or the key of the flaw that the photo was damaged to show.
        flaws: [F] keys of the flaws that were asked for.
        means: [N, F] mean ratings; the lower, the stronger the flaw.
        refuted: [N, F] whether measurements refute the flaw.
    """

    photos: np.ndarray
    views: np.ndarray
    flaws: np.ndarray
    means: np.ndarray
    refuted: np.ndarray

    def of_view(self, view: str) -> "FlawRatings":
        """The rows of one view."""
        chosen = self.views == view
        return FlawRatings(self.photos[chosen], self.views[chosen], self.flaws, self.means[chosen], self.refuted[chosen])

    @classmethod
    def load(cls, path: Path) -> "FlawRatings":
        """What `save` wrote."""
        with np.load(path) as arrays:
            return cls(**{each.name: arrays[each.name] for each in fields(cls)})

    def save(self, path: Path) -> None:
        """As an npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **vars(self))


def damage(image: Image.Image, flaw: Flaw) -> Image.Image:
    """A photo that shows a flaw: edited at the strong amount of the edit that makes it, at the photo's own size."""
    name, sign = flaw.damage
    edit = get_edit(name)
    low, high = edit.range
    return edit.pair(image, min(max(sign * edit.strong, low), high), 0)[1]


def rate_flaws(assessor: "AestheticAssessor", photos: Sequence[Path], damaged: int) -> FlawRatings:
    """Rates all flaws that a checkpoint has questions for, whether or not they are asked by default.

    On a CPU core a view takes about a third of a second, and each damaged photo has as many views as there are flaws.

    Args:
        photos: undamaged, as far as is known.
        damaged: how many of them, the first, are rated damaged too.

    Raises:
        ImageError: a photo cannot be read.
        RatingScaleError: the checkpoint has no questions about flaws.
    """
    processor = assessor.processor
    flaws = [flaw for key, flaw in FLAWS.items() if flaw_question(key) in processor.rating_scale.questions]
    questions = [flaw_question(flaw.key) for flaw in flaws]
    rows: list[tuple[str, str, list[float], list[bool]]] = []

    def shown() -> Iterator[list[tuple[str, str, Image.Image]]]:
        for first in range(0, len(photos), BATCH_SIZE):
            yield [(path.name, WHOLE, load_image(path)) for path in photos[first : first + BATCH_SIZE]]
        for path in photos[:damaged]:
            image = load_image(path)
            yield [(path.name, flaw.key, damage(image, flaw)) for flaw in flaws]

    for batch in shown():
        rated = assessor.ratings([image for _, _, image in batch], questions, batch_size=BATCH_SIZE)
        for (name, view, image), ratings in zip(batch, rated, strict=True):
            evidence = PhotoEvidence(image, processor.measurement_cuts)
            rows.append((name, view, [ratings[key].mean for key in questions], [flaw.refuted_by(evidence) for flaw in flaws]))
        logger.info("%d views rated", len(rows))
    names, views, means, refuted = map(np.array, zip(*rows, strict=True))
    return FlawRatings(names, views, np.array([flaw.key for flaw in flaws]), means, refuted)
