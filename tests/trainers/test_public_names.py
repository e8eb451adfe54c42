"""Trainers are public, and cost nothing until they are used."""

import subprocess
import sys

import pytest

from aesthetic_mllm import trainers


def test_every_public_name_is_there() -> None:
    for name in trainers.__all__:
        assert getattr(trainers, name).__name__ == name
    assert dir(trainers) == sorted(trainers.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'AestheticTrainer'"):
        _ = trainers.AestheticTrainer


def test_importing_the_package_imports_neither_torch_nor_trl() -> None:
    code = (
        "import sys, aesthetic_mllm, aesthetic_mllm.trainers\n"
        "print([name for name in ('torch', 'transformers', 'trl', 'peft', 'datasets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
