"""Visual tokens take the places that the prompt keeps for them.

All of a photo's tokens stand under one placeholder. Its groups follow each other in the order of `TOKEN_GROUPS`; its layout, how
many tokens it shows of each group, is the configuration's unless the caller says otherwise. Lengths alone do not tell a layout:
two tokens of each group are as many as eight of one.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from transformers.utils import torch_compilable_check

from .configuration_aesthetic_mllm import TOKEN_GROUPS
from .model_outputs import AestheticImageFeatures

WHOLE_NUMBERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def groups_shown(image_layouts: torch.Tensor) -> tuple[str, ...]:
    """The groups that any photo shows, of layouts [N, 4] as [`shown_tokens`] takes them.

    Raises:
        ValueError: the layouts are no tensor of integers, have another shape, or a photo shows nothing.
    """
    if not isinstance(image_layouts, torch.Tensor) or image_layouts.dtype not in WHOLE_NUMBERS:
        kind = getattr(image_layouts, "dtype", type(image_layouts).__name__)
        raise ValueError(f"image_layouts is of {kind}; give a tensor of integers: {image_layouts}.")
    if image_layouts.ndim != 2 or not len(image_layouts) or image_layouts.shape[1] != len(TOKEN_GROUPS):
        raise ValueError(
            f"image_layouts has the shape {tuple(image_layouts.shape)}; give for each photo the numbers of its tokens of "
            f"{', '.join(TOKEN_GROUPS)}: [photos, {len(TOKEN_GROUPS)}]."
        )
    if (image_layouts < 0).any() or (image_layouts.sum(1) < 1).any():
        raise ValueError(f"image_layouts must show at least one token of each photo and no negative number: {image_layouts}.")
    return tuple(group for group, shown in zip(TOKEN_GROUPS, (image_layouts > 0).any(0).tolist(), strict=True) if shown)


def mean_of_neighbours(tokens: torch.Tensor, count: int) -> torch.Tensor:
    """Fewer tokens that say the same more coarsely: [N, T, D] -> [N, count, D]; as many as there are stay as they are."""
    return F.adaptive_avg_pool1d(tokens.transpose(1, 2), count).transpose(1, 2)


def shown_tokens(tokens: Mapping[str, torch.Tensor], image_layouts: torch.Tensor | None = None) -> list[torch.Tensor]:
    """The tokens of each photo as they enter the language model.

    Args:
        tokens: [N, T_group, D] of each group, in any order.
        image_layouts: [N, 4], how many tokens of each of `TOKEN_GROUPS` each photo shows: all T_group; fewer, which are means of
            neighbours; or 0. Default: all of the groups that are given.

    Returns:
        N tensors [T, D], where T is the sum of a photo's layout.

    Raises:
        ValueError: a layout asks for more tokens than there are.
    """
    if image_layouts is None:
        return list(torch.cat([tokens[group] for group in TOKEN_GROUPS if group in tokens], dim=1))
    photos = len(next(iter(tokens.values())))
    if len(image_layouts) != photos:
        raise ValueError(f"image_layouts speaks of {len(image_layouts)} photos, but there are {photos}.")
    parts: list[list[torch.Tensor]] = [[] for _ in range(photos)]
    for group, counts in zip(TOKEN_GROUPS, image_layouts.T.tolist(), strict=True):
        whole = tokens[group].shape[1] if group in tokens else 0
        if max(counts) > whole:
            raise ValueError(f"image_layouts asks for {max(counts)} {group} tokens of a photo, which has {whole}.")
        for count in set(counts) - {0}:  # seldom more than two
            rows = [row for row, wanted in enumerate(counts) if wanted == count]
            values = tokens[group][rows]  # [n, T_group, D]
            for row, shown in zip(rows, values if count == whole else mean_of_neighbours(values, count), strict=True):
                parts[row].append(shown)
    return [torch.cat(part) for part in parts]


def image_features(tokens: Mapping[str, torch.Tensor], image_layouts: torch.Tensor | None = None) -> AestheticImageFeatures:
    """Visual tokens as the model gives them, and takes them in place of photos; arguments as of [`shown_tokens`]."""
    ordered = {group: tokens[group] for group in TOKEN_GROUPS if group in tokens}
    return AestheticImageFeatures(
        pooler_output=shown_tokens(ordered, image_layouts),
        tokens=ordered,
        **{f"{group}_embeds": values.mean(dim=1) for group, values in ordered.items()},
    )


def place_tokens(
    inputs_embeds: torch.Tensor, mask: torch.Tensor, photos: Sequence[torch.Tensor], whole: bool = True
) -> torch.Tensor:
    """Puts visual tokens at their placeholders, photo after photo. All shapes are static, so this compiles.

    Args:
        inputs_embeds: [B, L, D].
        mask: [B, L], where the placeholders stand.
        photos: N tensors [T, D].
        whole: whether each photo's placeholders must stand together. Not so where generation reads a prompt in chunks, each with
            the tokens of its own places.

    Raises:
        ValueError: the placeholders do not make up the photos.
    """
    mask = mask.to(inputs_embeds.device)
    tokens = torch.cat([photo.to(inputs_embeds.device, inputs_embeds.dtype) for photo in photos])  # [P, D]
    number = mask.flatten().long().cumsum(0).view_as(mask) - 1  # [B, L], of the last placeholder so far
    message = f"The prompts' placeholders do not make up the {len(photos)} photos that were given, {len(tokens)} tokens in all."
    torch_compilable_check(number[-1, -1] + 1 == len(tokens), message)
    number = number.clamp(min=0, max=len(tokens) - 1)
    if whole:
        begins = torch.zeros(len(tokens), dtype=torch.bool, device=mask.device)  # [P], the first token of a photo
        begins[[0, *accumulate(len(photo) for photo in photos[:-1])]] = True
        follows = F.pad(mask, (1, 0))[:, :-1]  # [B, L], a placeholder stands right before
        torch_compilable_check(~(mask & ~begins[number] & ~follows).any(), f"{message} One photo's are torn apart.")
    return torch.where(mask[..., None], tokens[number], inputs_embeds)
