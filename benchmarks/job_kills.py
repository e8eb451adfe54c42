"""A job that is killed at random, again and again, beside one that is not: are the tables equal?

    python benchmarks/job_kills.py [--photos 5000] [--kills 10] [--model FOLDER] [--seed 0]

Runs `aesthetic-mllm score` as a user does; kills it with SIGKILL at a random moment of its work, runs it again, and at the end
compares both files byte by byte. Then starts another job in the same folder, which must be refused.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
from PIL import Image

from aesthetic_mllm.jobs.rating_job import SHARD_SECONDS

SHARDS = "part-*.parquet"
COMMAND = [sys.executable, "-m", "aesthetic_mllm.cli", "score"]


def write_photos(folder: Path, count: int) -> None:
    chance = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        photo = Image.fromarray(chance.integers(0, 256, (6, 8, 3), np.uint8)).resize((96, 72), Image.Resampling.BICUBIC)
        photo.save(folder / f"{number:06}.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff junk")


def rows_of(parts: Path) -> int:
    return sum(pyarrow.parquet.read_metadata(shard).num_rows for shard in sorted(parts.glob(SHARDS)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--model", help="folder of a checkpoint (default: the embedded one)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_photos(folder / "photos", options.photos)
        model = ["--model", options.model] if options.model else []
        command = [*COMMAND, str(folder / "photos"), *model, "--output"]
        begun = time.monotonic()
        subprocess.run([*command, str(folder / "unbroken.parquet")], check=False)
        unbroken = time.monotonic() - begun
        killed: list[int] = []
        parts = folder / "killed.parquet.parts"
        for number in range(options.kills):
            process = subprocess.Popen([*command, str(folder / "killed.parquet")])
            before, shards = rows_of(parts), len(list(parts.glob(SHARDS))) + chance.choice((0, 1, 1))
            while process.poll() is None and not ((parts / ".lock").exists() and len(list(parts.glob(SHARDS))) >= shards):
                time.sleep(0.1)
            try:
                process.wait(chance.uniform(0, SHARD_SECONDS))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed.append(rows_of(parts))
                print(f"kill {number + 1}: {before} rows were there at the start, {killed[-1]} at the kill", flush=True)
        subprocess.run([*command, str(folder / "killed.parquet")], check=False)
        equal = (folder / "unbroken.parquet").read_bytes() == (folder / "killed.parquet").read_bytes()
        other = subprocess.run(
            [*command, str(folder / "killed.parquet"), "--question", "quality"], capture_output=True, text=True, check=False
        )
        print(json.dumps({
            "photos": options.photos + 1, "kills": len(killed), "rows_at_kills": killed, "equal_bytes": equal,
            "rows": pyarrow.parquet.read_metadata(folder / "killed.parquet").num_rows, "unbroken_seconds": round(unbroken, 1),
            "another_job": [other.returncode, other.stderr.strip().replace(scratch, "")],
        }, indent=1))  # fmt: skip
    return 0 if equal and other.returncode == 2 else 1


if __name__ == "__main__":
    sys.exit(main())
