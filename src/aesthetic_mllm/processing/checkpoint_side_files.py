"""Small tensors that a checkpoint carries beside its weights, such as what comments and personal ratings start from.

They are part of the processor: its `save_pretrained`, `from_pretrained` and `push_to_hub` keep them. They have a folder of
their own, because servers take every safetensors file at the top of a checkpoint for weights.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers.utils import cached_file

SIDE_FILE_FOLDER = "side_files"
# What says where a checkpoint's files are, of all that `from_pretrained` takes.
HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")


@dataclass(frozen=True)
class SideFile:
    """Tensors and text by name, as one safetensors file holds them."""

    tensors: Mapping[str, torch.Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict[int, Any]) -> "SideFile":
        return self  # nobody changes one, and processors are copied whenever they are shown or saved


def load_side_file(checkpoint: str | os.PathLike[str], name: str, **options: Any) -> SideFile:
    """Reads one side file.

    Args:
        checkpoint: folder or Hub id.
        name: of the file, without suffix.
        options: of [`HUB_OPTIONS`].

    Raises:
        OSError: the checkpoint has no such file, or a damaged one.
    """
    path = cached_file(str(checkpoint), f"{SIDE_FILE_FOLDER}/{name}.safetensors", **options)
    assert path is not None  # it raises where there is none
    try:
        with safe_open(path, "pt") as file:
            return SideFile({key: file.get_tensor(key) for key in sorted(file.keys())}, dict(file.metadata() or {}))
    except SafetensorError as error:
        raise OSError(f"The side file {path} is damaged ({error}); copy or download the checkpoint again.") from error


def save_side_files(files: Mapping[str, SideFile], folder: str | os.PathLike[str]) -> list[str]:
    """Writes side files below a checkpoint's folder, and returns their paths."""
    paths = []
    for name, file in files.items():
        path = Path(folder) / SIDE_FILE_FOLDER / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file({key: value.contiguous() for key, value in file.tensors.items()}, path, dict(file.metadata))
        paths.append(str(path))
    return paths
