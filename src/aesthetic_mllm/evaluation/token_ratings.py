"""Visual tokens of many photos, and ratings by these alone: without a second look at the photos."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..engine.engine import EncodedPhotos
from ..engine.visual_tokens import tokens_of
from ..modeling.token_placement import image_features
from ..processing.image_loading import ImageSource

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor

BATCH_SIZE = 16


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
