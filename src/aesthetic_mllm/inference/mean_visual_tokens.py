"""The average photo: the mean of many photos' visual tokens, which a checkpoint carries."""

from collections.abc import Iterable, Mapping

import torch

from ..modeling.model_outputs import AestheticImageFeatures
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..modeling.token_placement import image_features
from ..tasks.commenting import CommentingError

MEAN_VISUAL_TOKENS = "mean_visual_tokens"  # side file of a checkpoint


def mean_photo(batches: Iterable[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Mean of all photos' tokens.

    Args:
        batches: tokens [N, T, D] of each group, of any number of photos each.

    Returns:
        [1, T, D] float32 of each group.

    Raises:
        ValueError: no photos.
    """
    sums: dict[str, torch.Tensor] = {}
    count = 0
    for tokens in batches:
        count += len(next(iter(tokens.values())))
        for group, values in tokens.items():
            sums[group] = sums.get(group, 0) + values.float().sum(0, keepdim=True)
    if not count:
        raise ValueError("No photos to take the mean of.")
    return {group: values / count for group, values in sums.items()}


def mean_photo_features(
    tokens: Mapping[str, torch.Tensor], model: AestheticMLLMForConditionalGeneration, counts: Mapping[str, int]
) -> AestheticImageFeatures:
    """The average photo as a model takes what it need not compute.

    Args:
        tokens: as of [`mean_photo`].
        model: that is to read them.
        counts: how many tokens it is shown of each group.

    Raises:
        CommentingError: the tokens are another model's.
    """
    width = model.lm_head.in_features
    wanted = {group: (1, count, width) for group, count in counts.items() if count}
    found = {group: tuple(values.shape) for group, values in tokens.items()}
    if found != wanted:
        raise CommentingError(
            f"The checkpoint's side file {MEAN_VISUAL_TOKENS} holds tokens {found}, its model reads {wanted}; "
            "make it anew, or remove it."
        )
    return image_features({group: values.to(model.device, model.dtype) for group, values in tokens.items()})
