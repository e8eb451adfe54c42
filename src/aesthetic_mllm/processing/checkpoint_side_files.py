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
# What older versions called them, beside the weights.
OLD_SIDE_FILES = {"known_runs": "training_ngrams", "tastes": "rater_prior", "usual_photo": "mean_visual_tokens"}
CONVERTER = "recipes/nano/convert_checkpoint.py"


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
    file_name = f"{SIDE_FILE_FOLDER}/{name}.safetensors"
    try:
        path = cached_file(str(checkpoint), file_name, **options)
        assert path is not None  # it raises where there is none
        with safe_open(path, "pt") as file:
            return SideFile({key: file.get_tensor(key) for key in sorted(file.keys())}, dict(file.metadata() or {}))
    except (OSError, SafetensorError) as error:  # which need not say what is missing, offline
        raise OSError(
            f"{checkpoint} has no {file_name} that can be read ({error}). Its processor_config.json names it: fetch or save the "
            "checkpoint anew, with all its files."
        ) from error


def refuse_old_side_files(checkpoint: str | os.PathLike[str], **options: Any) -> None:
    """An error where a checkpoint has side files of an older version, which would now be ignored.

    Args:
        checkpoint, options: as of [`load_side_file`].

    Raises:
        ValueError: it has some.
    """
    for old, new in OLD_SIDE_FILES.items():
        missing_is_fine = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
        if cached_file(str(checkpoint), f"{old}.safetensors", **options, **missing_is_fine) is not None:
            raise ValueError(
                f"{checkpoint} has the file {old}.safetensors of an older version, which is {SIDE_FILE_FOLDER}/{new}.safetensors "
                f"now. Convert the checkpoint with {CONVERTER}."
            )


def save_side_files(files: Mapping[str, SideFile], folder: str | os.PathLike[str]) -> list[str]:
    """Writes side files below a checkpoint's folder, and returns their paths."""
    paths = []
    for name, file in files.items():
        path = Path(folder) / SIDE_FILE_FOLDER / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file({key: value.contiguous() for key, value in file.tensors.items()}, path, dict(file.metadata))
        paths.append(str(path))
    return paths
