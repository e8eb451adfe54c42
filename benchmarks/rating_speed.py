"""Photos a processor second from files to ratings, in this tree beside another one (a worktree of the code before).

    git worktree add --detach ../before COMMIT
    python benchmarks/rating_speed.py --against ../before [--onnx rating.onnx] [--output rating_speed.json]

Each tree runs in a process of its own, all with one thread, and they take turns; the median of the turns' ratios is what counts.
Processor time and not time by the clock, so that a busy machine tells much the same. Photos are those of a folder (default: the
sample photos), scaled to 512 pixels and to 12 megapixels. With --onnx this tree also rates with that file.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
SIDES = {"512 px": 512, "12 MP": 4000}
WORKER = """
import json, resource, sys, time
from aesthetic_mllm import AestheticAssessor
assessor = AestheticAssessor.from_pretrained(device="cpu", **json.loads(sys.argv[1]))
print(time.process_time(), flush=True)
for line in sys.stdin:
    photos, batch_size = json.loads(line)
    start = time.process_time()
    means = [rating.mean for rating in assessor.score(photos, batch_size=batch_size)]
    seconds = time.process_time() - start
    print(json.dumps([seconds, means, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6]), flush=True)
"""


class Tree:
    """A process that rates photos with the code of one tree.

    Attributes:
        start: processor seconds until the checkpoint was loaded.
    """

    def __init__(self, root: Path, **options: str):
        environment = os.environ | {"PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", WORKER, json.dumps(options)]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        self.start = float(self.process.stdout.readline())

    def score(self, photos: list[str], batch_size: int) -> tuple[float, list[float], float]:
        """Processor seconds, mean ratings, and the megabytes that the process has needed so far at most."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps([photos, batch_size]), file=self.process.stdin, flush=True)
        seconds, means, megabytes = json.loads(self.process.stdout.readline())
        return seconds, means, megabytes


def write_photos(folder: Path, side: int, count: int, sources: list[Path]) -> list[str]:
    """JPEG files with their long side of so many pixels, with the grain that a sensor adds."""
    rng = np.random.default_rng(0)
    written = []
    for index, source in zip(range(count), itertools.cycle(sources), strict=False):
        photo = Image.open(source).convert("RGB")
        scale = side / max(photo.size)
        size = (4000, 3000) if side == 4000 else (round(photo.width * scale), round(photo.height * scale))
        pixels = np.asarray(photo.resize(size, Image.Resampling.BICUBIC), np.int16)
        pixels = np.clip(pixels + rng.integers(-6, 7, pixels.shape, dtype=np.int16), 0, 255).astype(np.uint8)
        written.append(str(folder / f"{side}_{index:02}.jpg"))
        Image.fromarray(pixels).save(written[-1], quality=92)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, required=True, metavar="TREE", help="the other tree, which has a folder src")
    parser.add_argument("--onnx", type=Path, help="a file that aesthetic-mllm export of this tree made")
    parser.add_argument("--photos", type=Path, default=ROOT / "examples" / "photos", help="folder of JPEG files")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    trees = {"before": Tree(options.against), "this tree": Tree(ROOT)}
    if options.onnx:
        trees["onnx"] = Tree(ROOT, onnx=str(options.onnx))
    print("processor seconds to load: " + ", ".join(f"{name} {tree.start:.1f}" for name, tree in trees.items()), flush=True)
    rows = []
    print(
        f"{'photos':7} {'batch':>5} {'code':9} {'per CPU s':>9} {'ratio':>6} {'(min-max)':>11} {'difference':>10} {'peak MB':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        files = {
            kind: write_photos(Path(folder), side, options.count, sorted(options.photos.glob("*.jpg")))
            for kind, side in SIDES.items()
        }
        for (kind, photos), batch_size in itertools.product(files.items(), options.batch_sizes):
            for tree in trees.values():
                tree.score(photos[:batch_size], batch_size)  # warm up
            turns = [{name: tree.score(photos, batch_size) for name, tree in trees.items()} for _ in range(options.rounds)]
            for name in trees:
                ratios = [turn["before"][0] / turn[name][0] for turn in turns]
                gaps = [abs(one - other) for one, other in zip(turns[0]["before"][1], turns[0][name][1], strict=True)]
                row = {
                    "photos": kind,
                    "batch_size": batch_size,
                    "code": name,
                    "photos_per_processor_second": len(photos) / statistics.median(turn[name][0] for turn in turns),
                    "ratio": statistics.median(ratios),
                    "ratio_min": min(ratios),
                    "ratio_max": max(ratios),
                    "largest_difference": max(gaps),
                    "peak_megabytes": turns[-1][name][2],
                }
                rows.append(row)
                print(
                    f"{kind:7} {batch_size:5} {name:9} {row['photos_per_processor_second']:9.1f} {row['ratio']:6.2f} "
                    f"{row['ratio_min']:5.2f}-{row['ratio_max']:.2f} {row['largest_difference']:10.1e} "
                    f"{row['peak_megabytes']:8.0f}",
                    flush=True,
                )
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
