"""How long `aesthetic-mllm score one.jpg` takes as a process, beside a Python that only imports transformers' classes.

    python benchmarks/cold_start.py [--output cold_start.json]

Both alternate; the median of the pairs' ratios is what counts.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

PHOTO = Path(__file__).parents[1] / "examples" / "photos" / "coffee.jpg"
SCORE = [sys.executable, "-m", "aesthetic_mllm.cli", "score", str(PHOTO)]
IMPORTS = "from transformers import AutoModelForImageTextToText, AutoProcessor, LlamaForCausalLM"


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    imports = [sys.executable, "-c", IMPORTS]
    seconds(SCORE), seconds(imports)  # fill the disk cache
    pairs = [(seconds(SCORE), seconds(imports)) for _ in range(options.rounds)]
    report = {
        "score_seconds": statistics.median(score for score, _ in pairs),
        "import_seconds": statistics.median(imported for _, imported in pairs),
        "ratio": statistics.median(score / imported for score, imported in pairs),
        "ratio_min": min(score / imported for score, imported in pairs),
        "ratio_max": max(score / imported for score, imported in pairs),
    }
    print(json.dumps(report, indent=2))
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
