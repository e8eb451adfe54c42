"""What of the machine at hand training can use: a GPU, and instructions for half precision."""

from dataclasses import dataclass, field

import torch


def has_bfloat16() -> bool:
    """Whether a GPU, or else the CPU, has instructions for bfloat16.

    A CPU without them emulates: a training step then takes some twenty times as long as in float32, so nothing that trains
    may choose bfloat16 blindly.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def has_no_accelerator() -> bool:
    """Whether there is a CPU alone; transformers trains in bf16 on one only where it is told to use it."""
    return not torch.accelerator.is_available()


@dataclass
class MachineDefaults:
    """Defaults of training arguments: bfloat16 and GPU where there are instructions and one, and no reports to services."""

    bf16: bool | None = field(default_factory=has_bfloat16)
    use_cpu: bool = field(default_factory=has_no_accelerator)
    report_to: str | list[str] = "none"
