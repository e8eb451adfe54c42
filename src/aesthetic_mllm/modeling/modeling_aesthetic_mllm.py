"""The aesthetic multimodal language model: vision tower, multi-scale feature alignment, language model."""

from collections.abc import Sequence
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoModel,
    Cache,
    GenerationMixin,
)
from transformers import initialization as init
from transformers.utils import can_return_tuple

from .checkpoint_documents import PLACES, CarriesDocuments
from .checkpoint_errors import CheckpointError
from .configuration_aesthetic_mllm import (
    TOKEN_GROUPS,
    AestheticMLLMConfig,
)
from .from_pretrained_parts import FromPretrainedParts
from .model_outputs import (
    CACHE,
    AestheticImageFeatures,
    AestheticMLLMCausalLMOutputWithPast,
    AestheticMLLMModelOutputWithPast,
)
from .multi_scale_feature_alignment import AestheticQFormer, MultiScaleFeatureAlignment, ThematicPath
from .token_placement import groups_shown, image_features, place_tokens
from .vision_tower import (
    build_vision_tower,
    default_feature_layers,
    map_statistics,
    tower_channels,
    tower_feature_maps,
)


class AestheticMLLMPreTrainedModel(CarriesDocuments):
    """What the model and its headless form share: how weights are initialised, loaded and checked, and what is said of them."""

    config: AestheticMLLMConfig
    config_class = AestheticMLLMConfig
    base_model_prefix = "model"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = [CACHE]
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, AestheticQFormer | ThematicPath):
            # Narrow features through weights of 0.02 would reach the queries as a whisper: keep the variance instead.
            for child in module.children():
                if isinstance(child, nn.Linear):
                    init.normal_(child.weight, std=child.in_features**-0.5)
        if isinstance(module, AestheticQFormer):
            init.normal_(module.queries, std=1.0)  # a layer norm follows

    def enable_input_require_grads(self) -> None:
        """Gradients for the word embeddings' output alone, which checkpointed layers of a frozen language model need.

        The parent hooks the tower's embeddings too: a frozen tower would then be backpropagated through for nothing.
        """
        hook = self.get_input_embeddings().register_forward_hook(lambda module, inputs, output: output.requires_grad_(True))
        self._require_grads_hooks = [hook]
        self._require_grads_hook = hook

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """As the parent's, but only safetensors load, and a weight that is missing, unexpected or misshapen is an error.

        The checkpoint's card, report and licence are kept, and written again by `save_pretrained`.

        Raises:
            CheckpointError: the checkpoint lacks weights of this model, holds others, their shapes differ, or a file is damaged.
        """
        with_info = kwargs.pop("output_loading_info", False)
        kwargs |= {"use_safetensors": True, "ignore_mismatched_sizes": True}  # mismatches are reported below
        try:
            model, info = super().from_pretrained(pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs)
        except SafetensorError as error:
            raise CheckpointError(
                f"{pretrained_model_name_or_path}: its weights cannot be read ({error}). Copy or download them again."
            ) from error
        problems = {
            kind: sorted(str(key[0] if isinstance(key, tuple) else key) for key in info.get(f"{kind}_keys") or ())
            for kind in ("missing", "unexpected", "mismatched")
        }
        if not hasattr(model, "lm_head"):  # the headless model reads a checkpoint with a head, which it has no use for
            problems["unexpected"] = [key for key in problems["unexpected"] if key != "lm_head.weight"]
        found = [f"{len(keys)} {kind} weights, first {', '.join(keys[:3])}" for kind, keys in problems.items() if keys]
        if found:
            raise CheckpointError(
                f"{pretrained_model_name_or_path} does not fit {cls.__name__}: {'; '.join(found)}. "
                "Load it with the version of the package that saved it, or convert it."
            )
        places = {name: kwargs[name] for name in PLACES if kwargs.get(name) is not None}
        model.load_documents(pretrained_model_name_or_path, **places)
        return (model, info) if with_info else model


class AestheticMLLMModel(AestheticMLLMPreTrainedModel):
    """Vision tower, alignment module and language model without its head: what `AutoModel.from_pretrained` gives.

    Call it with `pixel_values` and `image_sizes` alone for the photos' embeddings, or with `input_ids` too for the language
    model's states.
    """

    def __init__(self, config: AestheticMLLMConfig):
        super().__init__(config)
        self.vision_tower = build_vision_tower(config.vision_config)
        self.feature_layers = config.alignment_config.feature_layers or default_feature_layers(config.vision_config)
        self.multi_modal_projector = MultiScaleFeatureAlignment(
            config.alignment_config,
            {group: tower_channels(config.vision_config, layer) for group, layer in self.feature_layers.items()},
            config.text_config.hidden_size,
        )
        self.language_model = AutoModel.from_config(config.text_config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_decoder(self) -> nn.Module:
        return self.language_model

    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        image_sizes: torch.Tensor | None = None,
        image_layouts: torch.Tensor | None = None,
        groups: Sequence[str] | None = None,
        statistics: bool = False,
        **kwargs: Any,
    ) -> AestheticImageFeatures:
        """Visual tokens and embeddings of photos.

        Args:
            pixel_values (`torch.Tensor` [N, 3, H, W]):
                Photos letterboxed on the canvas and normalised, as the image processor gives them.
            image_sizes (`torch.Tensor` [N, 2], *optional*):
                Height and width in pixels of each photo's rectangle on the canvas. Default: it fills the canvas.
            image_layouts (`torch.Tensor` [N, 4], *optional*):
                How many tokens of each of `TOKEN_GROUPS` each photo shows in its prompt; fewer than the group has are means of
                neighbours. Default: all of `groups`.
            groups (`Sequence[str]`, *optional*):
                The groups to compute. Default: those that are shown.
            statistics (`bool`):
                Whether to give the feature maps' statistics beside the tokens.
        """
        if groups is None:
            groups = self.config.shown_groups if image_layouts is None else groups_shown(image_layouts)
        pixel_values = pixel_values.to(self.vision_tower.dtype)
        if image_sizes is not None:
            image_sizes = image_sizes.to(pixel_values.device)
        layers = sorted({self.feature_layers[group] for group in groups})
        maps = tower_feature_maps(self.vision_tower, pixel_values, image_sizes, layers, **kwargs)
        dtype = next(self.multi_modal_projector.parameters()).dtype  # a tower may stay in float32
        by_layer = {layer: features.to(dtype) for layer, features in zip(layers, maps, strict=True)}
        tokens = self.multi_modal_projector(
            {group: by_layer[self.feature_layers[group]] for group in groups},
            image_sizes,
            tuple(pixel_values.shape[-2:]),
        )
        features = image_features(tokens, image_layouts)
        if statistics:
            height = pixel_values.shape[-2]
            features.map_statistics = torch.cat([map_statistics(values, image_sizes, height) for values in maps], dim=1)
        return features

    def get_placeholder_mask(self, input_ids: torch.Tensor | None, inputs_embeds: torch.Tensor) -> torch.Tensor:
        """Where placeholders stand, [B, L] boolean. Without `input_ids` the embeddings are compared with the placeholder's."""
        if input_ids is not None:
            return input_ids == self.config.image_token_id
        placeholder = torch.tensor(self.config.image_token_id, device=inputs_embeds.device)
        return (inputs_embeds == self.get_input_embeddings()(placeholder)).all(-1)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        image_sizes: torch.Tensor | None = None,
        image_layouts: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, AestheticImageFeatures] | None = None,
        **kwargs: Any,
    ) -> AestheticMLLMModelOutputWithPast:
        """See the class; shapes as in [`AestheticMLLMModelOutputWithPast`].

        Args:
            image_layouts (`torch.Tensor` [N, 4], *optional*):
                How many tokens of each of `TOKEN_GROUPS` each of the `pixel_values` shows at its placeholders: all, fewer (means
                of neighbours), or 0. Default: the configuration's `num_group_tokens`.
            mm_encoder_outputs (`dict`, *optional*):
                Under `"image"` what `get_image_features` gave, layouts included, in place of `pixel_values`.

        Raises:
            ValueError: both or neither of `input_ids` and `inputs_embeds` are given, `mm_encoder_outputs` beside `pixel_values`
                or `image_layouts`, or placeholders and photos do not match.
        """
        features = None if mm_encoder_outputs is None else mm_encoder_outputs.get("image")
        if features is not None and not (pixel_values is None and image_layouts is None):
            raise ValueError("Give either pixel_values (with image_layouts) or mm_encoder_outputs, not both.")
        if pixel_values is not None:
            features = self.get_image_features(pixel_values, image_sizes, image_layouts)
            if input_ids is None and inputs_embeds is None:
                return _image_output(features)
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give exactly one of input_ids and inputs_embeds (or pixel_values alone for embeddings).")
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)

        if features is not None:
            mask = self.get_placeholder_mask(input_ids, inputs_embeds)
            # what generation cuts out for a chunk of a prompt has no groups any more
            inputs_embeds = place_tokens(inputs_embeds, mask, features.pooler_output, whole=features.tokens is not None)

        if cache is not None:
            kwargs[CACHE] = cache
        outputs = self.language_model(
            attention_mask=attention_mask, position_ids=position_ids, inputs_embeds=inputs_embeds, **kwargs
        )
        image_output = {} if features is None else _image_output(features)
        return AestheticMLLMModelOutputWithPast(
            **{**image_output, "last_hidden_state": outputs.last_hidden_state, CACHE: outputs.get(CACHE)},
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


class AestheticMLLMForConditionalGeneration(AestheticMLLMPreTrainedModel, FromPretrainedParts, GenerationMixin):
    """The whole model: rates photos at one position (`level_logits`), answers in words (`generate`), learns (`labels`)."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}
    _tp_plan = {"lm_head": "colwise_gather_output"}

    def __init__(self, config: AestheticMLLMConfig):
        super().__init__(config)
        self.model = AestheticMLLMModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def get_decoder(self) -> nn.Module:
        return self.model.get_decoder()

    def get_image_features(
        self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None = None, **kwargs: Any
    ) -> AestheticImageFeatures:
        """As [`AestheticMLLMModel.get_image_features`]."""
        return self.model.get_image_features(pixel_values, image_sizes, **kwargs)

    def level_logits(self, level_ids: Sequence[int], **inputs: Any) -> torch.Tensor:
        """Logits of the level words at the last position: [B, len(level_ids)], float32.

        One forward without a cache; the head's other rows and other positions are never computed, and these few are computed
        in float32 whatever the model's dtype. Prompts must end with the answer stem, so pad on the left.
        """
        return self.token_logits(self.model(use_cache=False, **inputs).last_hidden_state[:, -1], level_ids)

    def token_logits(self, states: torch.Tensor, token_ids: Sequence[int]) -> torch.Tensor:
        """Logits of a few tokens after the language model's states: [..., D] -> [..., len(token_ids)], float32.

        Where the head's weights are not there to be read (quantized, packed or offloaded), all of its logits are computed.
        """
        ids = torch.as_tensor(token_ids, device=states.device)
        weight = getattr(self.lm_head, "weight", None)
        if not _is_plain(weight) or weight.shape != (self.config.text_config.vocab_size, states.shape[-1]):
            return self._cap(self.lm_head(states)[..., ids].float())
        return self._cap(states.float() @ weight[ids].float().T)

    def _expand_multimodal_outputs(
        self,
        input_ids: torch.Tensor | None,
        mm_encoder_output: dict[str, AestheticImageFeatures],
        expand_size: int = 1,
        inputs_embeds: torch.Tensor | None = None,
    ) -> dict[str, AestheticImageFeatures]:
        """For several sequences a prompt (beams, `num_return_sequences`): each prompt's photos together, once for each of them.

        The parent's in transformers 5.18 repeats each photo by itself, so that the second photo of a prompt becomes the first.
        """
        features = mm_encoder_output.get("image")
        if features is None:
            return mm_encoder_output
        if input_ids is not None and input_ids.numel() == 0:
            input_ids = None
        remaining, expanded = list(features.pooler_output), []
        for count in self.model.get_placeholder_mask(input_ids, inputs_embeds).sum(1).tolist():
            own: list[torch.Tensor] = []
            while remaining and sum(map(len, own)) < count:
                own.append(remaining.pop(0))
            expanded += own * expand_size
        return mm_encoder_output | {"image": AestheticImageFeatures(**{**features, "pooler_output": expanded})}

    def _cap(self, logits: torch.Tensor) -> torch.Tensor:
        """Soft limit of the logits, which Gemma's configurations may ask for."""
        cap = getattr(self.config.text_config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        image_sizes: torch.Tensor | None = None,
        image_layouts: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, AestheticImageFeatures] | None = None,
        **kwargs: Any,
    ) -> AestheticMLLMCausalLMOutputWithPast:
        """Next-token logits, and the language-modelling loss where `labels` [B, L] (-100: not counted) are given.

        Args:
            input_ids (`torch.Tensor` [B, L]): prompts with a placeholder for each visual token.
            pixel_values (`torch.Tensor` [N, 3, H, W]): the photos in the order in which the prompts name them.
            image_sizes (`torch.Tensor` [N, 2]): height and width of each photo's rectangle on the canvas.
            image_layouts (`torch.Tensor` [N, 4]): which tokens of each photo the prompts show, as in [`AestheticMLLMModel`].
            cache (`Cache`): keys and values of earlier tokens; before transformers 5.24 also called `past_key_values`.
            logits_to_keep (`int` or `torch.Tensor`): how many last positions get logits (0: all), or which.
        """
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            inputs_embeds=inputs_embeds,
            image_sizes=image_sizes,
            image_layouts=image_layouts,
            mm_encoder_outputs=mm_encoder_outputs,
            **kwargs,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self._cap(self.lm_head(outputs.last_hidden_state[:, keep]))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size, **kwargs)
        return AestheticMLLMCausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            **{CACHE: outputs.get(CACHE)},
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=outputs.image_hidden_states,
        )


def _is_plain(weight: torch.Tensor | None) -> bool:
    """Whether a weight holds its numbers itself, in memory."""
    return (
        weight is not None and type(weight.data) is torch.Tensor and weight.is_floating_point() and weight.device.type != "meta"
    )


def _image_output(features: AestheticImageFeatures) -> AestheticMLLMModelOutputWithPast:
    photos = features.pooler_output
    alike = len({len(photo) for photo in photos}) == 1
    return AestheticMLLMModelOutputWithPast(
        image_hidden_states=torch.stack(photos) if alike else torch.cat(photos),
        **{f"{group}_embeds": getattr(features, f"{group}_embeds") for group in TOKEN_GROUPS},
    )


# What save_pretrained ships beside the weights, so that they load without this package.
AestheticMLLMModel.register_for_auto_class("AutoModel")
AestheticMLLMForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")

__all__ = [
    "AestheticMLLMForConditionalGeneration",
    "AestheticMLLMModel",
    "AestheticMLLMPreTrainedModel",
]
