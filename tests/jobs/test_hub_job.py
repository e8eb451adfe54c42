"""The example for Hugging Face Jobs, against a local Hub: a data set of photos becomes one of ratings; a second run goes on."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from fake_hub import FakeHub, Repository, fake_hub
from photo_files import jpeg_bytes, scene

SCRIPT = Path(__file__).parents[2] / "examples" / "rate_hub_dataset.py"


def photos_table(count: int) -> bytes:
    """A parquet file as data sets of images have it."""
    images = [{"bytes": jpeg_bytes(scene(60 + 4 * number, 50)), "path": f"{number}.jpg"} for number in range(count)]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"image": images, "id": list(range(count))}), buffer)
    return buffer.getvalue()


def run(hub: FakeHub, checkpoint: Path, home: Path) -> str:
    environment = os.environ | hub.environment | {
        "HF_TOKEN": "secret", "HF_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    command = [sys.executable, str(SCRIPT), "me/photos", "me/ratings", "--model", str(checkpoint), "--column", "image"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.mark.slow
def test_ratings_are_pushed_and_a_second_run_goes_on(checkpoint: Path, tmp_path: Path) -> None:
    with fake_hub() as hub:
        photos = hub.repositories["datasets", "me/photos"] = Repository()
        photos.branches["main"]["data/train-00000-of-00001.parquet"] = photos_table(5)
        assert "5 photos rated, 0 before, 0 failed" in run(hub, checkpoint, tmp_path / "first")
        photos.branches["main"]["data/train-00000-of-00001.parquet"] = photos_table(7)
        assert "2 photos rated, 5 before, 0 failed" in run(hub, checkpoint, tmp_path / "second")
        files = hub.files("me/ratings", kind="datasets")
        assert hub.repositories["datasets", "me/ratings"].private
    tables = [pyarrow.parquet.read_table(io.BytesIO(files[f"data/part-00000{number}.parquet"])) for number in (0, 1)]
    rows = pa.concat_tables(tables).to_pylist()
    assert [row["path"] for row in rows] == [f"hf://datasets/me/photos/train#{number}" for number in range(7)]
    assert all(row["aesthetic_mean"] is not None for row in rows) and rows[3]["name"] == "3.jpg"
    assert b"data/part-*.parquet" in files["README.md"] and set(files) >= {"data/_manifest.json"}
