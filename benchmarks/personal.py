"""What personal ratings cost: a personal rating beside a plain score, and how long a profile takes to build.

    python benchmarks/personal.py [--photos FOLDER] [--output personal.json]

Rounds of plain and of personal scores alternate, so that a machine that slows down slows both; the median of the ratios within
rounds is what counts. The profile's photos, generated 12-megapixel JPEGs, get arbitrary ratings: what they are rated changes
nothing of the cost. A checkpoint that was not taught to read examples reads them here too: its answers mean nothing then, but
cost the same.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from score import SAMPLES, large_photos, time_score

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.engine.engine import DEFAULT_BATCH_SIZE
from aesthetic_mllm.inference.photo_files import find_photos
from aesthetic_mllm.personalization.personalizers import METHODS

EXAMPLE_TOKENS = {"low": 2, "middle": 2, "high": 2, "thematic": 2}  # of a checkpoint that was not taught any


def measure(assessor: AestheticAssessor, rated: list[Path], photos: list[Path], method: str, options: Any) -> dict[str, Any]:
    """One method's row."""
    ratings = [(photo, 1 + number % 5) for number, photo in enumerate(rated)]
    start = time.perf_counter()
    person = assessor.personalize(ratings, score_range=(1, 5), method=method)
    built = time.perf_counter() - start
    for judge in (assessor, person):
        time_score(judge, photos, options.batch_size)  # warm up
    ratios, rates = [], []
    for _ in range(options.rounds):
        plain = time_score(assessor, photos, options.batch_size)
        rates.append(time_score(person, photos, options.batch_size))
        ratios.append(plain / rates[-1])
    return {
        "method": method,
        "profile": len(rated),
        "batch_size": options.batch_size,
        "build_seconds": built,
        "per_second": statistics.median(rates),
        "scores": statistics.median(ratios),
        "scores_min": min(ratios),
        "scores_max": max(ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SAMPLES, help="folder of photos")
    parser.add_argument("--model", help="checkpoint (default: the embedded one)")
    parser.add_argument("--count", type=int, default=32, help="photos of the folder to rate; repeated where it has fewer")
    parser.add_argument("--profile", type=int, nargs="+", default=[16], help="photos of the profile")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=DEFAULT_BATCH_SIZE)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    assessor = AestheticAssessor.from_pretrained(options.model, dtype=options.dtype, device="cpu")
    if not assessor.processor.reads_examples:
        assessor.processor.num_example_tokens = EXAMPLE_TOKENS
    found = [photo for photo in find_photos([options.photos]).photos if isinstance(photo, Path)]
    photos = list(itertools.islice(itertools.cycle(found), options.count))
    rows = []
    print(f"{'method':9} {'profile':>7} {'built, s':>8} {'photos/s':>8} {'scores':>6} {'(min-max)':>11}")
    with tempfile.TemporaryDirectory() as folder:
        rated = large_photos(found, Path(folder), max(options.profile))  # no photo twice
        for count, method in itertools.product(options.profile, METHODS):
            row = measure(assessor, rated[:count], photos, method, options)
            rows.append(row)
            print(
                f"{method:9} {count:7} {row['build_seconds']:8.2f} {row['per_second']:8.2f} {row['scores']:6.2f} "
                f"{row['scores_min']:5.2f}-{row['scores_max']:.2f}",
                flush=True,
            )
    if options.output:
        report = {"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
