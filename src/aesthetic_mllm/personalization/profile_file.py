"""A profile on disk: one safetensors file whose header holds what the person said as JSON.

It holds no code, and is refused where it was changed or where another checkpoint would read it otherwise than it was meant.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..engine.loading import is_quantized
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..tasks.personalizing import Profile, ProfileError
from .profile_photos import ProfilePhotos
from .rater_prior import RaterPrior

FORMAT, VERSION = "aesthetic-mllm profile", "2"


class CheckpointDigest(NamedTuple):
    """What tells checkpoints apart. It does not depend on dtype or device, as far as the stored weights are exact in both.

    Args:
        readout: of the weights that make visual tokens, how ratings are asked for and read, and their prior.
        weights: of vision tower and language model; empty where these are quantized, so that they cannot be told from others.
    """

    readout: str
    weights: str

    def fits(self, other: "CheckpointDigest") -> bool:
        """Whether both can be of one checkpoint."""
        return self.readout == other.readout and (not self.weights or not other.weights or self.weights == other.weights)


def checkpoint_digest(
    model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor, prior: RaterPrior | None
) -> CheckpointDigest:
    """Of a loaded checkpoint. Of tower and language model it reads what makes the first output of every layer: reading all of
    a large model would take longer than rating photos, and training leaves no output as it was."""
    digest = hashlib.sha256(json.dumps(processor.rating_scale.to_dict(), sort_keys=True).encode())
    digest.update(json.dumps([processor.num_group_tokens, processor.num_example_tokens]).encode())
    weights = [*model.model.multi_modal_projector.parameters(), model.lm_head.weight[processor.level_ids]]
    for weight in weights:
        digest.update(_bytes(weight))
    if prior:
        digest.update(np.concatenate([prior.directions.ravel(), prior.centre, prior.scale]).tobytes())
        digest.update(repr(prior.spreads).encode())
    return CheckpointDigest(digest.hexdigest(), _first_outputs_digest(model))


def _first_outputs_digest(model: AestheticMLLMForConditionalGeneration) -> str:
    weights = dict(model.named_parameters())
    if is_quantized(model) or not all(weight.is_floating_point() for weight in weights.values()):
        return ""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(_bytes(weights[name][0] if weights[name].dim() > 1 else weights[name]))
    return digest.hexdigest()


def _bytes(weight: torch.Tensor) -> bytes:
    return weight.detach().float().cpu().numpy().tobytes()


def save_profile(
    path: str | os.PathLike[str],
    profile: Profile,
    photos: ProfilePhotos | None,
    method: str,
    checkpoint: CheckpointDigest,
) -> None:
    """Writes a profile; a file that is there is replaced.

    Args:
        photos: `None` for a profile of no photos.
        method: how it personalizes.
        checkpoint: of [`checkpoint_digest`].

    Raises:
        ProfileError: the file cannot be written.
    """
    tensors = {} if photos is None else {name: np.ascontiguousarray(values) for name, values in photos.tensors().items()}
    said = json.dumps({"profile": profile.to_dict(), "method": method}, sort_keys=True)
    metadata = {"format": FORMAT, "version": VERSION, "said": said}
    metadata |= {"checkpoint": checkpoint.readout, "weights": checkpoint.weights}
    try:
        save_file(tensors, path, metadata | {"checksum": _checksum(metadata, tensors)})
    except (OSError, SafetensorError) as error:
        raise ProfileError(f"The profile cannot be written to {path} ({error}); choose another file.") from error


def load_profile(path: str | os.PathLike[str], checkpoint: CheckpointDigest) -> tuple[Profile, ProfilePhotos | None, str]:
    """Profile, photos and method of a file that [`save_profile`] wrote.

    Raises:
        ProfileError: there is no such file; it is no profile, of another version, changed since it was written, or made with
            another checkpoint.
    """
    metadata, tensors = _read(path)
    if metadata.get("format") != FORMAT:
        raise ProfileError(f"{path} is not a profile of aesthetic-mllm; give a file that personalize saved.")
    if metadata.get("version") != VERSION:
        raise ProfileError(
            f"{path} is a profile of version {metadata.get('version')}, this package reads version {VERSION}; make it anew from "
            "the ratings, or install the package that saved it."
        )
    if metadata.pop("checksum", None) != _checksum(metadata, tensors):
        raise ProfileError(
            f"{path} was changed or damaged after it was saved (its checksum is wrong); make it anew from the ratings."
        )
    # profiles of before tower and language model were looked at say nothing of them
    if not checkpoint.fits(CheckpointDigest(metadata["checkpoint"], metadata.get("weights", ""))):
        raise ProfileError(
            f"{path} was made with another checkpoint, which sees or rates photos otherwise; load that one, or make it anew."
        )
    said = json.loads(metadata["said"])
    photos = ProfilePhotos.from_tensors(tensors) if tensors else None
    return Profile.from_dict(said["profile"]), photos, said["method"]


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    try:
        with safe_open(path, "numpy") as file:
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in sorted(file.keys())}
    except FileNotFoundError as error:
        raise ProfileError(f"There is no profile {path}; make one with personalize.") from error
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise ProfileError(f"{path} is not a profile of aesthetic-mllm ({error}); give a file that personalize saved.") from error


def _checksum(metadata: Mapping[str, str], tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        values: Any = tensors[name]
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
