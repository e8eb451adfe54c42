"""Linear layers computed in 8-bit integers, for CPUs, which multiply them several times as fast as float32."""

import torch
from torch import nn

# Their inputs, products of two activations, have rare values far above the others: rounding these too would double the error.
KEPT = ("down_proj",)


class Int8Linear(nn.Module):
    """A linear layer with 8-bit weights, one scale an output, and inputs rounded to 8 bits as they come, one scale a row.

    Each row is rounded by itself, so no row depends on what else is in the batch; torch's own dynamic quantisation has one scale
    for all rows.

    Args:
        linear: a float layer, which is not changed.
    """

    weight: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight = linear.weight.detach().float()  # [O, I]
        scales = weight.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
        self.register_buffer("weight", (weight / scales).round().to(torch.int8).T.contiguous())  # [I, O]
        self.register_buffer("scales", scales.T)  # [1, O]
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[..., I] -> [..., O], in the inputs' dtype."""
        rows = inputs.reshape(-1, inputs.shape[-1]).float()
        scales = rows.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127  # [N, 1]
        outputs = torch._int_mm((rows / scales).round_().to(torch.int8), self.weight).float().mul_(scales).mul_(self.scales)
        if self.bias is not None:
            outputs += self.bias
        return outputs.to(inputs.dtype).view(*inputs.shape[:-1], -1)


def quantize_linears(module: nn.Module) -> None:
    """Replaces the linear layers within a module by [`Int8Linear`], but for those named in `KEPT`. It can no longer be trained or
    saved."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and name not in KEPT:
            setattr(module, name, Int8Linear(child))
        else:
            quantize_linears(child)
