"""The most that lessons can be worth to ratings: the frozen tower beside the truth of all that measured lessons tell.

    python recipes/nano/lessons_worth.py --data DATA --work build/nano --output build/nano/lessons_worth.json

Alignment can at best make an alignment module read every measured attribute without a mistake. So ridge regression is given the
measurements themselves beside the tower's pooled features, for several draws of a share of the BIQ2021 labels (those of
`label_efficiency.py`); SRCC on the 1,000 validation photos. Beside it kernel ridge regression on the measurements alone, and
the mean of what both say. All their numbers are chosen on the photos that are asked about, which favours every row alike.
"""

import argparse
import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy.stats import norm, rankdata, spearmanr

from aesthetic_mllm.editing.measurements import MEASUREMENTS, measure
from aesthetic_mllm.pretext.lesson_dataset import load_photo
from aesthetic_mllm.processing.rating_scale import RatingScale
from data import RatedPhoto, quality_validation, read_beauty, read_quality
from features import FeatureCache
from label_efficiency import RIDGE_ALPHAS, drawn
from ridge import ridge_predict

WEIGHTS = (1.0, 2.0, 4.0, 8.0)  # of a measurement beside a standardised feature of the tower
KERNEL_WIDTHS, KERNEL_ALPHAS = (0.003, 0.01, 0.03), (0.1, 0.3, 1.0, 3.0)
MIXED = (0.1, 0.2, 0.3, 0.4)


def measured(path: str) -> list[float]:
    """All measurements of a photo."""
    values = measure(load_photo(path), list(MEASUREMENTS))
    return [values[name] for name in MEASUREMENTS]


def normal_scores(values: np.ndarray) -> np.ndarray:
    """[N, M] -> [N, M]: each measurement by its rank, normally distributed; what cannot be measured is in the middle."""
    filled = np.where(np.isfinite(values), values, np.nanmedian(np.where(np.isfinite(values), values, np.nan), axis=0))
    return np.asarray(norm.ppf((np.apply_along_axis(rankdata, 0, filled) - 0.5) / len(filled)))


def weighted_ridge(known: np.ndarray, targets: np.ndarray, asked: np.ndarray, alpha: float) -> np.ndarray:
    """As `ridge_predict`, but features keep the scale that they come in."""
    kernel = known @ known.T + alpha * np.eye(len(known))
    return asked @ (known.T @ np.linalg.solve(kernel, targets - targets.mean())) + targets.mean()


def kernel_ridge(known: np.ndarray, targets: np.ndarray, asked: np.ndarray, width: float, alpha: float) -> np.ndarray:
    """With the kernel exp(-width * distance^2)."""

    def kernel(first: np.ndarray) -> np.ndarray:
        squares = (first**2).sum(1)[:, None] + (known**2).sum(1)[None] - 2 * first @ known.T
        return np.exp(-width * squares)

    weights = np.linalg.solve(kernel(known) + alpha * np.eye(len(known)), targets - targets.mean())
    return kernel(asked) @ weights + targets.mean()


def best(predictions: Iterable[np.ndarray], wanted: np.ndarray) -> tuple[float, np.ndarray]:
    """The highest SRCC, and the predictions that have it."""
    return max(((float(spearmanr(told, wanted)[0]), told) for told in predictions), key=lambda one: one[0])


def worth(
    tower: tuple[np.ndarray, np.ndarray], truth: tuple[np.ndarray, np.ndarray], labels: np.ndarray, wanted: np.ndarray
) -> dict[str, float]:
    """SRCC of the tower's features, of the measurements, and of both.

    Args:
        tower, truth: [N, F] of the photos whose labels are known, and [M, F] of those that are asked about.
        labels: [N].
        wanted: [M].
    """
    (known, asked), (told, asked_told) = tower, truth
    alone, of_tower = best((ridge_predict(known, labels, asked, alpha) for alpha in RIDGE_ALPHAS), wanted)
    measurements, of_truth = best(
        (kernel_ridge(told, labels, asked_told, width, alpha) for width in KERNEL_WIDTHS for alpha in KERNEL_ALPHAS), wanted
    )
    mean, deviation = known.mean(0), known.std(0) + 1e-6

    def joined(features: np.ndarray, scores: np.ndarray, weight: float) -> np.ndarray:
        # squares, for a measurement may be best in the middle
        return np.hstack([(features - mean) / deviation, weight * scores, weight * (scores**2 - 1)])

    both, _ = best(
        (
            weighted_ridge(joined(known, told, weight), labels, joined(asked, asked_told, weight), alpha)
            for weight in WEIGHTS
            for alpha in RIDGE_ALPHAS
        ),
        wanted,
    )
    mixed, _ = best(((1 - share) * of_tower + share * of_truth for share in MIXED), wanted)
    return {"tower": alone, "measurements": measurements, "tower and measurements": both, "mean of what both say": mixed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--shares", type=float, nargs="*", default=[0.05, 0.1])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    scale = RatingScale()
    photos, beauty = read_quality(arguments.data, scale), read_beauty(arguments.data, scale)
    names = quality_validation(photos)
    known, asked = ([photo for photo in photos if (photo.name in names) is held_out] for held_out in (False, True))
    draws = {(share, seed): drawn(known, share, seed) for share in arguments.shares for seed in arguments.seeds}
    wanted = {photo.name: photo for part in (asked, *draws.values()) for photo in part}
    with ProcessPoolExecutor() as workers:
        values = list(workers.map(measured, [str(photo.path) for photo in wanted.values()], chunksize=16))
    scores = dict(zip(wanted, normal_scores(np.array(values, dtype=float)), strict=True))
    cache = FeatureCache(arguments.work, photos + beauty)

    def seen(part: list[RatedPhoto]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        told = np.array([scores[photo.name] for photo in part])
        return cache.pooled_of(part).astype(np.float64), told, np.array([photo.mean for photo in part])

    features, truth, ratings = seen(asked)
    report: dict[str, dict[str, dict[str, float]]] = {}
    for share in arguments.shares:
        runs = []
        for seed in arguments.seeds:
            known_features, known_truth, labels = seen(draws[share, seed])
            runs.append(worth((known_features, features), (known_truth, truth), labels, ratings))
        report[str(share)] = {
            name: {"srcc": float(np.mean([run[name] for run in runs])), "spread": float(np.std([run[name] for run in runs]))}
            for name in runs[0]
        }
        told = ", ".join(f"{name} {found['srcc']:.3f} ± {found['spread']:.3f}" for name, found in report[str(share)].items())
        print(f"{share:.0%} of the labels, {len(runs)} draws: {told}", flush=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
