"""Methods that predict one person's ratings, all behind one small interface."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from ..engine.visual_tokens import tokens_of
from ..modeling.model_outputs import AestheticImageFeatures
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating, RatingScale
from ..tasks.personalizing import Profile, ProfileError, balanced
from .example_prefix import ExamplePrefix
from .profile_photos import ProfilePhotos, embeddings
from .rater_prior import FittedTaste, RaterPrior, fit_taste

# As many examples a checkpoint is taught to read.
MOST_EXAMPLES = 32
METHODS = ("ridge", "in_context")


class Personalizer(Protocol):
    """Turns general ratings into one person's, given what the model sees of the photos.

    Args:
        question: whose ratings are the person's; others are everybody's.
        reads_general: whether it needs the photos' general ratings, which cost as much as a score.
    """

    question: str
    reads_general: bool

    def rate(self, seen: AestheticImageFeatures, general: Sequence[Rating]) -> list[Rating]:
        """Personal ratings of B photos.

        Args:
            seen: the photos' visual tokens and feature statistics.
            general: their ratings without a profile; may be none where they are not read.
        """
        ...


class RidgePersonalizer:
    """The general rating, moved by what the photo's embedding says of this person's taste ([`fit_taste`])."""

    reads_general = True

    def __init__(self, scale: RatingScale, question: str, fitted: FittedTaste):
        self.scale, self.question, self.fitted = scale, question, fitted

    @classmethod
    def fit(cls, scale: RatingScale, profile: Profile, photos: ProfilePhotos, prior: RaterPrior | None) -> "RidgePersonalizer":
        """From a profile of at least one photo."""
        evidence = profile.evidence(scale, photos.general)
        fitted = fit_taste(photos.embeddings, photos.general, evidence, prior, profile.has_level)
        return cls(scale, profile.question, fitted)

    def rate(self, seen: AestheticImageFeatures, general: Sequence[Rating]) -> list[Rating]:
        means = np.array([rating.mean for rating in general])
        shifted = means + self.fitted.shift(embeddings(seen), means)
        return [self.scale.with_mean(rating, float(mean)) for rating, mean in zip(general, shifted, strict=True)]


class InContextPersonalizer:
    """The person's rated photos stand before the photo in the prompt; the language model reads the taste from them.

    Args:
        weight: the share of what it reads in the rating; the rest is the general rating ([`AestheticMLLMProcessor`]).
    """

    def __init__(self, scale: RatingScale, question: str, prefix: ExamplePrefix, weight: float = 1.0):
        self.scale, self.question, self.prefix, self.weight = scale, question, prefix, weight
        self.reads_general = weight < 1

    @classmethod
    def read(
        cls,
        model: AestheticMLLMForConditionalGeneration,
        processor: AestheticMLLMProcessor,
        profile: Profile,
        photos: ProfilePhotos,
    ) -> "InContextPersonalizer":
        """From a profile of at least one photo; of more than [`MOST_EXAMPLES`] as many of all levels as evenly as there are.

        Raises:
            ProfileError: the checkpoint was not taught to read examples.
        """
        if not processor.reads_examples:
            raise ProfileError(
                f"The checkpoint {model.name_or_path} was not taught to read rated examples; personalize with method='ridge'."
            )
        scale = processor.rating_scale
        levels = [scale.nearest_level(score) for score in profile.scores(scale)]
        chosen = balanced(levels, profile.photos, MOST_EXAMPLES)
        tokens = {group: values[chosen] for group, values in photos.example_tokens.items()}
        prefix = ExamplePrefix(model, processor, [levels[place] for place in chosen], tokens, profile.question)
        return cls(scale, profile.question, prefix, processor.in_context_weight)

    def rate(self, seen: AestheticImageFeatures, general: Sequence[Rating]) -> list[Rating]:
        read = self.scale.read_level_logits(self.prefix.level_logits(tokens_of(seen)))
        if not self.reads_general:
            return mixture(self.scale, [read], [1.0])
        return mixture(self.scale, [general, read], [1 - self.weight, self.weight])


def mixture(scale: RatingScale, columns: Sequence[Sequence[Rating]], weights: Sequence[float]) -> list[Rating]:
    """Weighted means of several ratings' distributions, photo by photo.

    Args:
        columns: of each rater the ratings of B photos, with distributions.
        weights: of the raters; their sum is 1.
    """
    shares = torch.tensor([[list((rating.distribution or {}).values()) for rating in column] for column in columns])
    mean = torch.tensordot(torch.tensor(list(weights), dtype=torch.float64), shares.to(torch.float64), dims=1)  # [B, levels]
    # the logarithm of shares is what a softmax gives them back from
    return [Rating(r.mean, r.std, r.distribution, r.score_range) for r in scale.read_level_logits(mean.clamp(min=1e-12).log())]


def choose_method(name: str) -> str:
    """The method that a name means; "auto" is ridge regression.

    On people and photos held out examples in the prompt did no better with any number of ratings that was tried, 5 to 100
    (`docs/experiments.md`), and ridge regression costs least.

    Raises:
        ProfileError: no such method.
    """
    if name == "auto":
        return "ridge"
    if name not in METHODS:
        raise ProfileError(f"There is no personalization method {name!r}; choose auto, {', '.join(METHODS)}.")
    return name
