"""What a type checker makes of the assessor's methods: of one photo one result, of many a list, errors where asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = """
from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import numpy as np
import torch
from PIL import Image

from aesthetic_mllm import AestheticAssessor, Assessment, Comparison, ImageError, RankedPhoto, Rating, Suggestion
from aesthetic_mllm.engine.photo_collections import Dataset, Series
from aesthetic_mllm.inference.base_assessor import PhotoEmbeddings
from aesthetic_mllm.inference.personal_assessor import PersonalAssessor


def one(a: AestheticAssessor, path: Path, data: bytes, image: Image.Image, array: np.ndarray, tensor: torch.Tensor) -> None:
    for photo in (path, "a.jpg", data, image, array, tensor):
        assert_type(a.score(photo), Rating)
    assert_type(a.score(path, "quality", batch_size=2), Rating)
    assert_type(a.score(path, on_error="return"), Rating | ImageError)
    assert_type(a.ratings(path, ["quality"]), dict[str, Rating])
    assert_type(a.ratings(path, ["quality"], on_error="return"), dict[str, Rating] | ImageError)
    assert_type(a.attributes(path), dict[str, Rating])
    assert_type(a.comment(path, "detailed", aspect="light"), str)
    assert_type(a.comment(path, on_error="return"), str | ImageError)
    assert_type(a.suggest(path, verify=True, limit=1), list[Suggestion])
    assert_type(a.suggest(path, on_error="return"), list[Suggestion] | ImageError)
    assert_type(a.assess(path), Assessment)
    assert_type(a.assess(path, True, on_error="return"), Assessment | ImageError)


def many(a: AestheticAssessor, paths: list[Path], photos: Iterator[Image.Image], column: Series, data: Dataset) -> None:
    assert_type(a.score(paths), list[Rating])
    assert_type(a.score(photos), list[Rating])
    assert_type(a.score(column), list[Rating])
    assert_type(a.score(data), list[Rating])
    assert_type(a.score(["a.jpg", b"bytes"], on_error="return"), list[Rating | ImageError])
    assert_type(a.ratings(paths, ["quality"]), list[dict[str, Rating]])
    assert_type(a.attributes(paths, on_error="return"), list[dict[str, Rating] | ImageError])
    assert_type(a.comment(paths), list[str])
    assert_type(a.suggest(paths), list[list[Suggestion]])
    assert_type(a.suggest(paths, on_error="return"), list[list[Suggestion] | ImageError])
    assert_type(a.assess(paths), list[Assessment])
    assert_type(a.score_stream(paths), Iterator[Rating])
    assert_type(a.assess_stream(paths, on_error="return"), Iterator[Assessment | ImageError])
    assert_type(a.rank(paths), list[RankedPhoto])
    assert_type(a.pick(paths, 2, on_error="skip"), list[RankedPhoto])
    assert_type(a.compare(paths[0], "b.jpg"), Comparison)
    assert_type(a.embed(paths), PhotoEmbeddings)
    person = a.personalize({paths[0]: 5.0})
    assert_type(person, PersonalAssessor)
    assert_type(person.update({"b.jpg": 3}).score(paths), list[Rating])
"""
WRONG = """
from aesthetic_mllm import AestheticAssessor


def wrong(a: AestheticAssessor) -> None:
    a.score("a.jpg").distance
    a.score(["a.jpg"]).mean
    a.score("a.jpg", on_error="return").mean
    a.score("a.jpg", on_error="ignore")
    a.rank(["a.jpg"], max_distanze=3)
"""


def check(text: str, folder: Path) -> list[str]:
    """mypy's errors, without where they are."""
    sample = folder / "sample.py"
    sample.write_text(text)
    # the files of the configuration are not checked again; what is known of them is in the cache
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary", str(sample)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [line.split(": ", 1)[1] for line in done.stdout.splitlines()]


def test_types_are_what_the_methods_give(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    assert check(SAMPLE, tmp_path) == []
    errors = check(WRONG, tmp_path)
    for part in (
        '"Rating" has no attribute "distance"',
        '"list[Rating]" has no attribute "mean"',
        'Item "ImageError"',
        "No overload",
    ):
        assert any(part in error for error in errors), (part, errors)
    assert any("max_distanze" in error for error in errors)
