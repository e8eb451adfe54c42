"""Photos a second of an exported ONNX file beside PyTorch, on the same pixels in the same run.

    aesthetic-mllm export --output rating.onnx
    python benchmarks/onnx.py rating.onnx [--photos FOLDER] [--output onnx.json]

Both rate the same questions of photos that are already read. Rounds alternate, so that a machine that slows down slows both.
PyTorch is the assessor's engine. Both see no more canvas than the photos of a batch cover.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.engine.engine import AestheticEngine
from aesthetic_mllm.engine.onnx_ratings import METADATA_KEY, onnx_inputs
from aesthetic_mllm.inference.photo_files import find_photos

SAMPLES = Path(__file__).parents[1] / "examples" / "photos"


def photos_a_second(rate: Callable[[], object], photos: int) -> float:
    start = time.perf_counter()
    rate()
    return photos / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="made by aesthetic-mllm export")
    parser.add_argument("--model", help="the checkpoint that it was made from (default: the embedded one)")
    parser.add_argument("--photos", type=Path, default=SAMPLES)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 6])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(str(options.file), settings, providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    questions = facts["questions"]
    assessor = AestheticAssessor.from_pretrained(options.model, device="cpu")
    engine = AestheticEngine(assessor.model, assessor.processor)
    scale = assessor.processor.rating_scale
    photos = [engine.read(photo) for photo in find_photos([options.photos]).photos]

    def with_torch(size: int) -> list[list[float]]:
        parts = [photos[first : first + size] for first in range(0, len(photos), size)]
        rows = [row for part in parts for row in engine.rate(engine.encode(part), questions)]
        return [[row[question].mean for question in questions] for row in rows]

    def with_onnx(size: int) -> list[list[float]]:
        rows = []
        for first in range(0, len(photos), size):
            part = photos[first : first + size]
            logits = torch.from_numpy(session.run(None, onnx_inputs(part, facts["canvas_multiple"]))[0])
            columns = [scale.read_level_logits(logits[:, place]) for place in range(len(questions))]
            rows += [[rating.mean for rating in row] for row in zip(*columns, strict=True)]
        return rows

    low, high = scale.score_range
    results = []
    print(
        f"{len(photos)} photos, {len(questions)} questions, {options.threads} threads, {options.file.stat().st_size / 1e6:.0f} MB"
    )
    print(f"{'batch':>5} {'PyTorch/s':>10} {'ONNX/s':>8} {'ratio':>6} {'difference':>11}")
    for size in options.batch_sizes:
        gap = (torch.tensor(with_torch(size)) - torch.tensor(with_onnx(size))).abs().max().item() / (high - low)  # warms up too
        torches, onnxes = [], []
        for _ in range(options.rounds):
            torches.append(photos_a_second(lambda size=size: with_torch(size), len(photos)))
            onnxes.append(photos_a_second(lambda size=size: with_onnx(size), len(photos)))
        ratio = statistics.median(one / other for one, other in zip(onnxes, torches, strict=True))
        result = {
            "batch_size": size,
            "torch_per_second": statistics.median(torches),
            "onnx_per_second": statistics.median(onnxes),
            "ratio": ratio,
            "largest_difference": gap,
        }
        results.append(result)
        print(f"{size:5} {result['torch_per_second']:10.1f} {result['onnx_per_second']:8.1f} {ratio:6.2f} {gap:11.1e}")
    if options.output:
        figures = {"photos": len(photos), "questions": questions, "threads": options.threads, "results": results}
        options.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
