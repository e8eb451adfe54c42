"""The package on the oldest transformers that setup.py admits, installed anew, away from the source tree."""

import json
import os
import re
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.processing.rating_scale import Rating

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = sorted((ROOT / "examples" / "photos").glob("*.jpg"))[:3]


def environment(folder: Path) -> Path:
    """A fresh environment with the package in it; returns the folder of its commands."""
    (torch,) = re.findall(r"^torch==.+$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    (oldest,) = re.findall(r'"transformers>=([\d.]+)', (ROOT / "setup.py").read_text(encoding="utf-8"))
    source = folder / "source"  # a build leaves files behind
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "LICENSE-WEIGHTS"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    venv.create(folder / "venv", with_pip=True)
    commands = folder / "venv" / "bin"
    for wanted in (torch, f"transformers~={oldest}.0", str(source)):
        subprocess.run([commands / "pip", "install", "--quiet", wanted], check=True, cwd=folder)
    return commands


@pytest.mark.slow
def test_score_and_assess_as_on_the_tested_version(tmp_path: Path) -> None:
    """The same ratings within 1e-4, and nothing on the error stream."""
    commands = environment(tmp_path)
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def rows(command: str) -> list[dict]:
        words = [commands / "aesthetic-mllm", command, *PHOTOS, "--format", "json"]
        run = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=outside)
        assert (run.returncode, run.stderr) == (0, "")
        return [json.loads(line) for line in run.stdout.splitlines()]

    assessor = AestheticAssessor.from_pretrained()
    for row, rating in zip(rows("score"), assessor.score(PHOTOS), strict=True):
        assert row["mean"] == pytest.approx(rating.mean, abs=1e-4)
    for row, assessment in zip(rows("assess"), assessor.assess(PHOTOS), strict=True):
        here: dict[str, Rating] = {"rating": assessment.rating, "quality": assessment.quality}
        for name, rating in here.items():
            assert row[name]["mean"] == pytest.approx(rating.mean, abs=1e-4), name
        for name, rating in assessment.attributes.items():
            assert row["attributes"][name]["mean"] == pytest.approx(rating.mean, abs=1e-4), name
        assert row["comment"] == assessment.comment
