"""Models grown from checkpoints that others trained."""

import math
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from .checkpoint_errors import load_complete
from .configuration_aesthetic_mllm import (
    QUERY_GROUPS,
    AestheticMLLMConfig,
    MultiScaleFeatureAlignmentConfig,
)
from .vision_tower import default_feature_layers, load_vision_tower


class FromPretrainedParts:
    """The two ways in which [`AestheticMLLMForConditionalGeneration`] takes over pretrained parts."""

    @classmethod
    def from_vision_text_pretrained(
        cls, vision: str, text: str, processor: Any, dtype: torch.dtype | str = torch.float32, **alignment: Any
    ) -> Any:
        """A model with the weights of a vision tower and of a language model, and an untrained alignment module.

        Args:
            vision, text: names or folders of the two checkpoints.
            processor: the [`AestheticMLLMProcessor`] that was made from the same two; gives the placeholder's id, the number
                of tokens of each group and the vocabulary's size.
            dtype: of all weights.
            alignment: for [`MultiScaleFeatureAlignmentConfig`].

        Raises:
            ValueError: the processor's thematic tokens are no square number, so no grid gives them.
            CheckpointError: one of the two lacks weights.
        """
        counts = processor.num_group_tokens
        grid = math.isqrt(counts["thematic"])
        if grid * grid != counts["thematic"]:
            raise ValueError(f"The thematic group's {counts['thematic']} tokens do not form a square grid.")
        tower = load_vision_tower(vision, dtype=dtype)
        language = load_complete(AutoModelForCausalLM, text, dtype=dtype)
        language.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
        alignment = {
            "num_query_tokens": {group: counts[group] for group in QUERY_GROUPS},
            "thematic_grid": grid,
        } | alignment
        config = AestheticMLLMConfig(
            vision_config=tower.config,
            text_config=language.config,
            alignment_config=MultiScaleFeatureAlignmentConfig(**alignment),
            image_token_id=processor.image_token_id,
            num_group_tokens=processor.num_group_tokens,
        )
        model = cls(config).to(tower.dtype)
        model.model.vision_tower.load_state_dict(tower.state_dict())
        model._load_language(language)
        return model.eval()

    @classmethod
    def from_llava_pretrained(cls, llava: str, processor: Any, dtype: torch.dtype | str = torch.float32, **alignment: Any) -> Any:
        """A model grown from a LLaVA: its tower, its projector as the thematic path, its language model.

        Where the processor's `num_group_tokens` switch the aesthetic groups off, logits equal the original's on the same
        `pixel_values` and `input_ids`. The Q-Formers are untrained.

        Args:
            llava: name or folder of a `LlavaForConditionalGeneration` checkpoint.
            processor: the [`AestheticMLLMProcessor`] made by `from_llava_pretrained` of the same checkpoint.
            dtype: of all weights.
            alignment: for [`MultiScaleFeatureAlignmentConfig`].

        Raises:
            ValueError: the checkpoint projects several layers at once, or something else than the photo's cells.
            CheckpointError: it lacks weights.
        """
        from transformers import LlavaForConditionalGeneration  # seldom needed, slow to import

        source = load_complete(LlavaForConditionalGeneration, llava, dtype=dtype)
        layer = source.config.vision_feature_layer
        if not isinstance(layer, int):
            raise ValueError(f"{llava} projects the layers {layer} together; only a single vision_feature_layer is known.")
        tower_weights = source.model.vision_tower.state_dict()
        has_class_token = any(name.endswith(("class_embedding", "cls_token")) for name in tower_weights)
        strategy = source.config.vision_feature_select_strategy
        if has_class_token != (strategy == "default"):
            raise ValueError(
                f"{llava} has vision_feature_select_strategy={strategy!r} over a tower with{'' if has_class_token else 'out'} a "
                "class token, so its visual tokens are not the photo's cells, which is all that is known here."
            )
        source.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
        counts = processor.num_group_tokens
        alignment = {
            "num_query_tokens": {group: counts[group] for group in QUERY_GROUPS if counts.get(group)} or None,
            "thematic_grid": None,
            "thematic_norm": False,
            "thematic_bias": source.config.multimodal_projector_bias,
            "thematic_act": source.config.projector_hidden_act,
            "feature_layers": default_feature_layers(source.config.vision_config) | {"thematic": layer},
        } | alignment
        config = AestheticMLLMConfig(
            vision_config=source.config.vision_config,
            text_config=source.config.text_config,
            alignment_config=MultiScaleFeatureAlignmentConfig(**alignment),
            image_token_id=processor.image_token_id,
            num_group_tokens=processor.num_group_tokens,
        )
        model = cls(config).to(source.dtype)
        model.model.vision_tower.load_state_dict(tower_weights)
        thematic = model.model.multi_modal_projector.thematic
        thematic.load_state_dict(source.model.multi_modal_projector.state_dict(), strict=True)
        model._load_language(source)
        return model.eval()

    def _load_language(self, source: PreTrainedModel) -> None:
        """Takes over a causal language model's decoder, head and generation settings."""
        self.model.language_model.load_state_dict(source.get_decoder().state_dict())
        self.lm_head.load_state_dict(source.get_output_embeddings().state_dict())
        self.generation_config = source.generation_config
