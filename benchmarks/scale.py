"""What docs/scale.md reckons with, measured in one run: decoding, shrinking and sending photos, and ratings by each engine.

    python benchmarks/scale.py [--server http://127.0.0.1:8000] [--count 100] [--output scale.json]

Rounds of all engines alternate, so that a machine that slows down slows them all. With a server, the largest difference between
its ratings and those computed here is told too. `--threads` is for this process; the server's are its own.
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

from aesthetic_mllm import AestheticAssessor
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
    """Milliseconds of one thread to decode a JPEG in full, and to read it as the image processor does; KB of what is sent."""
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
            row[step] = 1000 * min(seconds(task) for _ in range(repeats))
        rows.append(row)
        print(
            f"{name:6} {row['file_kb']:7.0f} KB  decoded {row['decode_ms']:6.1f} ms  read as the model sees it "
            f"{row['read_ms']:6.1f} ms  as PNG {row['png_ms']:5.1f} ms, {row['sent_kb']:4.0f} KB",
            flush=True,
        )
    return rows


def measure_engines(
    assessor: AestheticAssessor,
    photos: list[Path],
    batch_sizes: list[int],
    server: str | None,
    concurrencies: list[int],
    rounds: int,
) -> list[dict[str, Any]]:
    """Photos a second of each engine: from files, and, where the model runs here, of photos that were read before."""
    read: list[ReadPhoto[None]] = [assessor.engine.read(photo) for photo in photos]
    tasks: dict[str, Callable[[], object]] = {}
    warm_up: list[Callable[[], object]] = [lambda: assessor.score(photos[:8])]
    for size in batch_sizes:
        tasks[f"PyTorch, batch {size}"] = lambda size=size: assessor.score(photos, batch_size=size)
        tasks[f"PyTorch, batch {size}, read before"] = lambda size=size: rate_read(assessor, read, size)
    served = {}
    for concurrency in concurrencies if server else ():
        served[concurrency] = AestheticAssessor.from_server(server or "", concurrency=concurrency)
        tasks[f"server, {concurrency} at a time"] = lambda other=served[concurrency]: other.score(photos)
        warm_up.append(lambda other=served[concurrency]: other.score(photos[:8]))
    for task in warm_up:
        task()
    rates: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            rates[name].append(len(photos) / seconds(task))
    rows = [{"engine": name, "per_second": statistics.median(found), "best": max(found)} for name, found in rates.items()]
    for row in rows:
        print(f"{row['engine']:34} {row['per_second']:7.1f} photos/s (best {row['best']:.1f})")
    for other in list(served.values())[:1]:
        pairs = zip(assessor.score(photos), other.score(photos), strict=True)
        largest = max(abs(here.mean - there.mean) for here, there in pairs)
        rows.append({"engine": "server", "largest_difference": largest, "photos": len(photos)})
        print(f"largest difference between server and here over {len(photos)} photos: {largest:.6f} points")
    return rows


@torch.inference_mode()
def rate_read(assessor: AestheticAssessor, read: list[ReadPhoto[None]], batch_size: int) -> None:
    for start in range(0, len(read), batch_size):
        assessor.engine.rate(assessor.engine.encode(read[start : start + batch_size]), ["aesthetic"])


def seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SAMPLES, help="what the photos are made of (default: the sample photos)")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--server", help="address of a server of the embedded checkpoint")
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
        engines = measure_engines(assessor, photos, options.batch_sizes, options.server, options.concurrency, options.rounds)
    if options.output:
        result = {"load": load, "cores": os.cpu_count(), "threads": options.threads, "reading": reading, "engines": engines}
        options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
