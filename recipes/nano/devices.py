"""Where nano is trained: on a GPU if there is one, else on the CPU; in bf16 where there are instructions for it.

Networks run there; what is small, such as codes, labels and losses, stays on the CPU, and so do files of features.
"""

from contextlib import AbstractContextManager

import torch

from aesthetic_mllm.trainers.precision import has_bfloat16


def device() -> torch.device:
    """Of networks."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision() -> AbstractContextManager:
    """In which networks compute in bf16; their weights stay as they are."""
    return torch.autocast(device().type, torch.bfloat16, enabled=has_bfloat16())
