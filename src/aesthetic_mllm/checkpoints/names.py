"""Names of checkpoints that mean the same on every machine, and what tells whether weights are the same."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from . import embedded_checkpoint

EMBEDDED = "aesthetic-mllm:nano"  # no valid Hub id, so that nobody can have it there
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def resolve_name(name: str | os.PathLike[str]) -> str:
    """Folder or Hub id of a checkpoint; [`EMBEDDED`] is the embedded checkpoint.

    Raises:
        EmbeddedCheckpointError: the installation lacks it.
    """
    return str(embedded_checkpoint()) if str(name) == EMBEDDED else str(name)


def is_hub_id(name: str) -> bool:
    """Whether the Hub could hold a checkpoint of this name: owner/name."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id  # slow to import

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def portable_name(name: str | os.PathLike[str]) -> str:
    """What a checkpoint is called on another machine: [`EMBEDDED`], its Hub id, or the last part of its folder's path."""
    if not Path(name).exists():
        return str(name)
    folder = Path(name).resolve()
    return EMBEDDED if folder == Path(__file__).resolve().parent / "nano" else folder.name


def weights_digest(checkpoint: str | os.PathLike[str], **options: Any) -> str | None:
    """SHA-256 of a checkpoint's file of weights; of several files, that of their digests in order.

    Args:
        checkpoint: folder or Hub id; nothing is fetched from the Hub that is not in the cache.
        options: of transformers' `cached_file`, such as `revision` and `cache_dir`.

    Returns:
        `None` where there are no weights.
    """
    from transformers.utils import cached_file  # slow to import

    options = {
        **options,
        "local_files_only": True,
        "_raise_exceptions_for_missing_entries": False,
        "_raise_exceptions_for_connection_errors": False,
    }
    try:
        index = cached_file(str(checkpoint), INDEX, **options)
    except OSError:  # neither a folder nor what the Hub could call a repository
        return None
    names = [WEIGHTS]
    if index is not None:
        names = sorted(set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values()))
    digests = []
    for name in names:
        path = cached_file(str(checkpoint), name, **options)
        if path is None:
            return None
        with open(path, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
