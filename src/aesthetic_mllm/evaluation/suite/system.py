"""A checkpoint that is evaluated: what it is called, and what its answers depend on."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers.utils import cached_file

from ..._version import __version__
from ...checkpoints.names import weights_digest
from ...trainers.output_files import ADAPTER, ALIGNED, TUNED

if TYPE_CHECKING:
    from ...inference.assessor import AestheticAssessor


@dataclass(frozen=True)
class System:
    """A checkpoint at work.

    Args:
        name: in reports: a Hub id, or a folder's last part, never a path.
        assessor: at work.
        folder: of the checkpoint; `None`: it is in memory alone.
        identity: a digest of all that its answers depend on: weights, configuration, processor, version of this package.
    """

    name: str
    assessor: "AestheticAssessor"
    folder: Path | None
    identity: str

    @classmethod
    def of(cls, assessor: "AestheticAssessor", model: str | os.PathLike[str] | None = None, name: str | None = None) -> "System":
        """An assessor and where it came from.

        Args:
            model: folder or Hub id; default where the assessor's model says it was loaded from.
            name: default a folder's last part, of what `train` wrote the run's name, or the Hub id; "checkpoint" of one in
                memory alone.
        """
        said = str(model or assessor.model.name_or_path or "")
        folder = checkpoint_folder(said)
        if name is None:
            name = said if folder is None or not Path(said).is_dir() else _folder_name(Path(said).resolve())
        return cls(name or "checkpoint", assessor, folder, answer_identity(assessor))

    @property
    def digest(self) -> str:
        """SHA-256 of the weights, or of what answers depend on where there is no file of them."""
        return (weights_digest(self.folder) if self.folder else "") or self.identity

    def describe(self) -> dict[str, Any]:
        """As a report's `checkpoint`."""
        model = self.assessor.model
        return {
            "name": self.name,
            "digest": self.digest,
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "questions": list(self.assessor.processor.rating_scale.people_questions),
            "dtype": str(model.dtype).removeprefix("torch."),
            "device": model.device.type,
        }


def _folder_name(folder: Path) -> str:
    """The folder's last part; where `train` has written it, the run's."""
    return folder.parent.name if folder.name in (ADAPTER, ALIGNED, TUNED) else folder.name


def checkpoint_folder(name: str) -> Path | None:
    """Where a checkpoint's files lie on this machine: a folder, or the Hub's cache; `None`: nowhere."""
    if not name:
        return None
    if Path(name).is_dir():
        return Path(name)
    try:
        found = cached_file(name, "config.json", local_files_only=True)
    except (OSError, ValueError):
        return None
    return None if found is None else Path(found).parent


def answer_identity(assessor: "AestheticAssessor") -> str:
    """SHA-256 of all that answers depend on."""
    digest = hashlib.sha256(__version__.encode())
    for key, weight in sorted(assessor.model.state_dict().items()):
        digest.update(f"{key} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(_bytes(weight))
    processor = assessor.processor
    config = assessor.model.config.to_dict()
    settings = {
        "config": {key: value for key, value in config.items() if key not in ("_name_or_path", "transformers_version")},
        "image": processor.image_processor.to_dict(),
        "scale": asdict(processor.rating_scale),
        "groups": processor.num_group_tokens,
        "chat_template": processor.chat_template or processor.tokenizer.chat_template,
        "vocabulary": processor.tokenizer.get_vocab(),
        "cuts": {name: list(cuts) for name, cuts in processor.measurement_cuts.items()},
    }
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, file in sorted(processor.side_files.items()):
        digest.update(name.encode() + json.dumps(dict(file.metadata), sort_keys=True).encode())
        for key, tensor in sorted(file.tensors.items()):
            digest.update(key.encode() + _bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
