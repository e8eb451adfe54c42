"""Learns from which rating on a flaw is told, saves it with the checkpoint, and examines it on other photos.

    python recipes/nano/flaws_exam.py --data DATA --work build/nano --model build/nano/final --save

Photos are rated as they are, and damaged by the edit that makes each flaw, at its strong amount and at the photo's full size:
    learning: one half, by the hash of their names, of the Unsplash photos among the held-out ones of BIQ2021 (288 pixels);
    reporting: the other half;
    large: undamaged photos of 1,600 pixels, which the alignment has seen without labels.
Thresholds are learned from the first, and all figures are of the others. A flaw is asked by default only where its AUC is high
enough for the first and for the large photos too: in photos of 288 pixels, what a damage of the frame does by the way, to
resample them and to blur the traces of encoding, tells more of it than the frame does.

Ratings are kept in WORK/flaw_ratings and read from there the next time. They take about 2,500 ratings of 20 flaws, a
quarter of an hour on a core.
"""

import argparse
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aesthetic_mllm import AestheticAssessor, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.evaluation.flaw_operating_points import examine_operating_points, learn_operating_points
from aesthetic_mllm.evaluation.flaw_ratings import FlawRatings, rate_flaws
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.tasks.suggesting import flaw_question
from data import quality_validation, read_quality

UNSPLASH = "ss03"
POOLS = {"learning": 18, "reporting": 40, "large": 25}  # photos that are damaged
FIGURES = ("auc", "recall", "named_first", "false_alarms")


def unsplash_halves(data: Path) -> tuple[list[Path], list[Path]]:
    """Nano's held-out Unsplash photos, undamaged as far as is known: to learn from, and to report on."""
    quality = read_quality(data, RatingScale())
    held_out = quality_validation(quality)
    paths = [photo.path for photo in quality if photo.name in held_out and photo.name.startswith(UNSPLASH)]
    paths.sort(key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())
    return paths[: len(paths) // 2], paths[len(paths) // 2 :]


def pool_ratings(data: Path, work: Path, model: str) -> dict[str, FlawRatings]:
    """The three pools' ratings, kept or new."""
    learning, reporting = unsplash_halves(data)
    photos = {"learning": learning, "reporting": reporting, "large": sorted((data / "photos_large").glob("*.webp"))}
    found, assessor = {}, None
    for pool, damaged in POOLS.items():
        path = work / "flaw_ratings" / f"{pool}.npz"
        if not path.exists():
            assessor = assessor or AestheticAssessor.from_pretrained(model)
            rate_flaws(assessor, photos[pool], damaged).save(path)
        found[pool] = FlawRatings.load(path)
    return found


def save_scale(model: Path, scale: RatingScale) -> None:
    """Puts a rating scale into a checkpoint's processor_config.json and leaves the rest of the file as it is."""
    path = model / "processor_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["rating_scale"] = scale.to_dict()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def table(scale: RatingScale, report: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a row for each flaw, shares in percent, the pools' figures side by side."""
    pools = list(report)
    head = [f"{figure.replace('_', ' ')}, {pool}" for pool in pools for figure in FIGURES]
    lines = [f"| flaw | threshold | {' | '.join(head)} |", "|---" * (len(head) + 2) + "|"]
    for flaw in report[pools[0]]["flaws"]:
        point = scale.operating_points[flaw_question(flaw)]
        cells = [flaw.replace("_", " "), f"{point.threshold:.1f}" if point.asked else "not asked"]
        for pool in pools:
            figures = report[pool]["flaws"][flaw]
            cells.append(f"{figures['auc']:.2f}")
            cells += [f"{figures[figure]:.0%}" if figure in figures else "-" for figure in FIGURES[1:]]
        lines.append(f"| {' | '.join(cells)} |")
    for pool, figures in report.items():
        lines.append(
            f"\n{pool}: {figures['told_anything']:.0%} of {figures['undamaged_photos']} undamaged photos are told anything, "
            f"{figures['flaws_told']:.2f} flaws on average; of the damaged ones {figures['named_first']:.0%} are told the right "
            f"flaw first, {figures['named_among_three']:.0%} among three."
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument(
        "--model", type=Path, default=embedded_checkpoint(), help="folder of the checkpoint (default: the embedded one)"
    )
    parser.add_argument("--save", action="store_true", help="save the operating points with the checkpoint")
    parser.add_argument("--output", type=Path, help="JSON file of the figures (default: WORK/flaws_exam.json)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    ratings = pool_ratings(arguments.data, arguments.work, str(arguments.model))
    scale = AestheticMLLMProcessor.from_pretrained(arguments.model).rating_scale
    points = learn_operating_points(ratings["learning"], [ratings["large"]], held_out=ratings["reporting"])
    scale = replace(scale, operating_points=points)
    if arguments.save:
        save_scale(arguments.model, scale)
    report = {pool: examine_operating_points(scale, ratings[pool]) for pool in ("reporting", "large")}
    output = arguments.output or arguments.work / "flaws_exam.json"
    output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    output.with_suffix(".md").write_text(table(scale, report) + "\n", encoding="utf-8")
    print(table(scale, report))


if __name__ == "__main__":
    main()
