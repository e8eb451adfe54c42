"""Other people's tastes as what is expected of a person before they rate anything; a checkpoint carries it.

A person's rating of a photo is the general rating, plus a level of their own, plus more or less of what the general rating varies
by, plus a taste: a linear function of the photo's embeddings, drawn from the tastes of many raters. Chance is the rest. All of it
is normally distributed, so what some ratings say of the others is ridge regression in the space of tastes, in closed form.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from ..processing.checkpoint_side_files import SideFile
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..tasks.personalizing import ProfileError
from .ridge import KernelRidge

RATER_PRIOR = "rater_prior"  # side file of a checkpoint
# Tried where no raters are known: variances of a taste over photos, in points^2 of the score range. None at all is one of them.
ISOTROPIC_TRIED = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


@dataclass(frozen=True)
class Spreads:
    """How people differ, as variances in points^2 of the score range from 1 to 10.

    Args:
        level: of how high people rate.
        slope: of how much more or less than 1 the general rating counts (no unit).
        taste: of tastes, over people and photos.
        chance: of what nothing explains.
    """

    level: float = 3.0
    slope: float = 0.15
    taste: float = 1.0
    chance: float = 3.5


@dataclass(frozen=True)
class RaterPrior:
    """Where tastes lie in the space of embeddings, and how far people differ.

    Args:
        centre, scale: of the embeddings, [F].
        directions: [K, F]; a standardised embedding times these are a photo's coordinates [K], over which a person's weights are
            independent and of variance 1 before `spreads.taste` scales them.
        spreads: of people.
    """

    centre: np.ndarray
    scale: np.ndarray
    directions: np.ndarray
    spreads: Spreads

    def coordinates(self, embeddings: np.ndarray) -> np.ndarray:
        """[n, F] embeddings -> [n, K], whose mean square over photos like those of the raters is 1 (summed over K)."""
        return (embeddings - self.centre) / self.scale @ self.directions.T

    @classmethod
    def isotropic(cls, embeddings: np.ndarray) -> "RaterPrior":
        """A prior without raters: any direction is as likely as any other, around the photos of the profile, [n, F]."""
        centre = embeddings.mean(0)
        scale = float((embeddings - centre).std()) or 1.0
        width = embeddings.shape[1]
        return cls(centre, np.full(width, scale), np.eye(width) / np.sqrt(width), Spreads())

    def to_side_file(self) -> SideFile:
        """As a checkpoint carries it, by the name of [`RATER_PRIOR`]."""
        values = {"centre": self.centre, "scale": self.scale, "directions": self.directions}
        tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}
        return SideFile(tensors, {name: repr(value) for name, value in asdict(self.spreads).items()})

    @classmethod
    def from_side_file(cls, file: SideFile) -> "RaterPrior":
        """What `to_side_file` made."""
        tensors = {name: value.double().numpy() for name, value in file.tensors.items()}
        return cls(**tensors, spreads=Spreads(**{name: float(value) for name, value in file.metadata.items()}))

    @classmethod
    def of_processor(cls, processor: AestheticMLLMProcessor) -> "RaterPrior | None":
        """The prior that the processor's checkpoint carries, or `None`."""
        file = processor.side_files.get(RATER_PRIOR)
        return None if file is None else cls.from_side_file(file)


@dataclass(frozen=True)
class FittedTaste:
    """What a person's ratings say of their ratings of other photos.

    Args:
        prior: that it was fitted with.
        offset: what is added to every photo's rating, in points of the score range.
        slope: by which the general rating's distance from `general_centre` counts more than 1.
        general_centre: mean general rating of the person's photos.
        weights: of the photo's coordinates, [K].
        left_out: for each of the person's photos what the others say of it, in points above the general rating, [n].
    """

    prior: RaterPrior
    offset: float
    slope: float
    general_centre: float
    weights: np.ndarray
    left_out: np.ndarray

    def shift(self, embeddings: np.ndarray, general: np.ndarray) -> np.ndarray:
        """By how much the person is expected to rate photos above the general rating: [n, F], [n] -> [n]."""
        return self.offset + self.slope * (general - self.general_centre) + self.prior.coordinates(embeddings) @ self.weights


def fit_taste(
    embeddings: np.ndarray, general: np.ndarray, evidence: np.ndarray, prior: RaterPrior | None = None, has_level: bool = True
) -> FittedTaste:
    """Fits a person's taste, in milliseconds.

    Args:
        embeddings: of the person's photos, [n, F].
        general: their ratings without a profile, [n].
        evidence: by how much the person likes them better than people in general, [n].
        prior: other people's tastes; default an isotropic one whose strength is the best of some by closed-form leave-one-out.
        has_level: whether the evidence says how high the person rates; otherwise only tastes explain it.

    Raises:
        ProfileError: the prior is another model's.
    """
    known = prior or RaterPrior.isotropic(embeddings)
    if len(known.centre) != embeddings.shape[1]:
        raise ProfileError(
            f"The checkpoint's side file {RATER_PRIOR} is for embeddings of {len(known.centre)} numbers, its model gives "
            f"{embeddings.shape[1]}; fit it anew, or remove it."
        )
    strengths = (known.spreads.taste,) if prior else ISOTROPIC_TRIED
    centre = float(general.mean())
    coordinates = known.coordinates(embeddings)
    level, slope = (known.spreads.level, known.spreads.slope) if has_level else (0.0, 0.0)
    basics = level + slope * np.outer(general - centre, general - centre)
    likeness = coordinates @ coordinates.T
    tried = [(strength, KernelRidge(basics + strength * likeness, evidence, known.spreads.chance)) for strength in strengths]
    strength, best = min(tried, key=lambda each: float(np.square(evidence - each[1].left_out).sum()))
    return FittedTaste(
        known,
        offset=level * float(best.weights.sum()),
        slope=slope * float((general - centre) @ best.weights),
        general_centre=centre,
        weights=strength * (coordinates.T @ best.weights),
        left_out=best.left_out,
    )
