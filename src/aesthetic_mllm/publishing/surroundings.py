"""Where something was computed: machine and versions, without anything that names a person or a place."""

import os
import platform

import torch
import transformers

from .._version import __version__


def describe_machine() -> str:
    """Such as "Linux x86_64, 2 cores" or "Linux x86_64, 16 cores, NVIDIA H200"."""
    parts = [f"{platform.system()} {platform.machine()}", f"{os.cpu_count()} cores"]
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        parts.append((f"{count} " if count > 1 else "") + torch.cuda.get_device_name(0))
    return ", ".join(parts)


def describe_versions() -> dict[str, str]:
    """Of this package and what it computes with."""
    return {
        "aesthetic_mllm": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }
