"""What a start is worth where labels are few: the same training from several starts, with shares of the labels.

How a start learns is the caller's business; here are the draws, which are the same for every start, and what they come to.
"""

import logging
import random
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from ..personalization.ridge import Ridge
from ..trainers.rating_metrics import rank_correlation

logger = logging.getLogger(__name__)

SHARES = (0.05, 0.1, 1.0)
SEEDS = (0, 1, 2)

# Places of the photos whose labels are known, and a seed -> SRCC on the photos that are asked about.
Learner = Callable[[list[int], int], float]


def evaluate_label_efficiency(
    learners: Mapping[str, Learner],
    photos: int,
    shares: Sequence[float] = SHARES,
    seeds: Sequence[int] = SEEDS,
    runs: MutableMapping[str, dict[str, Any]] | None = None,
    finished: Callable[[Mapping[str, dict[str, Any]]], None] = lambda runs: None,
) -> dict[str, dict[str, Any]]:
    """Runs every learner with every share of the labels and every seed.

    Args:
        learners: by name.
        photos: number of labelled photos that shares are drawn of.
        shares: 0 to 1.
        seeds: of the draws, and of whatever the learners draw.
        runs: of an earlier call, which are not repeated.
        finished: called after each run with all that are there, to keep them.

    Returns:
        By share and seed the SRCC of every learner.
    """
    found: dict[str, dict[str, Any]] = dict(runs or {})
    for share in shares:
        for seed in seeds:
            known = draw_labels(photos, share, seed)
            run = found.setdefault(f"{share}:{seed}", {"share": share, "seed": seed})
            for name, learn in learners.items():
                if name not in run:
                    run[name] = learn(known, seed)
                    logger.info("%.0f%% of the labels, draw %d, %s: SRCC %.3f", 100 * share, seed, name, run[name])
                    finished(found)
    return found


def draw_labels(photos: int, share: float, seed: int) -> list[int]:
    """Places of the photos whose labels are known."""
    return random.Random(seed).sample(range(photos), round(share * photos))


def ridge_learner(features: np.ndarray, labels: Sequence[float], asked: np.ndarray, wanted: Sequence[float]) -> Learner:
    """Ridge regression, its strength chosen by leave-one-out error.

    Args:
        features: [N, F] of the photos that labels are drawn of, whose labels are `labels`.
        asked: [M, F] of those that are asked about, whose labels are `wanted`.
    """
    predict = ridge_predictor(features, labels, asked)
    return lambda known, seed: rank_correlation(predict(known), wanted)


def ridge_predictor(features: np.ndarray, labels: Sequence[float], asked: np.ndarray) -> Callable[[list[int]], np.ndarray]:
    """What ridge regression predicts for `asked`, [M], from the photos whose places are known; arguments as of [`ridge_learner`].

    The same photos in another order are not learned from again.
    """
    given = np.asarray(labels, dtype=np.float64)
    found: dict[tuple[int, ...], np.ndarray] = {}

    def predict(known: list[int]) -> np.ndarray:
        places = tuple(sorted(known))
        if places not in found:
            rows = list(places)
            found[places] = Ridge(features[rows], given[rows])(asked)
        return found[places]

    return predict


def label_efficiency_table(runs: Mapping[str, Mapping[str, Any]], gain: tuple[str, str] | None = None) -> str:
    """Mean and standard deviation over seeds as Markdown; `gain` names two learners whose difference is shown too."""
    names = [name for name in next(iter(runs.values())) if name not in ("share", "seed")]
    head = [*names, *([f"{gain[1]} less {gain[0]}"] if gain else [])]
    lines = [f"| labels | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for share in sorted({run["share"] for run in runs.values()}):
        of_share = [run for run in runs.values() if run["share"] == share and set(names) <= run.keys()]
        if not of_share:
            continue
        found = {name: np.array([run[name] for run in of_share]) for name in names}
        cells = [f"{values.mean():.3f} ± {values.std():.3f}" for values in found.values()]
        if gain:
            apart = found[gain[1]] - found[gain[0]]
            cells.append(f"{apart.mean():+.3f} ± {apart.std():.3f}")
        lines.append(f"| {share:.0%} ({len(of_share)} draws) | {' | '.join(cells)} |")
    return "\n".join(lines)
