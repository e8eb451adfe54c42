"""Visual tokens of photos, as the model gives and takes them."""

from collections.abc import Mapping

import torch

from ..modeling.model_outputs import AestheticImageFeatures


def tokens_of(seen: AestheticImageFeatures) -> dict[str, torch.Tensor]:
    """The visual tokens of photos that the model has seen, [N, T, D] of each group."""
    assert seen.tokens is not None  # optional only as all fields of such outputs are
    return seen.tokens


def image_features(tokens: Mapping[str, torch.Tensor]) -> AestheticImageFeatures:
    """Tokens of N photos, [N, T, D] of each group, as the model takes what it need not compute."""
    return AestheticImageFeatures(pooler_output=list(torch.cat(list(tokens.values()), dim=1)), tokens=dict(tokens))
