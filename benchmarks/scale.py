"""What docs/scale.md reckons with, measured in one run: decoding, shrinking and sending photos, and ratings by each engine.

    python benchmarks/scale.py [--server http://127.0.0.1:8000 --server-pid PID] [--count 100] [--output scale.json]

Rounds of all engines alternate, so that a machine that slows down slows them all. Beside the rate stands what a photo costs in
processor time, which other work on the machine hardly changes; of a server on this machine, its own with `--server-pid`. With a
server, the largest difference between its ratings and those computed here is told too. `--threads` is for this process.
"""

import argparse
import io
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

from aesthetic_mllm import AestheticAssessor, Rating
from aesthetic_mllm.engine.engine import ReadPhoto
from aesthetic_mllm.inference.photo_files import find_photos
from aesthetic_mllm.serving.server_engine import as_png, on_canvas

SAMPLES = Path(__file__).parents[1] / "examples" / "photos"
SIZES = {"2 MP": (1728, 1152), "12 MP": (4000, 3000), "24 MP": (6000, 4000)}


def different_photos(sources: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """JPEGs of two megapixels that differ: parts of the sources, mirrored, darker, brighter."""
    rng = np.random.default_rng(0)
    written = []
    for index, source in zip(range(count), itertools.cycle(sources), strict=False):
        photo = Image.open(source).convert("RGB")
        width, height = photo.size
        left, top = rng.uniform(0, 0.3, 2) * (width, height)
        right, bottom = (width, height) - rng.uniform(0, 0.3, 2) * (width, height)
        photo = photo.crop((int(left), int(top), int(right), int(bottom)))
        photo = ImageEnhance.Brightness(ImageOps.mirror(photo) if index % 2 else photo).enhance(rng.uniform(0.5, 1.4))
        photo = ImageOps.contain(photo, SIZES["2 MP"], Image.Resampling.BICUBIC)
        written.append(folder / f"{index}.jpg")
        photo.save(written[-1], quality=90)
    return written


def sized_photo(source: Path, size: tuple[int, int]) -> bytes:
    """A JPEG of a size, with the grain that a sensor adds."""
    rng = np.random.default_rng(0)
    pixels = np.asarray(Image.open(source).convert("RGB").resize(size, Image.Resampling.BICUBIC), np.int16)
    pixels = np.clip(pixels + rng.integers(-6, 7, pixels.shape, dtype=np.int16), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def measure_reading(assessor: AestheticAssessor, source: Path, repeats: int) -> list[dict[str, Any]]:
    """Milliseconds of processor time to decode a JPEG in full, and to read it as the image processor does; KB of what is sent."""
    image_processor = assessor.processor.image_processor
    rows = []
    for name, size in SIZES.items():
        jpeg = sized_photo(source, size)
        photo = image_processor.read(jpeg)
        small = on_canvas(image_processor, photo)
        assert small is not None
        steps: dict[str, Callable[[], object]] = {
            "decode_ms": lambda jpeg=jpeg: Image.open(io.BytesIO(jpeg)).load(),
            "read_ms": lambda jpeg=jpeg: image_processor(jpeg, return_tensors="pt"),
            "png_ms": lambda small=small: as_png(small),
        }
        row: dict[str, Any] = {"photo": name, "file_kb": len(jpeg) / 1000, "sent_kb": len(as_png(small)) / 1000}
        for step, task in steps.items():
            task()
            row[step] = 1000 * min(thread_seconds(task) for _ in range(repeats))
        rows.append(row)
        print(
            f"{name:6} {row['file_kb']:7.0f} KB  decoded {row['decode_ms']:6.1f} ms  read as the model sees it "
            f"{row['read_ms']:6.1f} ms  as PNG {row['png_ms']:5.1f} ms, {row['sent_kb']:4.0f} KB",
            flush=True,
        )
    return rows


def measure_engines(assessor: AestheticAssessor, photos: list[Path], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Photos a second of each engine: from files, and, where the model runs here, of photos that were read before."""
    read: list[ReadPhoto[None]] = [assessor.engine.read(photo) for photo in photos]
    tasks: dict[str, Callable[[], list[Rating]]] = {}
    warm_up: list[Callable[[], object]] = [lambda: assessor.score(photos[:8])]
    for size in options.batch_sizes:
        tasks[f"PyTorch, batch {size}"] = lambda size=size: assessor.score(photos, batch_size=size)
        tasks[f"PyTorch, batch {size}, read before"] = lambda size=size: rate_read(assessor, read, size)
    for concurrency in options.concurrency if options.server else ():
        other = AestheticAssessor.from_server(options.server, concurrency=concurrency)
        tasks[f"server, {concurrency} at a time"] = lambda other=other: other.score(photos)
        warm_up.append(lambda other=other: other.score(photos[:8]))
    for task in warm_up:
        task()
    rates: dict[str, list[float]] = {name: [] for name in tasks}
    costs: dict[str, list[float]] = {name: [] for name in tasks}
    means: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, task in tasks.items():
            before, start = processor_seconds(options.server_pid), time.perf_counter()
            means[name] = [rating.mean for rating in task()]
            rates[name].append(len(photos) / (time.perf_counter() - start))
            costs[name].append(1000 * (processor_seconds(options.server_pid) - before) / len(photos))
    rows: list[dict[str, Any]] = []
    expected = next(iter(means.values()))
    for name in tasks:
        largest = max(abs(here - there) for here, there in zip(expected, means[name], strict=True))
        rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
        rows.append({"engine": name, "per_second": rate, "processor_ms": cost, "largest_difference": largest})
        print(f"{name:34} {rate:7.1f} photos/s  {cost:6.1f} ms of processor time a photo  largest difference {largest:.6f}")
    return rows


def processor_seconds(server_pid: int | None) -> float:
    """That this process has used, and a server with its children."""
    used = time.process_time()
    if server_pid is None:
        return used
    import psutil

    server = psutil.Process(server_pid)
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return used + sum(each.user + each.system for each in times)


@torch.inference_mode()
def rate_read(assessor: AestheticAssessor, read: list[ReadPhoto[None]], batch_size: int) -> list[Rating]:
    ratings = []
    for start in range(0, len(read), batch_size):
        rated = assessor.engine.rate(assessor.engine.encode(read[start : start + batch_size]), ["aesthetic"])
        ratings += [each["aesthetic"] for each in rated]
    return ratings


def thread_seconds(task: Callable[[], object]) -> float:
    """Processor time of this thread."""
    start = time.thread_time()
    task()
    return time.thread_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SAMPLES, help="what the photos are made of (default: the sample photos)")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--server", help="address of a server of the embedded checkpoint")
    parser.add_argument("--server-pid", type=int, help="its process, where it runs on this machine, to count its processor time")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--output", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} cores, {options.threads} threads here, load before {load:.1f}")
    sources = [photo for photo in find_photos([options.photos]).photos if isinstance(photo, Path)]
    assessor = AestheticAssessor.from_pretrained(device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        photos = different_photos(sources, Path(folder), options.count)
        reading = measure_reading(assessor, sources[0], 5)
        engines = measure_engines(assessor, photos, options)
    if options.output:
        result = {"load": load, "cores": os.cpu_count(), "threads": options.threads, "reading": reading, "engines": engines}
        options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
