"""Peak memory of reading a data set for instruct-tuning: records, leakage check, rows, and a pass over batches with their photos.

    python benchmarks/data_memory.py --source biq2021 --root DATA/biq2021 [--batches 100] [--output data_memory.json]

The resident memory before (Python with torch and transformers) and the peak after each part; the photos themselves are never all
in memory, so it hardly grows with their number.
"""

import argparse
import json
import resource
import time
from pathlib import Path

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.trainers.aesthetic_sft_collator import AestheticSFTCollator
from aesthetic_mllm.trainers.sft_recipe import SFTRecipe, open_sft_data

BATCH_SIZE = 16


def peak_mb() -> float:
    """Most resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--batches", type=int, default=100, help="of 16 photos to read and scale")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    processor = AestheticMLLMProcessor.from_pretrained(embedded_checkpoint())
    report: dict[str, float] = {"before_mb": peak_mb()}
    start = time.perf_counter()
    recipe = SFTRecipe(data=[{"source": options.source, "root": options.root, "tasks": ["score", "decimal", "compare"]}])
    data = open_sft_data(recipe, processor.rating_scale, seed=0)
    report |= {"rows": len(data.train), "read_mb": peak_mb(), "read_seconds": time.perf_counter() - start}
    collator = AestheticSFTCollator(processor)
    start = time.perf_counter()
    batches = min(options.batches, len(data.train) // BATCH_SIZE)
    for number in range(batches):
        collator([data.train[number * BATCH_SIZE + index] for index in range(BATCH_SIZE)])
    report |= {"batches": batches, "batches_mb": peak_mb(), "batches_seconds": time.perf_counter() - start}
    for line in data.notes:
        print(line)
    for name, value in report.items():
        print(f"{name:16} {value:10.1f}")
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
