"""A quantizer for transformers that needs no package: 8-bit weights of linear layers, one scale a row."""

from typing import Any

import torch
from torch import nn
from transformers.quantizers import HfQuantizer, register_quantization_config, register_quantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

METHOD = "int8_of_the_tests"


class Int8Linear(nn.Module):
    """A linear layer whose weight can neither be read nor moved as one of floating point."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        scale = linear.weight.detach().abs().amax(1, keepdim=True) / 127
        self.register_buffer("weight", (linear.weight.detach() / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.bias = linear.bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(states, self.weight * self.scale, self.bias)


@register_quantization_config(METHOD)
class Int8Config(QuantizationConfigMixin):
    def __init__(self, modules_to_not_convert: list[str] | None = None, **unused: Any):
        self.quant_method = METHOD
        self.modules_to_not_convert = modules_to_not_convert


@register_quantizer(METHOD)
class Int8Quantizer(HfQuantizer):
    requires_calibration = False

    def _process_model_before_weight_loading(self, model: nn.Module, **kwargs: Any) -> None:
        """Weights are quantized once they are there."""

    def _process_model_after_weight_loading(self, model: nn.Module, **kwargs: Any) -> nn.Module:
        for name, module in list(model.named_modules()):
            spared = any(name.startswith(kept) for kept in self.quantization_config.modules_to_not_convert or ())
            if isinstance(module, nn.Linear) and not spared:
                model.set_submodule(name, Int8Linear(module))
        return model

    def is_serializable(self, **kwargs: Any) -> bool:
        return False

    @property
    def is_trainable(self) -> bool:
        return False
