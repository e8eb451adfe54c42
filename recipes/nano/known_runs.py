"""Lists the runs of words of the critiques beside a checkpoint, so that its comments can do without them.

    python recipes/nano/known_runs.py --critiques DATA/critiques/comments.parquet --output build/nano/personal

What is written is a Bloom filter: a run can be looked up in it, and none be read from it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from aesthetic_mllm.tasks.quoting import KNOWN_RUNS_FILE, KnownRuns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--critiques", type=Path, required=True, help="parquet with a column comment")
    parser.add_argument("--output", type=Path, required=True, help="folder of the checkpoint")
    arguments = parser.parse_args()
    texts = pd.read_parquet(arguments.critiques)["comment"].astype(str)
    known = KnownRuns.of_texts(texts)
    known.save(arguments.output)
    share = np.unpackbits(known.bits).mean()
    path = arguments.output / KNOWN_RUNS_FILE
    print(f"{path}: {len(known.bits) / 1e6:.1f} MB of {len(texts)} texts, {share:.0%} of the bits set")


if __name__ == "__main__":
    main()
