"""What the model and its parts return."""

from dataclasses import dataclass

import torch
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling, CausalLMOutputWithPast

# What the key-value cache is called, as an argument and in outputs. transformers 5.24 renamed it, and 5.40 drops the old name.
# Once the oldest supported version is 5.24, delete this and write `cache`.
CACHE = "cache" if "cache" in BaseModelOutputWithPast.__dataclass_fields__ else "past_key_values"


@dataclass
class AestheticImageFeatures(BaseModelOutputWithPooling):
    """Visual tokens of a batch of photos, in the language model's width D.

    Args:
        pooler_output (`list[torch.Tensor]`):
            For each photo its tokens as they enter the language model, [T, D]; T follows from the photo's layout.
        tokens (`dict[str, torch.Tensor]`, *optional*):
            For each group that was computed all of its tokens, [N, T_group, D], whatever the photos show of them.
        low_embeds, middle_embeds, high_embeds, thematic_embeds (`torch.Tensor` [N, D], *optional*):
            Mean of a group's tokens: one embedding a photo and level. `None` for a group that is switched off.
        map_statistics (`torch.Tensor` [N, S], *optional*):
            What the tower saw before the alignment module chose of it: mean and standard deviation over the photo of each
            channel of the feature maps that were read; only where they were asked for.
    """

    tokens: dict[str, torch.Tensor] | None = None
    map_statistics: torch.Tensor | None = None
    low_embeds: torch.Tensor | None = None
    middle_embeds: torch.Tensor | None = None
    high_embeds: torch.Tensor | None = None
    thematic_embeds: torch.Tensor | None = None


@dataclass
class AestheticMLLMModelOutputWithPast(BaseModelOutputWithPast):
    """Output of [`AestheticMLLMModel`].

    Args:
        last_hidden_state (`torch.Tensor` [B, L, D]):
            States of the language model's last layer.
        image_hidden_states (`torch.Tensor` [N, T, D], *optional*):
            The photos' visual tokens, groups in the order low, middle, high, thematic; [P, D], photo after photo, where photos
            show different numbers of tokens.
        low_embeds, middle_embeds, high_embeds, thematic_embeds (`torch.Tensor` [N, D], *optional*):
            Each group's mean token, as in [`AestheticImageFeatures`].
    """

    image_hidden_states: torch.Tensor | None = None
    low_embeds: torch.Tensor | None = None
    middle_embeds: torch.Tensor | None = None
    high_embeds: torch.Tensor | None = None
    thematic_embeds: torch.Tensor | None = None


@dataclass
class AestheticMLLMCausalLMOutputWithPast(CausalLMOutputWithPast):
    """Output of [`AestheticMLLMForConditionalGeneration`]; logits are [B, L or logits_to_keep, vocabulary]."""

    image_hidden_states: torch.Tensor | None = None
