"""What features are worth where labels are few: ridge regression on the checkpoint's visual tokens, beside those of an unaligned
start, and beside the bare tower."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...trainers.rating_metrics import rank_correlation
from ..eval_label_efficiency import SHARES, Learner, evaluate_label_efficiency, ridge_predictor
from ..resampling import Sampled, sampled_correlation, varies
from .bench import Bench, Finding
from .evaluated_data import EvaluatedData
from .features import TOKENS, TOWER, UNALIGNED, read_features
from .system import System

LABEL_EFFICIENCY = "label_efficiency"
FEWEST_LABELS = 20  # of the smallest share


def label_findings(bench: Bench, system: System, data: EvaluatedData) -> list[Finding]:
    """SRCC on the photos that are asked about, from 5, 10 and 100% of the training photos' labels; the mean over draws."""
    findings: list[Finding] = []
    for question in data.questions:
        known = [record for record in data.train(bench.sizes.train) if record.question == question and record.mean is not None]
        asked = data.rated(question)
        if len(known) < 2 or len(asked) < 3:
            bench.note(f"{data.name} has no training photos, so nothing is said of few labels.")
            continue
        if not varies([record.mean or 0.0 for record in asked]):
            bench.note(f"{data.name}: people rated all photos the same, so nothing is said of few labels.")
            continue
        label = f"{system.name}: features, {data.name}"
        photos, training = data.keyed(asked), data.keyed(known, fails=False)
        seen = read_features(bench, system, photos, label)
        taught = read_features(bench, system, training, f"{label}, training photos")
        rows = [key for key in photos if key in seen]
        rated = [key for key in training if key in taught]
        wanted = np.array([photos[key].mean for key in rows], dtype=np.float64)
        labels = np.array([training[key].mean for key in rated], dtype=np.float64)
        starts = {system.name: TOKENS, f"unaligned, {system.name}": UNALIGNED, f"tower, {system.name}": TOWER}
        predictors = {
            name: ridge_predictor(
                np.array([taught[key][kind] for key in rated]), labels.tolist(), np.array([seen[key][kind] for key in rows])
            )
            for name, kind in starts.items()
        }
        shares = [share for share in SHARES if round(share * len(rated)) >= min(FEWEST_LABELS, len(rated))]
        for (name, share), figure in learned(predictors, wanted, len(rated), shares, bench.sizes.label_draws).items():
            part = f"{share:.0%} of the labels"
            findings.append(Finding(LABEL_EFFICIENCY, data.name, question, part, name, len(rows), "photos", {"srcc": figure}))
    return findings


def learned(
    predictors: Mapping[str, Callable[[list[int]], np.ndarray]],
    wanted: np.ndarray,
    photos: int,
    shares: Sequence[float],
    draws: int,
) -> dict[tuple[str, float], Sampled]:
    """SRCC by learner and share of the labels, the mean over draws; the interval is of other photos to ask about.

    Args:
        predictors: of the photos that are asked about, [M], from places of known ones.
        wanted: people's ratings of them, [M].
        photos: that labels are drawn of.
    """
    predicted: dict[tuple[str, int], list[np.ndarray]] = {}

    def learner(name: str) -> Learner:
        def learn(places: list[int], seed: int) -> float:
            found = predictors[name](places)
            predicted.setdefault((name, len(places)), []).append(found)
            return rank_correlation(found, wanted)

        return learn

    evaluate_label_efficiency({name: learner(name) for name in predictors}, photos, shares, range(draws))
    return {
        (name, share): _mean([sampled_correlation(each, wanted, ranks=True) for each in predicted[name, round(share * photos)]])
        for share in shares
        for name in predictors
    }


def _mean(draws: list[Sampled]) -> Sampled:
    values = [draw.values for draw in draws if draw.values is not None]
    return Sampled(float(np.mean([draw.value for draw in draws])), np.mean(values, axis=0) if values else None)
