"""One view of every vision tower: feature maps [B, h, w, C] by layer number.

Two kinds exist in transformers. Transformers over patches (CLIP, SigLIP, SigLIP 2, DINOv2) give `hidden_states`, a sequence
after each layer; pyramids (ConvNeXt, Swin, EfficientNet-Lite) give `feature_maps`, one a stage.
"""

import torch
from torch import nn
from transformers import MODEL_FOR_BACKBONE_MAPPING, AutoBackbone, AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from .checkpoint_errors import load_complete
from .configuration_efficientnet_lite import EfficientNetLiteConfig
from .modeling_efficientnet_lite import EfficientNetLiteBackbone, photo_mask

# SigLIP 2's variable-resolution tower takes patches, their mask and grid instead of an image.
PATCH_INPUT_TOWER = "siglip2_vision_model"


def is_pyramid(config: PreTrainedConfig) -> bool:
    """Whether the tower has stages of falling resolution, so is run as a backbone."""
    return config.model_type == EfficientNetLiteConfig.model_type or hasattr(config, "depths")


def build_vision_tower(config: PreTrainedConfig) -> PreTrainedModel:
    """A tower with random weights from its configuration."""
    if config.model_type == EfficientNetLiteConfig.model_type:
        return EfficientNetLiteBackbone(config)
    if is_pyramid(config):
        # every stage is offered; the alignment module picks
        config.out_features = list(config.stage_names)
        return AutoBackbone.from_config(config)
    return AutoModel.from_config(config)


def load_vision_tower(name_or_path: str, **kwargs: object) -> PreTrainedModel:
    """A tower with the weights of a checkpoint; of a two-tower checkpoint (CLIP, SigLIP) the vision half."""
    config = kwargs.pop("config", None) or _load_vision_config(name_or_path)
    if config.model_type == EfficientNetLiteConfig.model_type:
        return load_complete(EfficientNetLiteBackbone, name_or_path, config=config, **kwargs)
    if is_pyramid(config):
        config.out_features = list(config.stage_names)
        # not AutoBackbone.from_pretrained, which asks the Hub even for a folder
        return load_complete(MODEL_FOR_BACKBONE_MAPPING[type(config)], name_or_path, config=config, **kwargs)
    return load_complete(AutoModel, name_or_path, config=config, **kwargs)


def _load_vision_config(name_or_path: str) -> PreTrainedConfig:
    raw, _ = PreTrainedConfig.get_config_dict(name_or_path)
    if raw.get("model_type") == EfficientNetLiteConfig.model_type:
        return EfficientNetLiteConfig.from_dict(raw)
    config = AutoConfig.from_pretrained(name_or_path)
    return getattr(config, "vision_config", config)


def tower_channels(config: PreTrainedConfig, layer: int) -> int:
    """Channels of one layer's feature map."""
    if config.model_type == EfficientNetLiteConfig.model_type:
        return config.stage_channels[layer]
    if is_pyramid(config):
        # the backbone's first map is its stem: as wide as the first stage
        sizes = getattr(config, "hidden_sizes", None) or [config.embed_dim * 2**i for i in range(len(config.depths))]
        return [sizes[0], *sizes][layer]
    return config.hidden_size


def canvas_multiple(config: PreTrainedConfig) -> int | None:
    """What the sides of a canvas have to be multiples of, so that padding can be cut off it and features stay the same.

    `None`: the canvas has to stay whole.
    """
    return config.feature_strides[-1] if config.model_type == EfficientNetLiteConfig.model_type else None


def covered_canvas(image_sizes: torch.Tensor, multiple: int) -> tuple[int, int]:
    """Height and width of the smallest canvas of such sides that holds photos of [B, 2] heights and widths."""
    height, width = (-(-side // multiple) * multiple for side in image_sizes.amax(0).tolist())
    return height, width


def trim_canvas(
    config: PreTrainedConfig, pixel_values: torch.Tensor, image_sizes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Cuts off canvas that no photo of the batch covers, where the tower is blind to it ([`canvas_multiple`]).

    Needs the sizes' values, so it is for eager inference and not for a compiled graph.

    Returns:
        `pixel_values` [B, 3, H', W'], and `image_sizes`, or `None` when every photo fills the new canvas.
    """
    multiple = canvas_multiple(config)
    if multiple is None:
        return pixel_values, image_sizes
    height, width = covered_canvas(image_sizes, multiple)
    filled = bool((image_sizes == torch.tensor([height, width], device=image_sizes.device)).all())
    return pixel_values[..., :height, :width], None if filled else image_sizes


def default_feature_layers(config: PreTrainedConfig) -> dict[str, int]:
    """About a third, two thirds and the whole of the depth for low, middle and high; thematic reads the deepest."""
    if config.model_type == EfficientNetLiteConfig.model_type:
        low, middle, high = 2, 4, 6  # strides 8, 16 and 32
    elif is_pyramid(config):
        low, middle, high = (len(config.depths) - 2, len(config.depths) - 1, len(config.depths))
    else:
        depth = config.num_hidden_layers
        low, middle, high = (max(1, round(depth / 3)), max(1, round(depth * 2 / 3)), depth)
    return {"low": low, "middle": middle, "high": high, "thematic": high}


def tower_feature_maps(
    tower: nn.Module, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None, layers: list[int], **kwargs: object
) -> list[torch.Tensor]:
    """Feature maps of the named layers.

    Args:
        pixel_values: [B, 3, H, W].
        image_sizes: [B, 2], height and width of the photo's rectangle on the canvas; `None`: it fills the canvas.
        layers: numbers into the tower's hidden states (0 is the embedding) or feature maps; negative from the end.

    Returns:
        One [B, h, w, C] tensor a layer.
    """
    config = tower.config
    if config.model_type == EfficientNetLiteConfig.model_type:
        deepest = max(layers) if min(layers) >= 0 else None
        maps = tower(pixel_values, image_sizes=image_sizes, deepest=deepest).feature_maps
        return [maps[layer].permute(0, 2, 3, 1) for layer in layers]
    if is_pyramid(config):
        maps = tower(pixel_values, **kwargs).feature_maps
        return [maps[layer].permute(0, 2, 3, 1) for layer in layers]
    rows, columns = (side // config.patch_size for side in pixel_values.shape[-2:])
    if config.model_type == PATCH_INPUT_TOWER:
        hidden_states = tower(**_patches(pixel_values, image_sizes, config), output_hidden_states=True).hidden_states
    else:
        hidden_states = tower(pixel_values, output_hidden_states=True, **kwargs).hidden_states
    # class and register tokens come before the patches
    return [hidden_states[layer][:, -rows * columns :].unflatten(1, (rows, columns)) for layer in layers]


def map_statistics(features: torch.Tensor, image_sizes: torch.Tensor | None, height: int) -> torch.Tensor:
    """Mean and standard deviation of every channel over the photo's own cells: [B, h, w, C] -> [B, 2 * C], float32.

    Args:
        image_sizes: as in [`tower_feature_maps`].
        height: of the canvas in pixels.
    """
    values = features.float()
    rows, columns = values.shape[1:3]
    mask = photo_mask(image_sizes, rows, columns, height // rows, values)
    inside = values.new_ones(1, 1, rows, columns) if mask is None else mask
    weights = (inside / inside.sum((2, 3), keepdim=True)).permute(0, 2, 3, 1)  # [B or 1, h, w, 1]
    mean = (values * weights).sum((1, 2))
    variance = ((values - mean[:, None, None]).square() * weights).sum((1, 2))
    return torch.cat([mean, variance.sqrt()], dim=1)


def _patches(pixel_values: torch.Tensor, image_sizes: torch.Tensor | None, config: PreTrainedConfig) -> dict[str, torch.Tensor]:
    """The canvas cut into patches, the photo's cells marked: what SigLIP 2's variable-resolution tower takes."""
    batch, channels, height, width = pixel_values.shape
    size = config.patch_size
    rows, columns = height // size, width // size
    patches = pixel_values.reshape(batch, channels, rows, size, columns, size).permute(0, 2, 4, 3, 5, 1)
    mask = photo_mask(image_sizes, rows, columns, size, pixel_values)
    if mask is None:
        mask = pixel_values.new_ones(batch, rows * columns)
    return {
        "pixel_values": patches.reshape(batch, rows * columns, size * size * channels),
        "pixel_attention_mask": mask.reshape(batch, rows * columns).long(),
        "spatial_shapes": torch.tensor([[rows, columns]] * batch, device=pixel_values.device),
    }
