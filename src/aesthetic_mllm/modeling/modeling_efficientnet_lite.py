"""EfficientNet-Lite vision tower: convolutions only, blind to a canvas's padding.

Architecture: EfficientNet (Tan & Le 2019, arXiv:1905.11946) in its Lite form (no squeeze-and-excitation, ReLU6).
Batch normalisation is folded into the convolutions, because the tower is used frozen: fewer operations, and nothing in it
can depend on the batch.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BackboneOutput

from .configuration_efficientnet_lite import EfficientNetLiteConfig


class EfficientNetLiteConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME for even inputs, which is how the public weights were trained.

    A stride-2 kernel of size k then sees (k-2)//2 cells before the photo and k//2 after it, or one more where an input is odd.
    It is padded by two more on all sides here, and the first row and column dropped: cheaper than a padded copy of the input.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1):
        padding = kernel // 2 if stride == 1 else (kernel - 2) // 2 + 2
        super().__init__(in_channels, out_channels, kernel, stride, padding=padding, groups=groups)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        output = super().forward(input)
        return output if self.stride == (1, 1) else output[..., 1:, 1:]


class EfficientNetLiteBlock(nn.Module):
    """Inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection, and the input added where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        width = in_channels * expansion
        self.expand = EfficientNetLiteConv(in_channels, width, 1) if expansion != 1 else None
        self.depthwise = EfficientNetLiteConv(width, width, kernel, stride, groups=width)
        self.project = EfficientNetLiteConv(width, out_channels, 1)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        h = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        # Zero cells are what the convolution would see beyond the photo's edge, had the photo no padding.
        h = h if mask is None else h * mask
        h = self.project(F.relu6(self.depthwise(h), inplace=True))
        return x + h if self.residual else h


class EfficientNetLiteBackbone(PreTrainedModel):
    """EfficientNet-Lite without its classifier; gives one feature map a stage."""

    config: EfficientNetLiteConfig
    config_class = EfficientNetLiteConfig
    base_model_prefix = "vision_tower"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    _no_split_modules = ["EfficientNetLiteBlock"]
    # It has no attention, so whichever is asked of the whole model suits it.
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = True
    # Rounding adds up over its 21 blocks: in bfloat16 it moves a rating by 2% of the range, all other parts by 0.4%.
    _keep_in_fp32_modules_strict = ["stem", "stages"]

    def __init__(self, config: EfficientNetLiteConfig):
        super().__init__(config)
        self.stem = EfficientNetLiteConv(config.num_channels, config.stem_channels, 3, stride=2)
        self.stages = nn.ModuleList()
        channels = config.stem_channels
        for out_channels, depth, kernel, stride, expansion in zip(
            config.stage_channels,
            config.stage_depths,
            config.stage_kernels,
            config.stage_strides,
            config.stage_expansions,
            strict=True,
        ):
            stage = nn.ModuleList()
            for index in range(depth):
                stage.append(EfficientNetLiteBlock(channels, out_channels, kernel, stride if index == 0 else 1, expansion))
                channels = out_channels
            self.stages.append(stage)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):  # keep the variance of the signal through ReLU6 (He et al. 2015)
            init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)

    def forward(
        self,
        pixel_values: torch.Tensor,
        image_sizes: torch.Tensor | None = None,
        deepest: int | None = None,
        **kwargs: object,
    ) -> BackboneOutput:
        """Features of a batch of letterboxed photos.

        Args:
            pixel_values: [B, 3, H, W], normalised; H and W multiples of the overall stride; zeros outside the photo.
            image_sizes: [B, 2], height and width in pixels of each photo's rectangle at the canvas's top left.
                `None`: the photo fills the canvas. Cells outside the rectangle are zeroed before every spatial
                convolution, so a larger canvas gives the same features. They hold arbitrary values in the output.
            deepest: number of the last stage to run; `None`: all of them.

        Returns:
            `BackboneOutput` whose `feature_maps` hold one [B, C_s, H/stride_s, W/stride_s] tensor a stage.
        """
        if pixel_values.device.type == "cpu" and not torch.compiler.is_compiling():
            return BackboneOutput(feature_maps=self._photo_by_photo(pixel_values, image_sizes, deepest))
        return BackboneOutput(feature_maps=self._together(pixel_values, image_sizes, deepest))

    def _photo_by_photo(
        self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None, deepest: int | None
    ) -> tuple[torch.Tensor, ...]:
        """As `forward`, each photo cut out of the canvas: no masks, no work on padding, and maps that fit into a CPU's cache."""
        height, width = pixel_values.shape[-2:]
        sizes = [(height, width)] * len(pixel_values) if image_sizes is None else image_sizes.tolist()
        photos = zip(pixel_values.split(1), sizes, strict=True)
        maps = [self._together(pixels[..., :rows, :columns], None, deepest) for pixels, (rows, columns) in photos]
        shapes = [(height // stride, width // stride) for stride in self.config.feature_strides]
        return tuple(
            torch.cat([F.pad(each, (0, columns - each.shape[-1], 0, rows - each.shape[-2])) for each in of_stage])
            for (rows, columns), of_stage in zip(shapes, zip(*maps, strict=True), strict=False)
        )

    def _together(
        self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None, deepest: int | None
    ) -> tuple[torch.Tensor, ...]:
        height, width = pixel_values.shape[-2:]
        x = F.relu6(self.stem(pixel_values.contiguous(memory_format=torch.channels_last)))
        stride, masks = 2, {}
        feature_maps = []
        for stage in self.stages if deepest is None else self.stages[: deepest + 1]:
            for block in stage:
                if stride not in masks:
                    masks[stride] = photo_mask(image_sizes, height // stride, width // stride, stride, x)
                x = block(x, masks[stride])
                stride *= block.depthwise.stride[0]
            feature_maps.append(x)
        return tuple(feature_maps)


def photo_mask(image_sizes: torch.Tensor | None, rows: int, columns: int, stride: int, like: torch.Tensor) -> torch.Tensor | None:
    """1 for cells that begin inside the photo, else 0: [B, 1, rows, columns] in `like`'s dtype and device."""
    if image_sizes is None:
        return None
    inside_y = torch.arange(rows, device=like.device) * stride < image_sizes[:, :1]  # [B, rows]
    inside_x = torch.arange(columns, device=like.device) * stride < image_sizes[:, 1:]  # [B, columns]
    return (inside_y[:, None, :, None] & inside_x[:, None, None, :]).to(like.dtype)


__all__ = ["EfficientNetLiteBackbone"]
