"""What the alignment is worth: ratings learned from few labels, from aligned and from unaligned weights.

    python recipes/nano/label_efficiency.py --data DATA --work build/nano --output build/nano/label_efficiency.json

The alignment module and a linear head on each group of tokens learn technical quality from a share of the BIQ2021 labels, as in
the recipe's first stage with ratings, but with the tower frozen and with nothing beside the labels. SRCC on the 1,000 validation
photos, for several draws of the labels; beside it ridge regression on the tower's pooled features, with the same labels. Runs
that are in the output file already are not repeated.
"""

import argparse
import json
import logging
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticMLLMForConditionalGeneration
from aesthetic_mllm.processing.rating_scale import RatingScale
from data import RatedPhoto, quality_validation, read_beauty, read_quality
from features import FeatureCache, UpperTower
from judge import ALIGNED
from ridge import ridge_predict
from unaligned import QUALITY_GROUP, UNALIGNED, rows_of
from warm_start import ALL, BATCH_SIZE, WarmStart

logger = logging.getLogger("nano.label_efficiency")

SHARES = (0.05, 0.1, 1.0)
# Enough for the loss to settle; the same from both starts.
STEPS = {0.05: 80, 0.1: 120, 1.0: 400}
LEARNING_RATE = 5e-4
RIDGE_ALPHAS = (1e2, 3e2, 1e3, 3e3, 1e4)


def drawn(photos: Sequence[RatedPhoto], share: float, seed: int) -> list[RatedPhoto]:
    """The photos whose labels are known."""
    return random.Random(seed).sample(list(photos), round(share * len(photos)))


def best_ridge(known: list[RatedPhoto], asked: list[RatedPhoto], cache: FeatureCache) -> float:
    """SRCC of the best of [`RIDGE_ALPHAS`], chosen on the photos asked for, which favours it."""
    labels = np.array([photo.mean for photo in known])
    wanted = [photo.mean for photo in asked]
    features, queries = cache.pooled_of(known), cache.pooled_of(asked)
    return max(float(spearmanr(ridge_predict(features, labels, queries, alpha), wanted)[0]) for alpha in RIDGE_ALPHAS)


def learned(folder: Path, known: list[RatedPhoto], asked: list[RatedPhoto], cache: FeatureCache, steps: int, seed: int) -> dict:
    """SRCC of each group's head, and of all together, after training from a checkpoint."""
    set_seed(seed)  # new heads
    rng = random.Random(seed)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.model.vision_tower = UpperTower(model.model.vision_tower)
    start = WarmStart(model, cache.pixels, RatingScale())
    rows: list[dict] = []
    while len(rows) < steps * BATCH_SIZE:
        rows += rows_of(rng.sample(known, len(known)), "quality", QUALITY_GROUP, rng)
    start.train(rows[: steps * BATCH_SIZE], learning_rate=LEARNING_RATE)
    return start.correlations(rows_of(asked, "quality", QUALITY_GROUP, None), "quality")


def table(report: dict) -> str:
    """Mean and spread over seeds as Markdown."""
    lines = ["| labels | unaligned | aligned | gain | ridge |", "|---|---|---|---|---|"]
    for share in SHARES:
        runs = [run for run in report.values() if run["share"] == share and {"unaligned", "aligned"} <= run.keys()]
        if not runs:
            continue
        found = {name: np.array([run[name][ALL] for run in runs]) for name in ("unaligned", "aligned")}
        found["ridge"] = np.array([run["ridge"] for run in runs])
        told = {name: f"{values.mean():.3f} ± {values.std():.3f}" for name, values in found.items()}
        gain = found["aligned"] - found["unaligned"]
        told["gain"] = f"{gain.mean():+.3f} ± {gain.std():.3f}"
        cells = [f"{share:.0%} ({len(runs)} draws)", *(told[name] for name in ("unaligned", "aligned", "gain", "ridge"))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--shares", type=float, nargs="*", choices=SHARES, default=SHARES)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    scale = RatingScale()
    photos, beauty = read_quality(arguments.data, scale), read_beauty(arguments.data, scale)
    names = quality_validation(photos)
    known, asked = ([photo for photo in photos if (photo.name in names) is held_out] for held_out in (False, True))
    cache = FeatureCache(arguments.work, photos + beauty)
    report = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for share in arguments.shares:
        for seed in arguments.seeds:
            labelled = drawn(known, share, seed)
            run = report.setdefault(f"{share}:{seed}", {"share": share, "seed": seed})
            if "ridge" not in run:
                run["ridge"] = best_ridge(labelled, asked, cache)
            for name, folder in (("unaligned", UNALIGNED), ("aligned", ALIGNED)):
                if name not in run:
                    run[name] = learned(arguments.work / folder, labelled, asked, cache, STEPS[share], seed)
                    logger.info("%.0f%% of the labels, draw %d, %s: SRCC %.3f", 100 * share, seed, name, run[name][ALL])
                arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(report))


if __name__ == "__main__":
    main()
