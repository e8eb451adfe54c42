"""Visual tokens take the places that the prompt keeps for them."""

import torch
from transformers.utils import torch_compilable_check

from .configuration_aesthetic_mllm import TOKEN_GROUPS


def present_groups(masks: dict[str, torch.Tensor]) -> tuple[str, ...]:
    """The groups that have placeholders. A compiled graph cannot ask the data, so computes all."""
    if torch.compiler.is_compiling():
        return TOKEN_GROUPS
    return tuple(group for group in TOKEN_GROUPS if bool(masks[group].any()))


def number_photos(
    masks: dict[str, torch.Tensor], sizes: dict[str, int]
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Which photo each placeholder belongs to; the prompt alone says which photo shows which groups.

    A photo's groups follow each other in the order of `TOKEN_GROUPS`, so a new photo begins wherever a group's block of
    placeholders follows text or a block of the same or a later group. All shapes are static, so this compiles.

    Args:
        masks: [B, L] a group.
        sizes: how many placeholders a photo has of each group.

    Returns:
        Where a photo begins, [B, L] boolean; the number of the last photo that has begun (-1: none), [B, L], counted over the
        whole batch; and for each group each placeholder's number within its block, [B, L].
    """
    first = next(iter(masks.values()))
    order = torch.full_like(first, -1, dtype=torch.long)
    block_starts = torch.zeros_like(first)
    offsets = {}
    for index, group in enumerate(TOKEN_GROUPS):
        if group not in sizes:
            continue
        counted = masks[group].flatten().long().cumsum(0).view_as(order)
        offsets[group] = (counted - 1) % sizes[group]
        torch_compilable_check(
            counted[-1, -1] % sizes[group] == 0,
            f"The {group} placeholders are no multiple of the {sizes[group]} tokens a photo has.",
        )
        block_starts = block_starts | (masks[group] & (offsets[group] == 0))
        order = torch.where(masks[group], index, order)
    previous = torch.cat([torch.full_like(order[:, :1], -1), order[:, :-1]], dim=1)
    starts = block_starts & ((previous == -1) | (previous >= order))
    return starts, starts.flatten().long().cumsum(0).view_as(order) - 1, offsets


def place_tokens(inputs_embeds: torch.Tensor, masks: dict[str, torch.Tensor], tokens: dict[str, torch.Tensor]) -> torch.Tensor:
    """Puts visual tokens at their placeholders.

    Args:
        inputs_embeds: [B, L, D].
        masks: [B, L] a group.
        tokens: [N, T_group, D] a group that was computed.

    Raises:
        ValueError: the placeholders do not make up N photos.
    """
    masks = {group: mask.to(inputs_embeds.device) for group, mask in masks.items()}
    _, photo, offsets = number_photos(masks, {group: values.shape[1] for group, values in tokens.items()})
    num_photos = len(next(iter(tokens.values()))) if tokens else 0
    torch_compilable_check(
        photo[-1, -1] + 1 == num_photos,
        f"The prompts' placeholders do not make up the {num_photos} photos that were given.",
    )
    for group, values in tokens.items():
        size = values.shape[1]
        rows = values.to(inputs_embeds.device, inputs_embeds.dtype).flatten(0, 1)  # [N * size, D]
        index = (photo.clamp(min=0) * size + offsets[group]).clamp(min=0, max=len(rows) - 1)
        inputs_embeds = torch.where(masks[group][..., None], rows[index], inputs_embeds)
    return inputs_embeds
