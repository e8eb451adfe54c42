"""The example scripts run as their docstrings say."""

import os
import subprocess
import sys
from pathlib import Path

from aesthetic_mllm import AestheticMLLMForConditionalGeneration
from synthetic_photos import scene_photo

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_align(checkpoint: Path, tmp_path: Path) -> None:
    """Two steps on six photos and a broken file leave a checkpoint that loads."""
    pool = tmp_path / "pool"
    pool.mkdir()
    for number in range(6):
        scene_photo(72 + 4 * number, 64).save(pool / f"{number}.png")
    (pool / "broken.png").write_bytes(b"no photo")
    settings = ["--model", str(checkpoint), "--output", str(tmp_path / "out"), "--batch-size", "3", "--max-steps", "2"]
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "align.py"), *settings, str(pool)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path / "out" / "aligned")
