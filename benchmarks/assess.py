"""Photos a second for a score, the eight attributes and a whole assessment, beside the bare vision tower and naive asking.

    python benchmarks/assess.py [--photos FOLDER] [--output assess.json]

All rounds alternate between the tasks, so that a machine that slows down slows all of them; the medians of ratios within a round
are what counts. `of tower` is the rate as a share of the bare tower's on the same pixels, `scores` is how many scores the task
costs. The naive way has one prompt and one forward a photo and question, reads and encodes the photo anew for each, and computes
the logits of every position over the whole vocabulary. A checkpoint without attributes and flaws is asked for them too: its
answers mean nothing then, but cost the same. Peak memory is that of a process of its own.

    python benchmarks/assess.py --gpu-model [--batch-sizes 32 64 128 256]

measures scores of a random model of the size of SigLIP-2-so400m and Qwen3-0.6B on a GPU, from JPEG files and from pixels in
memory, beside a LLaVA of transformers of the same size that scores one by one with full logits.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from score import SAMPLES, large_photos, peak_memory, time_tower

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.engine.engine import DEFAULT_BATCH_SIZE
from aesthetic_mllm.inference.photo_files import find_photos
from aesthetic_mllm.tasks.suggesting import FLAW_QUESTIONS

TASKS = ("score", "attributes", "assess")


def load_assessor(model: str | None, dtype: str) -> AestheticAssessor:
    """A checkpoint's assessor, which rates attributes and flaws, if need be untaught."""
    assessor = AestheticAssessor.from_pretrained(model, dtype=dtype, device="cpu")
    scale = assessor.processor.rating_scale
    if not scale.attributes:
        scale = scale.with_attributes()
    untaught = {key: question for key, question in FLAW_QUESTIONS.items() if key not in scale.questions}
    assessor.processor.rating_scale = replace(scale, questions={**scale.questions, **untaught})
    return assessor


@torch.inference_mode()
def ask_naively(assessor: AestheticAssessor, photos: list[Path], questions: list[str]) -> None:
    """One prompt and one forward a photo and question, all logits."""
    for photo, question in itertools.product(photos, questions):
        inputs = assessor.processor.rating_inputs([photo], question).to(assessor.model.device)
        assessor.processor.decode_ratings(assessor.model(**inputs).logits, question)


def rate(task: Callable[[], Any], count: int) -> float:
    """Photos a second of a task on so many photos."""
    start = time.perf_counter()
    task()
    return count / (time.perf_counter() - start)


def measure(assessor: AestheticAssessor, photos: list[Path], batch_size: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each task."""
    scale = assessor.processor.rating_scale
    few = photos[: max(2, len(photos) // 8)]  # the naive way is slow, and has no batches that would need more
    naive = {"score": [scale.default_question], "attributes": list(scale.attributes)}

    def one_round() -> dict[str, float]:
        rates = {"tower": time_tower(assessor, photos, batch_size)}
        for task in TASKS:
            rates[task] = rate(lambda task=task: getattr(assessor, task)(photos, batch_size=batch_size), len(photos))
        for task, questions in naive.items():
            rates[f"naive {task}"] = rate(lambda asked=questions: ask_naively(assessor, few, asked), len(few))
        return rates

    one_round()  # warm up
    measured = [one_round() for _ in range(rounds)]

    def of_rounds(value: Callable[[dict[str, float]], float]) -> float:
        return statistics.median(map(value, measured))

    return [
        {
            "task": task,
            "batch_size": batch_size,
            "per_second": of_rounds(lambda rates, task=task: rates[task]),
            "of_tower": of_rounds(lambda rates, task=task: rates[task] / rates["tower"]),
            "of_tower_min": min(rates[task] / rates["tower"] for rates in measured),
            "of_tower_max": max(rates[task] / rates["tower"] for rates in measured),
            "scores": of_rounds(lambda rates, task=task: rates["score"] / rates[task]),
            "naive_per_second": of_rounds(lambda rates, task=task: rates[f"naive {task}"]) if task in naive else None,
            "times_naive": of_rounds(lambda rates, task=task: rates[task] / rates[f"naive {task}"]) if task in naive else None,
        }
        for task in TASKS
    ]


def measure_cpu(options: argparse.Namespace) -> list[dict[str, Any]]:
    found = [photo for photo in find_photos([options.photos]).photos if isinstance(photo, Path)]
    small = list(itertools.islice(itertools.cycle(found), options.count))
    rows = []
    print(
        f"{'photos':7} {'dtype':9} {'batch':>5} {'task':10} {'photos/s':>8} {'of tower':>8} {'(min-max)':>11} {'scores':>6} ",
        end="",
    )
    print(f"{'naive/s':>7} {'times':>6} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"folder": small, "12 MP": large_photos(found, Path(folder), options.large)}
        for dtype, (kind, photos), batch_size in itertools.product(options.dtypes, kinds.items(), options.batch_sizes):
            if not photos:
                continue
            for row in measure(load_assessor(options.model, dtype), photos, batch_size, options.rounds):
                code = (
                    f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import assess;"
                    f"assess.load_assessor({options.model!r}, {dtype!r}).{row['task']}(sys.argv[1:], batch_size={batch_size})"
                )
                row |= {"photos": kind, "dtype": dtype, "peak_megabytes": peak_memory(code, photos)}
                rows.append(row)
                naive = "" if row["times_naive"] is None else f"{row['naive_per_second']:7.2f} {row['times_naive']:6.1f}"
                print(
                    f"{kind:7} {dtype:9} {batch_size:5} {row['task']:10} {row['per_second']:8.2f} {row['of_tower']:8.2f} "
                    f"{row['of_tower_min']:6.2f}-{row['of_tower_max']:.2f} {row['scores']:6.2f} {naive:14} "
                    f"{row['peak_megabytes']:8.0f}",
                    flush=True,
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SAMPLES, help="folder of photos")
    parser.add_argument("--model", help="checkpoint (default: the embedded one); not with --gpu-model")
    parser.add_argument("--count", type=int, default=32, help="photos of the folder to judge; repeated where it has fewer")
    parser.add_argument("--large", type=int, default=16, help="12-megapixel photos to judge; 0: none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+")
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "bfloat16"), default=["float32", "bfloat16"])
    parser.add_argument("--gpu-model", action="store_true", help="measure a large random model on a GPU instead")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.gpu_model:
        from large_model import measure_gpu

        options.batch_sizes = options.batch_sizes or [16, 32, 64, 128, 256]
        rows = measure_gpu(options)
    else:
        options.batch_sizes = options.batch_sizes or [DEFAULT_BATCH_SIZE]
        rows = measure_cpu(options)
    if options.output:
        report = {"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
