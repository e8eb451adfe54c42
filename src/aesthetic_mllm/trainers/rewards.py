"""Rewards for TRL's GRPOTrainer, and the model itself as a reward for people who tune image generators.

A reward function takes the completions of a batch, and columns of the data set by name, each as long as the batch; it returns
one number for each completion, `None` where it has nothing to say. Columns that are read: `question`, `mean` (on the
checkpoint's range) and `photo` (equal for completions of one photo).
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist, fmean, pvariance
from typing import Any

from ..inference.assessor import AestheticAssessor
from ..processing.rating_scale import RatingScale, RatingScaleError

Completion = str | Sequence[dict[str, Any]]
NORMAL = NormalDist()


def completion_text(completion: Completion) -> str:
    """What the model wrote, whether TRL gives it as text or as messages."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class _ScoreReward:
    """A reward that reads a number from each completion, as the checkpoint's rating scale does."""

    def __init__(self, scale: RatingScale):
        self.scale = scale
        self.__name__ = type(self).__name__  # TRL logs a reward by it

    def read(self, completion: Completion) -> float | None:
        """The score that was written, or `None` where there is not exactly one of the score range."""
        try:
            return self.scale.read_decimal(completion_text(completion)).mean
        except RatingScaleError:
            return None


class ScoreClosenessReward(_ScoreReward):
    """1 where the written score is the people's mean, falling by its distance as a bell, 0 where no score can be read.

    exp(-(score - mean)^2 / (2 width^2)); a bell rather than a threshold, so that nearer is always better.

    Args:
        scale: the checkpoint's.
        width: in units of the score range.
    """

    def __init__(self, scale: RatingScale, width: float = 1.0):
        super().__init__(scale)
        self.width = width

    def __call__(self, completions: Sequence[Completion], mean: Sequence[float], **columns: Any) -> list[float]:
        scores = [self.read(completion) for completion in completions]
        return [
            0.0 if score is None else math.exp(-((score - wanted) ** 2) / (2 * self.width**2))
            for score, wanted in zip(scores, mean, strict=True)
        ]


class RankReward(_ScoreReward):
    """Whether a photo's score stands in the right order to the scores of the batch's other photos, 0 to 1.

    Under Thurstone's model a completion with score x beats photo q, whose completions score m with variance v, with probability
    Phi((x - m) / sqrt(own variance + v)); the reward is the mean over q of the fidelity sqrt(p q) + sqrt((1 - p)(1 - q)) with the
    order of the people's means (VisualQuality-R1, arXiv:2505.14460). Only photos that are asked the same question are compared;
    with no other photo there is nothing to say.

    Args:
        scale: the checkpoint's.
        label_std: uncertainty of a mean label in units of the score range.
    """

    LEAST_VARIANCE = 0.01

    def __init__(self, scale: RatingScale, label_std: float = 0.45):
        super().__init__(scale)
        self.label_std = label_std

    def __call__(
        self,
        completions: Sequence[Completion],
        mean: Sequence[float],
        photo: Sequence[Any],
        question: Sequence[str],
        **columns: Any,
    ) -> list[float | None]:
        scores = [self.read(completion) for completion in completions]
        found: dict[tuple[str, Any], list[float]] = defaultdict(list)
        labels: dict[tuple[str, Any], float] = {}
        keys = list(zip(question, photo, strict=True))
        for key, score, wanted in zip(keys, scores, mean, strict=True):
            labels[key] = wanted
            if score is not None:
                found[key].append(score)
        moments = {key: (fmean(values), pvariance(values)) for key, values in found.items()}
        rewards: list[float | None] = []
        for key, score in zip(keys, scores, strict=True):
            others = [other for other in moments if other[0] == key[0] and other != key]
            if score is None:
                rewards.append(0.0)
            elif not others:
                rewards.append(None)
            else:
                rewards.append(sum(self._fidelity(score, key, other, moments, labels) for other in others) / len(others))
        return rewards

    def _fidelity(self, score: float, key: Any, other: Any, moments: dict, labels: dict) -> float:
        mean, variance = moments[other]
        predicted = NORMAL.cdf((score - mean) / math.sqrt(moments[key][1] + variance + self.LEAST_VARIANCE))
        wanted = NORMAL.cdf((labels[key] - labels[other]) / (self.label_std * math.sqrt(2)))
        return math.sqrt(predicted * wanted) + math.sqrt((1 - predicted) * (1 - wanted))


class FormatReward(_ScoreReward):
    """1 where a completion is a score and nothing else, in the form that the checkpoint learned; else 0."""

    def __call__(self, completions: Sequence[Completion], **columns: Any) -> list[float]:
        rewards = []
        for completion in completions:
            score = self.read(completion)
            rewards.append(float(score is not None and completion_text(completion).strip() == self.scale.write_decimal(score)))
        return rewards


class LengthReward:
    """1 for a comment of a wanted number of words, falling to 0 at none and at twice the most.

    Args:
        least, most: words.
    """

    def __init__(self, least: int, most: int):
        if not 0 < least <= most:
            raise ValueError(f"least and most must be rising and above 0, got {least} and {most}.")
        self.least, self.most = least, most
        self.__name__ = type(self).__name__

    def __call__(self, completions: Sequence[Completion], **columns: Any) -> list[float]:
        counts = [len(completion_text(completion).split()) for completion in completions]
        return [min(1.0, count / self.least, max(0.0, 2 - count / self.most)) for count in counts]


def aesthetic_reward(images: Sequence[Any], question: str | None = None, model: str | None = None) -> list[float]:
    """How good images are, for people who tune image generators: the mean of each image's rating, 0 to 1.

    The checkpoint is loaded once a process. An image that cannot be judged has the least reward.

    Args:
        images: paths, bytes or Pillow images.
        question: of the checkpoint's; default its first.
        model: folder or Hub id; default the embedded checkpoint.
    """
    assessor = _assessor(model)
    low, high = assessor.processor.rating_scale.score_range
    ratings = assessor.score(list(images), question, on_error="return")
    return [0.0 if isinstance(rating, Exception) else (rating.mean - low) / (high - low) for rating in ratings]


@lru_cache(maxsize=1)
def _assessor(model: str | None) -> AestheticAssessor:
    return AestheticAssessor.from_pretrained(model)
