"""How well ratings agree with people's, beside a baseline, and what they take from each group of visual tokens."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..engine.engine import EncodedPhotos
from ..engine.visual_tokens import tokens_of
from ..modeling.token_placement import image_features
from ..processing.image_loading import ImageSource
from ..trainers.intervals import bootstrap_interval
from ..trainers.rating_metrics import correlation_report, correlations, rank_correlation

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor

BATCH_SIZE = 16


def evaluate_ratings(
    assessor: "AestheticAssessor",
    photos: Sequence[ImageSource],
    labels: Sequence[float],
    question: str | None = None,
    *,
    baseline: Sequence[float] | None = None,
    parts: Mapping[str, Sequence[int]] | None = None,
    exchange: bool = False,
    batch_size: int = BATCH_SIZE,
) -> dict[str, Any]:
    """Correlations of a checkpoint's ratings with people's mean ratings.

    Args:
        photos: that were not trained on.
        labels: people's mean ratings of them, on any scale.
        question: default the checkpoint's first.
        baseline: somebody else's ratings of the same photos, to compare with.
        parts: places of photos that are reported by themselves too.
        exchange: whether to tell what is lost when a group of visual tokens is another photo's ([`lost_by_exchange`]).
        batch_size: photos in one forward.

    Returns:
        [`correlation_report`] of the checkpoint; with `baseline` its correlations, and the difference in SRCC with the 95%
        interval of a paired bootstrap over photos; SRCC by part; SRCC lost by group.
    """
    wanted = np.asarray(labels, dtype=np.float64)
    rated = np.array([rating.mean for rating in assessor.score(list(photos), question, batch_size=batch_size)])
    report = correlation_report(rated, wanted)
    if baseline is not None:
        report |= {"baseline": correlations(baseline, wanted), **srcc_gain(rated, baseline, wanted)}
    if parts is not None:
        report["by_part"] = {
            name: correlations(rated[list(places)], wanted[list(places)])["srcc"] for name, places in parts.items()
        }
    if exchange:
        report["lost_by_exchange"] = lost_by_exchange(assessor, photos, wanted, question, batch_size)
    return report


def srcc_gain(rated: Sequence[float], other: Sequence[float], labels: Sequence[float]) -> dict[str, Any]:
    """By how much the first SRCC with the labels is higher than the second's, with its 95% interval."""

    def gain(first: np.ndarray, second: np.ndarray, wanted: np.ndarray) -> float:
        return correlations(first, wanted)["srcc"] - correlations(second, wanted)["srcc"]

    columns = [np.asarray(values, dtype=np.float64) for values in (rated, other, labels)]
    return {"srcc_gain": gain(*columns), "srcc_gain_interval": list(bootstrap_interval(gain, columns))}


def lost_by_exchange(
    assessor: "AestheticAssessor",
    photos: Sequence[ImageSource],
    labels: Sequence[float],
    question: str | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[str, float]:
    """SRCC with the labels that is lost when one group's tokens are those of another photo, by group.

    It tells what the ratings take from each group.
    """
    tokens = visual_tokens(assessor, photos, batch_size)
    whole = rank_correlation(rate_tokens(assessor, tokens, question, batch_size), labels)
    others = torch.roll(torch.arange(len(photos)), 1)
    return {
        group: float(
            whole - rank_correlation(rate_tokens(assessor, tokens | {group: values[others]}, question, batch_size), labels)
        )
        for group, values in tokens.items()
    }


@torch.inference_mode()
def visual_tokens(
    assessor: "AestheticAssessor", photos: Sequence[ImageSource], batch_size: int = BATCH_SIZE
) -> dict[str, torch.Tensor]:
    """Each group's tokens of N photos, [N, T, D] on the CPU; of the groups that prompts show."""
    parts = []
    for start in range(0, len(photos), batch_size):
        batch = [assessor.engine.read(photo) for photo in photos[start : start + batch_size]]
        parts.append(tokens_of(assessor.engine.encode(batch).features))
    return {group: torch.cat([part[group].cpu() for part in parts]) for group in parts[0]}


@torch.inference_mode()
def rate_tokens(
    assessor: "AestheticAssessor", tokens: Mapping[str, torch.Tensor], question: str | None = None, batch_size: int = BATCH_SIZE
) -> np.ndarray:
    """Mean ratings [N] of photos by their visual tokens alone, [N, T, D] of each group."""
    model, asked = assessor.model, question or assessor.processor.rating_scale.default_question
    means: list[float] = []
    count = len(next(iter(tokens.values())))
    for start in range(0, count, batch_size):
        part = {group: values[start : start + batch_size].to(model.device) for group, values in tokens.items()}
        rated = assessor.engine.rate(EncodedPhotos(image_features(part)), [asked])
        means += [ratings[asked].mean for ratings in rated]
    return np.array(means)
