"""Configuration of the aesthetic multimodal language model and of its alignment module."""

from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .checkpoint_errors import CheckpointError
from .configuration_efficientnet_lite import EfficientNetLiteConfig

# The order in which the groups of visual tokens enter the language model (CALM, arXiv:2412.11952).
TOKEN_GROUPS = ("low", "middle", "high", "thematic")
# The groups that a Q-Former makes; the thematic one comes from the fully connected path.
QUERY_GROUPS = TOKEN_GROUPS[:3]


class MultiScaleFeatureAlignmentConfig(PreTrainedConfig):
    r"""Configuration of [`MultiScaleFeatureAlignment`] (MFAM).

    Args:
        hidden_size (`int`, defaults to 256):
            Width of the three Q-Formers.
        num_hidden_layers, num_attention_heads, intermediate_size (`int`):
            Shape of each Q-Former.
        hidden_act, hidden_dropout_prob, attention_probs_dropout_prob:
            As in `Blip2QFormerConfig`.
        num_query_tokens (`dict[str, int]`, defaults to 8 a level):
            Learnable queries, so tokens, of the low, middle and high level.
        thematic_grid (`int`, *optional*, defaults to 3):
            The thematic group is a `thematic_grid` x `thematic_grid` pooling over the photo's rectangle. `None`: every
            cell of the canvas is a token, not pooled, as in LLaVA.
        thematic_norm (`bool`, defaults to `True`):
            Whether a layer norm comes before the fully connected path. LLaVA has none.
        thematic_bias (`bool`, defaults to `True`):
            Whether the fully connected path has biases.
        thematic_act (`str`, defaults to `"gelu"`):
            Activation between the two fully connected layers.
        feature_layers (`dict[str, int]`, *optional*):
            Which of the tower's feature maps (or hidden states) each of the four groups reads. Default: about a third,
            two thirds and the whole of the depth; thematic reads what high reads. The paper's choice is unknown.

    Raises:
        ValueError: a level is missing from `num_query_tokens` or `feature_layers`, or counts less than one query.
    """

    model_type = "multi_scale_feature_alignment"
    base_config_key = "alignment_config"

    hidden_size: int = 256
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    layer_norm_eps: float = 1e-6
    initializer_range: float = 0.06  # keeps the variance at width 256; BLIP-2's 0.02 is for 768
    num_query_tokens: dict[str, int] | None = None
    thematic_grid: int | None = 3
    thematic_norm: bool = True
    thematic_bias: bool = True
    thematic_act: str = "gelu"
    feature_layers: dict[str, int] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        self.num_query_tokens = self.num_query_tokens or dict.fromkeys(QUERY_GROUPS, 8)
        if set(self.num_query_tokens) != set(QUERY_GROUPS) or min(self.num_query_tokens.values()) < 1:
            raise ValueError(
                f"num_query_tokens must give at least one query to each of {QUERY_GROUPS}, got {self.num_query_tokens}."
            )
        if self.feature_layers is not None and set(self.feature_layers) != set(TOKEN_GROUPS):
            raise ValueError(f"feature_layers must name each of {TOKEN_GROUPS}, got {self.feature_layers}.")
        super().__post_init__(**kwargs)


class AestheticMLLMConfig(PreTrainedConfig):
    r"""Configuration of [`AestheticMLLMForConditionalGeneration`]: a vision tower, an alignment module, a language model.

    Args:
        vision_config (`PreTrainedConfig` or `dict`, *optional*):
            Any vision tower of transformers that gives hidden states of patches or feature maps of stages. Default:
            [`EfficientNetLiteConfig`].
        text_config (`PreTrainedConfig` or `dict`, *optional*):
            Any causal language model of transformers. Default: a Llama.
        alignment_config ([`MultiScaleFeatureAlignmentConfig`] or `dict`, *optional*):
            The module between the two.
        image_token_id (`int`, defaults to 4):
            The placeholder of every visual token in `input_ids`.
        num_group_tokens (`dict[str, int]`, *optional*):
            How many tokens of each group a photo shows, where a call's `image_layouts` do not say otherwise: all that the
            alignment module makes, or 0, and the group is switched off. Default: all.
        tie_word_embeddings (`bool`, defaults to `True`):
            Whether the language model's input and output embeddings are one matrix. The parent's default is the same; it
            is taken from `text_config` when that says otherwise.

    Raises:
        ValueError: `num_group_tokens` does not fit the alignment module, or the key is of an older version.
    """

    model_type = "aesthetic_mllm"
    sub_configs = {
        "vision_config": AutoConfig,
        "text_config": AutoConfig,
        "alignment_config": MultiScaleFeatureAlignmentConfig,
    }

    vision_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    alignment_config: dict | PreTrainedConfig | None = None
    image_token_id: int = 4
    num_group_tokens: dict[str, int] | None = None
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        self.vision_config = _sub_config(self.vision_config, EfficientNetLiteConfig.model_type)
        self.text_config = _sub_config(self.text_config, "llama")
        if not isinstance(self.alignment_config, PreTrainedConfig):
            self.alignment_config = MultiScaleFeatureAlignmentConfig(**(self.alignment_config or {}))
        if "group_token_ids" in kwargs:
            raise CheckpointError(
                f"The configuration has group_token_ids, {kwargs['group_token_ids']}, of an older version; now all visual tokens "
                "share one placeholder. Give image_token_id, the id of the thematic group, and num_group_tokens instead; "
                "recipes/nano/convert_checkpoint.py converts a checkpoint."
            )
        self.num_group_tokens = _group_counts(self.num_group_tokens, self.alignment_config)
        self.tie_word_embeddings = self.text_config.tie_word_embeddings
        # Both doors of a saved checkpoint must open without the plug-in; saving a model adds only its own class.
        self.auto_map = {"AutoModel": "modeling_aesthetic_mllm.AestheticMLLMModel"} | (getattr(self, "auto_map", None) or {})
        super().__post_init__(**kwargs)

    @property
    def shown_groups(self) -> tuple[str, ...]:
        """The groups that are not switched off."""
        return tuple(group for group in TOKEN_GROUPS if self.num_group_tokens[group])


def _group_counts(counts: dict[str, int] | None, alignment: MultiScaleFeatureAlignmentConfig) -> dict[str, int]:
    """Tokens of each group that a photo shows, in the order of `TOKEN_GROUPS`, which a saved file has lost."""
    made = {**alignment.num_query_tokens, "thematic": alignment.thematic_grid and alignment.thematic_grid**2}
    if counts is None:
        if made["thematic"] is None:
            raise ValueError(
                "Without a thematic_grid the canvas decides how many thematic tokens there are; give num_group_tokens."
            )
        counts = made
    fit = set(counts) == set(TOKEN_GROUPS) and all(
        counts[group] in (0, made[group]) or made[group] is None for group in TOKEN_GROUPS
    )
    if not fit or not any(counts.values()):
        raise ValueError(
            f"num_group_tokens must give each of {TOKEN_GROUPS} what the alignment module makes, {made}, or 0, and not all 0; "
            f"got {counts}."
        )
    return {group: counts[group] for group in TOKEN_GROUPS}


def _sub_config(config: dict | PreTrainedConfig | None, default_model_type: str) -> PreTrainedConfig:
    """A sub-configuration from its saved form; knows the embedded tower even where the plug-in is not installed."""
    if isinstance(config, PreTrainedConfig):
        return config
    config = dict(config or {})
    model_type = config.pop("model_type", default_model_type)
    if model_type == EfficientNetLiteConfig.model_type:
        return EfficientNetLiteConfig(**config)
    if model_type not in CONFIG_MAPPING:
        raise ValueError(f"Unknown model_type {model_type!r} of a sub-configuration; import the package that registers it.")
    return CONFIG_MAPPING[model_type](**config)


AestheticMLLMConfig.register_for_auto_class()  # shipped with the weights

__all__ = ["AestheticMLLMConfig", "MultiScaleFeatureAlignmentConfig"]
