"""Visual tokens take the places that the prompt keeps for them."""

import torch
from transformers.utils import torch_compilable_check

from .configuration_aesthetic_mllm import TOKEN_GROUPS


def present_groups(masks: dict[str, torch.Tensor]) -> tuple[str, ...]:
    """The groups that have placeholders. A compiled graph cannot ask the data, so computes all."""
    if torch.compiler.is_compiling():
        return TOKEN_GROUPS
    return tuple(group for group in TOKEN_GROUPS if bool(masks[group].any()))


def place_tokens(inputs_embeds: torch.Tensor, masks: dict[str, torch.Tensor], tokens: dict[str, torch.Tensor]) -> torch.Tensor:
    """Puts visual tokens at their placeholders; the prompt alone says which photo shows which groups.

    A photo's groups follow each other in the order of `TOKEN_GROUPS`, so a new photo begins wherever a group's block of
    placeholders follows text or a block of the same or a later group. All shapes are static, so this compiles.

    Args:
        inputs_embeds: [B, L, D].
        masks: [B, L] a group.
        tokens: [N, T_group, D] a group that was computed.

    Raises:
        ValueError: the placeholders do not make up N photos.
    """
    batch, length = inputs_embeds.shape[:2]
    order = torch.full((batch, length), -1, dtype=torch.long, device=inputs_embeds.device)
    offsets = {}
    block_starts = torch.zeros((batch, length), dtype=torch.bool, device=inputs_embeds.device)
    for index, group in enumerate(TOKEN_GROUPS):
        if group not in tokens:
            continue
        mask, size = masks[group].to(inputs_embeds.device), tokens[group].shape[1]
        counted = mask.flatten().long().cumsum(0).view(batch, length)
        offsets[group] = (counted - 1) % size  # the token's number within its block
        torch_compilable_check(
            counted[-1, -1] % size == 0, f"The {group} placeholders are no multiple of the {size} tokens a photo has."
        )
        block_starts = block_starts | (mask & (offsets[group] == 0))
        order = torch.where(mask, index, order)
    previous = torch.cat([torch.full_like(order[:, :1], -1), order[:, :-1]], dim=1)
    photo_starts = block_starts & ((previous == -1) | (previous >= order))
    photo = photo_starts.flatten().long().cumsum(0).view(batch, length) - 1  # the photo's number at each position
    num_photos = len(next(iter(tokens.values()))) if tokens else 0
    torch_compilable_check(
        photo[-1, -1] + 1 == num_photos,
        f"The prompts' placeholders do not make up the {num_photos} photos that were given.",
    )
    for group, values in tokens.items():
        size = values.shape[1]
        rows = values.to(inputs_embeds.device, inputs_embeds.dtype).flatten(0, 1)  # [N * size, D]
        index = (photo.clamp(min=0) * size + offsets[group]).clamp(min=0, max=len(rows) - 1)
        inputs_embeds = torch.where(masks[group][..., None].to(inputs_embeds.device), rows[index], inputs_embeds)
    return inputs_embeds
