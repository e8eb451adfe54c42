"""Loading a checkpoint to judge with: in float32 unless another dtype is asked for, where it is wanted, quantized if wanted."""

import copy
import os
from typing import Any

import torch

from ..checkpoints.names import resolve_name
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..processing.checkpoint_side_files import HUB_OPTIONS
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from .adapter_loading import adapter_base, carries_processor, load_adapted

# What is never quantized: the head, of which only a few rows are computed, and the small alignment module, which decides what is
# seen of a photo and computes with its layers' weights themselves.
KEPT_IN_FULL = ("lm_head", "model.multi_modal_projector")
# Of the options that say where files are those that are not about one repository.
_OF_ANY_CHECKPOINT = ("cache_dir", "force_download", "local_files_only", "proxies", "token")
# Modules that a quantization leaves as they are; each of transformers' configurations has one of these.
_SPARING = ("modules_to_not_convert", "llm_int8_skip_modules")


def load_checkpoint(
    name: str | os.PathLike[str],
    *,
    dtype: str | torch.dtype = "float32",
    device: str | torch.device | None = None,
    base: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> tuple[AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor]:
    """Model and processor of a checkpoint, or of LoRA adapters, which are merged into the checkpoint that they name.

    Args:
        name: folder or Hub id.
        dtype: of the weights that are not quantized; "auto" is that in which they are stored.
        device: for the whole model; default the GPU where there is one, else the CPU. Not with a `device_map`.
        base: of adapters, where their base is not found by the name that they have for it.
        kwargs: for the model's `from_pretrained`: `device_map`, `quantization_config`, `attn_implementation` and others. What
            says where files are (`revision`, `token`, `cache_dir`, `subfolder`, `local_files_only`) is for the processor's too.

    Raises:
        CheckpointError: the checkpoint does not fit the model, or adapters do not fit their base.
        TypeError: `torch_dtype`, as `dtype` was called before.
        ValueError: both a `device` and a `device_map`; a device that is not there; or a `base` for what is no adapters.
    """
    if "torch_dtype" in kwargs:
        raise TypeError(f"torch_dtype is called dtype; give dtype={kwargs['torch_dtype']!r}.")
    if device is not None and kwargs.get("device_map") is not None:
        raise ValueError(f"Both device {str(device)!r} and a device_map were given; give one of them.")
    device = _available(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    quantization = kwargs.get("quantization_config")
    if quantization is not None:
        kwargs["quantization_config"] = sparing_alignment(quantization)
        if kwargs.get("device_map") is None:  # it is quantized where it lies, and cannot be moved
            kwargs["device_map"] = {"": device}
    name = resolve_name(name)
    options = {key: value for key, value in kwargs.items() if key in HUB_OPTIONS}
    adapted = adapter_base(name, **options)
    if adapted is not None:
        model = load_adapted(name, adapted, dtype=dtype, given=None if base is None else str(base), **kwargs)
    elif base is not None:
        raise ValueError(f"base={str(base)!r} was given, but {name} is a whole checkpoint and no adapters; leave base out.")
    else:
        model = AestheticMLLMForConditionalGeneration.from_pretrained(name, dtype=dtype, **kwargs)
    if kwargs.get("device_map") is None and not is_quantized(model):  # those are where they belong, and may not be moved
        model.to(device)
    if adapted is not None and not carries_processor(name, **options):
        name, options = resolve_name(base or adapted.name), {key: options[key] for key in options if key in _OF_ANY_CHECKPOINT}
    return model, AestheticMLLMProcessor.from_pretrained(name, **options)


def _available(name: str | torch.device) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for CUDA
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"The device {str(name)!r} cannot be used here ({reason}); cpu always can.") from error
    return device


def is_quantized(model: AestheticMLLMForConditionalGeneration) -> bool:
    """Whether weights are quantized, when it was loaded or in its checkpoint."""
    return getattr(model, "hf_quantizer", None) is not None


def sparing_alignment(quantization: Any) -> Any:
    """A quantization that leaves [`KEPT_IN_FULL`] as it is, where it can leave out modules at all.

    Args:
        quantization: a configuration of transformers, or its dictionary; it is not changed.

    Raises:
        TypeError: it is a name.
    """
    if isinstance(quantization, str):
        raise TypeError(
            f"quantization_config is {quantization!r}; give a configuration of transformers, such as BitsAndBytesConfig(...)."
        )
    sparing = copy.deepcopy(quantization)
    fields = sparing if isinstance(sparing, dict) else vars(sparing)
    for name in _SPARING:
        if name in fields:
            fields[name] = list(dict.fromkeys([*(fields[name] or ()), *KEPT_IN_FULL]))
            return sparing
    if isinstance(sparing, dict):
        sparing["modules_to_not_convert"] = list(KEPT_IN_FULL)
    return sparing
