"""Personal ratings as the protocols of `personal_protocols` ask for them, and a baseline of them."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..personalization.personalizers import InContextPersonalizer, Personalizer, RidgePersonalizer
from ..personalization.rater_prior import RaterPrior, fit_taste
from ..processing.rating_scale import Rating, RatingScale
from ..tasks.personalizing import Profile
from .personal_protocols import Predict
from .photo_features import PhotoFeatures

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor


class PersonalMethods:
    """Every method, as the protocols ask for them.

    Args:
        seen: of the protocol's photos, in its order.
        score_range: of the people's ratings.
        prior: other people's tastes, or `None`.
        question: that the people answered; default the checkpoint's first.
    """

    def __init__(
        self,
        assessor: "AestheticAssessor",
        seen: PhotoFeatures,
        score_range: tuple[float, float],
        prior: RaterPrior | None,
        question: str | None = None,
    ):
        self.assessor, self.seen, self.score_range, self.prior = assessor, seen, score_range, prior
        self.scale = assessor.processor.rating_scale
        self.question = question or self.scale.default_question

    def named(self, name: str) -> Predict:
        """A method by its name, of `personalizers.METHODS`."""

        def predict(person: str, shown: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
            if not len(shown):
                return self.seen.photos.general[asked]
            general = [self._general[place] for place in asked]
            rated = self.make_personalizer(name, shown, values).rate(self.seen.features(asked), general)
            return np.array([rating.mean for rating in rated])

        return predict

    def make_personalizer(self, name: str, shown: np.ndarray, values: np.ndarray) -> Personalizer:
        rated = [(str(place), float(value)) for place, value in zip(shown, values, strict=True)]
        # one distinct rating is no profile for a user, but here everybody counts
        profile = Profile(
            "ratings", self.question, tuple(key for key, _ in rated), tuple(value for _, value in rated), self.score_range
        )
        photos = self.seen.photos.select(shown.tolist())
        if name == "in_context":
            return InContextPersonalizer.read(self.assessor.model, self.assessor.processor, profile, photos)
        return RidgePersonalizer.fit(self.scale, profile, photos, self.prior)

    @cached_property
    def _general(self) -> list[Rating]:
        """Ratings of all photos without a profile."""
        model, processor = self.assessor.model, self.assessor.processor
        prompt = torch.tensor([processor.rating_prompt_ids(self.question)])
        rated: list[Rating] = []
        with torch.inference_mode():
            for places in torch.arange(len(self.seen)).split(32):
                logits = model.level_logits(
                    processor.level_ids,
                    input_ids=prompt.expand(len(places), -1),
                    mm_encoder_outputs={"image": self.seen.features(places.tolist())},
                )
                rated += self.scale.read_level_logits(logits, self.question)
        return rated


def ridge_predictions(
    embeddings: np.ndarray,
    general: np.ndarray,
    scale: RatingScale,
    score_range: tuple[float, float],
    prior: RaterPrior | None,
) -> Predict:
    """A person's ridge regression on any embeddings of the protocol's photos, as the protocols ask for it.

    Args:
        embeddings: [P, F].
        general: everybody's ratings, [P], on the rating scale.
        score_range: of the people's ratings.
        prior: tastes in the space of these embeddings, or `None`.
    """

    def predict(person: str, shown: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
        if not len(shown):
            return general[asked]
        given = np.array([scale.from_range(value, score_range) for value in values])
        fitted = fit_taste(embeddings[shown], general[shown], given - general[shown], prior)
        return general[asked] + fitted.shift(embeddings[asked], general[asked])

    return predict
