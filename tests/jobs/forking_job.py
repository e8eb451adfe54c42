"""Runs a job in processes that are killed at random moments; a program, so that nothing of the tests is forked.

    python forking_job.py PHOTOS OUTPUT KILLS SEED

Prints for each run whether it was killed, and how many rows it left behind.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pyarrow.parquet
import torch

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.jobs import rating_job
from aesthetic_mllm.jobs.shards import parts_of
from aesthetic_mllm.jobs.sources import find_sources
from aesthetic_mllm.jobs.table import Request
from lively_assessor import lively_assessor


def run(assessor: AestheticAssessor, photos: str, output: Path) -> None:
    rating_job.RatingJob(assessor, Request.scores(assessor), output).run(find_sources([photos]))


def main() -> None:
    photos, output, kills, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)  # a forked process must not look for its parent's threads
    rating_job.SHARD_ROWS = 16
    assessor = lively_assessor()
    chance = random.Random(seed)
    for _ in range(kills):
        begun = time.monotonic()
        child = os.fork()
        if child == 0:
            run(assessor, photos, output)
            os._exit(0)
        shards, wait = chance.randrange(4), chance.uniform(0, 0.2)
        parts = parts_of(output)
        before = len(list(parts.glob("part-*")))
        while len(list(parts.glob("part-*"))) < before + shards and time.monotonic() < begun + 60:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            time.sleep(0.005)
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        rows = sum(pyarrow.parquet.read_metadata(shard).num_rows for shard in parts.glob("part-*"))
        sys.stdout.write(f"{'killed' if os.WIFSIGNALED(status) else 'ended'} {rows}\n")
    run(assessor, photos, output)


if __name__ == "__main__":
    main()
