"""Configuration of the EfficientNet-Lite vision tower."""

from typing import Any

from transformers import PreTrainedConfig


class EfficientNetLiteConfig(PreTrainedConfig):
    r"""Configuration of [`EfficientNetLiteBackbone`]; the defaults are EfficientNet-Lite2.

    Args:
        stem_channels (`int`, defaults to 32):
            Channels after the stride-2 stem convolution.
        stage_channels (`list[int]`):
            Output channels of each stage; one feature map a stage.
        stage_depths (`list[int]`):
            Inverted-residual blocks in each stage.
        stage_kernels (`list[int]`):
            Kernel size of each stage's depthwise convolutions (odd).
        stage_strides (`list[int]`):
            Stride (1 or 2) of each stage's first block.
        stage_expansions (`list[int]`):
            Width of each stage's blocks inside, as a multiple of their input width.
        image_size (`int`, defaults to 288):
            Side of the square canvas in pixels; a multiple of the overall stride, 32.

    Raises:
        ValueError: the stage lists differ in length, or `image_size` is no multiple of the overall stride.
    """

    model_type = "efficientnet_lite"

    num_channels: int = 3
    image_size: int = 288
    stem_channels: int = 32
    stage_channels: list[int] | None = None
    stage_depths: list[int] | None = None
    stage_kernels: list[int] | None = None
    stage_strides: list[int] | None = None
    stage_expansions: list[int] | None = None
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        # EfficientNet-Lite2: width 1.1, depth 1.2 of the base network; stem not scaled (Lite's rule).
        self.stage_channels = self.stage_channels or [16, 24, 48, 88, 120, 208, 352]
        self.stage_depths = self.stage_depths or [1, 3, 3, 4, 4, 5, 1]
        self.stage_kernels = self.stage_kernels or [3, 3, 5, 3, 5, 5, 3]
        self.stage_strides = self.stage_strides or [1, 2, 2, 2, 1, 2, 1]
        self.stage_expansions = self.stage_expansions or [1, 6, 6, 6, 6, 6, 6]
        super().__post_init__(**kwargs)
        lengths = {
            name: len(getattr(self, name))
            for name in ("stage_channels", "stage_depths", "stage_kernels", "stage_strides", "stage_expansions")
        }
        if len(set(lengths.values())) != 1:
            raise ValueError(f"The stage lists of {type(self).__name__} must be equally long, got {lengths}.")
        if self.image_size % self.feature_strides[-1]:
            raise ValueError(
                f"image_size={self.image_size} is not a multiple of the overall stride {self.feature_strides[-1]}; "
                f"use {round(self.image_size / self.feature_strides[-1]) * self.feature_strides[-1]}."
            )

    @property
    def feature_strides(self) -> list[int]:
        """Pixels between two neighbouring cells of each stage's feature map (the stem halves first)."""
        strides, total = [], 2
        for stride in self.stage_strides or []:
            total *= stride
            strides.append(total)
        return strides


__all__ = ["EfficientNetLiteConfig"]
