"""Photos a second from disk to ratings, beside the bare vision tower on the same pixels in the same run.

    python benchmarks/score.py [--photos FOLDER] [--output score.json]

Both kinds of photo are timed: those of a folder (default: the sample photos), and generated 12-megapixel JPEGs. Rounds of the
whole way and of the bare tower alternate, so that a machine that slows down slows both; the medians' ratio is what counts.
Peak memory is that of a process of its own.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.engine.engine import DEFAULT_BATCH_SIZE
from aesthetic_mllm.inference.photo_files import find_photos

SAMPLES = Path(__file__).parents[1] / "examples" / "photos"


def large_photos(sources: list[Path], folder: Path, count: int) -> list[Path]:
    """12-megapixel JPEGs (4000 x 3000) made from other photos, with the grain that a sensor adds."""
    rng = np.random.default_rng(0)
    written = []
    for index, source in zip(range(count), itertools.cycle(sources), strict=False):
        pixels = np.asarray(Image.open(source).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC), np.int16)
        pixels = np.clip(pixels + rng.integers(-6, 7, pixels.shape, dtype=np.int16), 0, 255).astype(np.uint8)
        written.append(folder / f"large{index}.jpg")
        Image.fromarray(pixels).save(written[-1], quality=92)
    return written


@torch.inference_mode()
def time_tower(assessor: AestheticAssessor, photos: list[Path], batch_size: int) -> float:
    """Photos a second of the bare tower on the photos' pixels, reading them not counted."""
    pixels = assessor.processor.image_processor([str(photo) for photo in photos], return_tensors="pt")
    tower = assessor.model.model.vision_tower
    values = pixels["pixel_values"].to(tower.dtype)
    start = time.perf_counter()
    for first in range(0, len(values), batch_size):
        tower(values[first : first + batch_size])
    return len(values) / (time.perf_counter() - start)


def time_score(assessor: AestheticAssessor, photos: list[Path], batch_size: int) -> float:
    """Photos a second from disk to ratings."""
    start = time.perf_counter()
    assessor.score(photos, batch_size=batch_size)
    return len(photos) / (time.perf_counter() - start)


def measure(kind: str, photos: list[Path], dtype: str, batch_size: int, rounds: int) -> dict[str, object]:
    assessor = AestheticAssessor.from_pretrained(dtype=dtype, device="cpu")
    time_score(assessor, photos, batch_size), time_tower(assessor, photos, batch_size)  # warm up
    score, tower = [], []
    for _ in range(rounds):
        tower.append(time_tower(assessor, photos, batch_size))
        score.append(time_score(assessor, photos, batch_size))
    ratios = [a / b for a, b in zip(score, tower, strict=True)]
    return {
        "photos": kind,
        "dtype": dtype,
        "batch_size": batch_size,
        "score_per_second": statistics.median(score),
        "tower_per_second": statistics.median(tower),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def peak_memory(code: str, photos: list[Path]) -> float:
    """Megabytes that a process of its own needs at most to run code about the photos, which it finds in `sys.argv`.

    Read from /proc (Linux), because `ru_maxrss` of a child begins with what its parent held.
    """
    code += "\nimport re\nprint(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024 / 1e6)"
    run = subprocess.run([sys.executable, "-c", code, *map(str, photos)], check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SAMPLES, help="folder of photos")
    parser.add_argument("--count", type=int, default=64, help="photos of the folder to rate; repeated where it has fewer")
    parser.add_argument("--large", type=int, default=24, help="12-megapixel photos to rate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[DEFAULT_BATCH_SIZE])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    found = [photo for photo in find_photos([options.photos]).photos if isinstance(photo, Path)]
    small = list(itertools.islice(itertools.cycle(found), options.count))
    rows = []
    print(f"{'photos':8} {'dtype':9} {'batch':>5} {'score/s':>8} {'tower/s':>8} {'ratio':>6} {'(min-max)':>12} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        large = large_photos(found, Path(folder), options.large)
        for dtype, (kind, photos), batch_size in itertools.product(
            ("float32", "bfloat16"), (("folder", small), ("12 MP", large)), options.batch_sizes
        ):
            row = measure(kind, photos, dtype, batch_size, options.rounds)
            code = (
                "import sys; from aesthetic_mllm import AestheticAssessor;"
                f"AestheticAssessor.from_pretrained(dtype={dtype!r}, device='cpu').score(sys.argv[1:], batch_size={batch_size})"
            )
            row["peak_megabytes"] = peak_memory(code, photos)
            rows.append(row)
            print(
                f"{kind:8} {dtype:9} {batch_size:5} {row['score_per_second']:8.1f} {row['tower_per_second']:8.1f} "
                f"{row['ratio']:6.2f} {row['ratio_min']:5.2f}-{row['ratio_max']:.2f} {row['peak_megabytes']:9.0f}",
                flush=True,
            )
    if options.output:
        report = {"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
