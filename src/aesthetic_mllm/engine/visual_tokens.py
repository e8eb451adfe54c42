"""Visual tokens of photos, as the model gives them."""

import torch

from ..modeling.model_outputs import AestheticImageFeatures


def tokens_of(seen: AestheticImageFeatures) -> dict[str, torch.Tensor]:
    """The visual tokens of photos that the model has seen, [N, T, D] of each group."""
    assert seen.tokens is not None  # optional only as all fields of such outputs are
    return seen.tokens
