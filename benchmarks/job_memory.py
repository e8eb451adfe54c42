"""Memory and rate of a job over time: many rows, a tiny random checkpoint, so that what is not the model's shows.

    python benchmarks/job_memory.py [--rows 200000] [--output job_memory.json]

The photos are small JPEG files repeated in tar archives of 10,000. Prints resident memory and rate as it goes, writes them as
JSON and as a plot beside it. Memory is flat where the last half of the rows adds next to nothing to it.
"""

import argparse
import io
import itertools
import json
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.jobs.rating_job import RatingJob, Reading
from aesthetic_mllm.jobs.sources import find_sources
from aesthetic_mllm.jobs.table import Request
from aesthetic_mllm.trainers.tiny import tiny_model

ROWS_AN_ARCHIVE, DIFFERENT, POINTS = 10_000, 64, 200
PAGE = 4096


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def write_archives(folder: Path, rows: int) -> list[str]:
    """Archives with so many photos in all, of which few are different."""
    chance = np.random.default_rng(0)
    files = []
    for _ in range(DIFFERENT):
        buffer = io.BytesIO()
        Image.fromarray(chance.integers(0, 256, (48, 64, 3), np.uint8)).save(buffer, "JPEG")
        files.append(buffer.getvalue())
    names = []
    for first in range(0, rows, ROWS_AN_ARCHIVE):
        names.append(str(folder / f"{first // ROWS_AN_ARCHIVE:05}.tar"))
        with tarfile.open(names[-1], "w") as archive:
            for row in range(first, min(first + ROWS_AN_ARCHIVE, rows)):
                member = tarfile.TarInfo(f"{row:09}.jpg")
                member.size = len(files[row % DIFFERENT])
                archive.addfile(member, io.BytesIO(files[row % DIFFERENT]))
    return names


def plot(points: list[dict[str, float]], path: Path) -> None:
    """Memory and rate above the rows, one chart over the other."""
    width, height, left, gap = 900, 260, 70, 50
    picture = Image.new("RGB", (width, 2 * height), "white")
    draw = ImageDraw.Draw(picture)
    most_rows = points[-1]["rows"]
    for place, (key, title, colour) in enumerate(
        [("megabytes", "resident memory, MB", "#1f5fa8"), ("per_second", "photos a second", "#b3541e")]
    ):
        top, bottom = place * height + gap, (place + 1) * height - 30
        highest = max(point[key] for point in points) * 1.1
        for share in (0, 0.25, 0.5, 0.75, 1):
            y = bottom - share * (bottom - top)
            draw.line([(left, y), (width - 20, y)], fill="#dddddd")
            draw.text((8, y - 6), f"{share * highest:,.0f}", fill="black")
        line = [
            (left + point["rows"] / most_rows * (width - 20 - left), bottom - point[key] / highest * (bottom - top))
            for point in points
        ]
        draw.line(line, fill=colour, width=3)
        draw.text((left, place * height + 20), title, fill="black")
        for share in (0, 0.5, 1):
            draw.text((left + share * (width - 90 - left), bottom + 6), f"{share * most_rows:,.0f} rows", fill="black")
    picture.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--output", type=Path, default=Path("job_memory.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    points: list[dict[str, float]] = []
    last = {"rows": 0.0, "seconds": 0.0}
    rows = 0
    with tempfile.TemporaryDirectory() as folder:
        sources = find_sources(write_archives(Path(folder), options.rows))
        assessor = AestheticAssessor(*tiny_model())
        job = RatingJob(
            assessor, Request.scores(assessor), Path(folder, "ratings.parquet"), reading=Reading(batch_size=options.batch_size)
        )
        begun = time.perf_counter()
        marks = itertools.count(options.rows // POINTS, max(1, options.rows // POINTS))
        mark = next(marks)

        def progress(more: int) -> None:
            nonlocal rows, mark
            rows += more
            if rows < mark:
                return
            mark = next(marks)
            now = {"rows": float(rows), "seconds": time.perf_counter() - begun}
            rate = (now["rows"] - last["rows"]) / (now["seconds"] - last["seconds"])
            points.append({**now, "megabytes": resident_megabytes(), "per_second": rate})
            last.update(now)
            if len(points) % 10 == 1:
                print(f"{rows:9,} rows  {points[-1]['megabytes']:7.1f} MB  {rate:7.1f}/s", flush=True)

        summary = job.run(sources, progress=progress)
        seconds, after = time.perf_counter() - begun, resident_megabytes()
    half = points[len(points) // 2]
    found = {
        "rows": summary.rated,
        "seconds": seconds,
        "megabytes_at_half": half["megabytes"],
        "megabytes_at_end": points[-1]["megabytes"],
        "megabytes_after_consolidation": after,
        "points": points,
    }
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    plot(points, options.output.with_suffix(".png"))
    print(
        f"{summary.rated:,} rows in {seconds:.0f} s; {half['megabytes']:.1f} MB at half, {points[-1]['megabytes']:.1f} MB at the "
        f"end, {after:.1f} MB after the shards were joined"
    )


if __name__ == "__main__":
    main()
