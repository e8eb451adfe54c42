"""Ratings beside people's: correlations, errors, distributions, by category; with the baselines "mean" and "ridge"."""

import logging
from collections.abc import Callable, Sequence

import numpy as np

from ...data.record import Record
from ...personalization.ridge import Ridge
from ...trainers.rating_metrics import logistic_fit
from ..distribution_metrics import earth_movers_distance, votes_covered
from ..resampling import Sampled, sampled_correlation, sampled_mean, sampled_pairs, sampled_rms, varies
from .bench import Bench, Finding
from .evaluated_data import EvaluatedData
from .features import TOWER, read_features
from .predictions import Predictions
from .system import System

logger = logging.getLogger(__name__)

RATINGS, ALL = "ratings", "all"
MEAN, RIDGE = "mean", "ridge"
FEWEST_OF_CATEGORY = 10
FEWEST_FITTED = 5  # photos: through fewer the logistic's four parameters, or its line, go almost exactly
FOLDS = 5  # of cross-validation, where the source has no training photos
BINS = 10  # of a calibration curve
# Sources whose publication reports the accuracy of two classes, and the mean rating above which a photo is of the better one.
TWO_CLASSES = {"ava": 5.0}


def predict_ratings(bench: Bench, system: System, data: EvaluatedData) -> list[Predictions]:
    """A checkpoint's ratings of all questions that people answered and it can answer."""
    scale = system.assessor.processor.rating_scale
    found = []
    for question in data.questions:
        if scale.nearest(question) not in scale.questions:
            bench.note(f"{system.name} is not asked about {data.name}: it does not answer the question {question!r}.")
            continue
        rated = bench.ratings(system, data)
        records = [record for record in data.rated(question) if data.key(record) in rated]
        if records:
            ratings = [rated[str(data.key(record))][scale.nearest(question)] for record in records]
            found.append(Predictions.of_ratings(data, question, system.name, records, ratings, scale))
    return found


def predict_baselines(bench: Bench, system: System, predictions: Predictions) -> list[Predictions]:
    """The mean of the training photos' ratings, and ridge regression on the checkpoint's frozen tower, of the same photos.

    Where the source has no training photos, each fifth of the photos is predicted from the others.
    """
    data, question = predictions.data, predictions.question
    asked = predictions.records
    known = [record for record in data.train(bench.sizes.train) if record.question == question and record.mean is not None]
    own = {str(data.key(record)): record for record in asked}
    label = f"{system.name}: features, {data.name}"
    seen = read_features(bench, system, own, label)
    if not all(key in seen for key in own):
        return []
    inputs = np.array([seen[str(data.key(record))][TOWER] for record in asked])
    found: list[tuple[str, np.ndarray, list[np.ndarray] | None]] = []
    if known:
        photos = data.keyed(known, fails=False)
        learned = read_features(bench, system, photos, f"{label}, training photos")
        rows = [(learned[key][TOWER], record) for key, record in photos.items() if key in learned]
        taught = [record for _, record in rows]
        fit = Ridge(np.array([row for row, _ in rows]), np.array([record.mean for record in taught]))
        found.append((RIDGE, fit(inputs), None))
        found.append((MEAN, np.full(len(asked), np.mean([record.mean for record in taught])), _mean_histogram(taught, asked)))
    elif len(asked) >= 2 * FOLDS:
        for name, predict in ((RIDGE, _ridge), (MEAN, _mean)):
            found.append((name, cross_validated(inputs, predictions.labels, predict), None))
    low, high = predictions.range
    return [
        Predictions(data, question, name, asked, np.clip(means, low, high), histograms=histograms, ranks=name != MEAN)
        for name, means, histograms in found
    ]


def cross_validated(
    inputs: np.ndarray, labels: np.ndarray, predict: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """What is predicted of each fifth of the rows from the others, [n]."""
    folds = np.random.default_rng(0).permutation(len(labels)) % FOLDS
    found = np.zeros(len(labels))
    for fold in range(FOLDS):
        found[folds == fold] = predict(inputs[folds != fold], labels[folds != fold], inputs[folds == fold])
    return found


def _ridge(known: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    return Ridge(known, labels)(asked)


def _mean(known: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    return np.full(len(asked), labels.mean())


def _mean_histogram(taught: Sequence[Record], asked: Sequence[Record]) -> list[np.ndarray] | None:
    """The mean of the training photos' histograms for each photo, where all have histograms of one length."""
    if {len(record.histogram) for record in (*taught, *asked)} != {len(asked[0].histogram)} or not asked[0].histogram:
        return None
    shares = [np.asarray(record.histogram, dtype=np.float64) / sum(record.histogram) for record in taught]
    return [np.mean(shares, axis=0)] * len(asked)


def rating_findings(predictions: Predictions) -> list[Finding]:
    """All figures of a system's predictions: of all photos, and of each category with photos enough."""
    records = predictions.records
    parts = {ALL: list(range(len(records)))}
    names = sorted({record.category for record in records if record.category})
    for name in names if len(names) > 1 else ():
        places = [place for place, record in enumerate(records) if record.category == name]
        if len(places) >= FEWEST_OF_CATEGORY:
            parts[name] = places
    fitted = np.full(len(records), predictions.labels.mean())
    if predictions.ranks:
        fitted = logistic_fit(predictions.means, predictions.labels)(predictions.means)
    return [
        Finding(
            RATINGS,
            predictions.data.name,
            predictions.question,
            part,
            predictions.system,
            len(places),
            "photos",
            _figures(predictions, fitted, np.array(places)),
        )
        for part, places in parts.items()
    ]


def _figures(predictions: Predictions, fitted: np.ndarray, places: np.ndarray) -> dict[str, Sampled]:
    means, labels = predictions.means[places], predictions.labels[places]
    records = [predictions.records[place] for place in places]
    found: dict[str, Sampled] = {}
    can_fit = len(places) >= FEWEST_FITTED and varies(labels)
    if predictions.ranks and varies(means) and varies(labels):
        found["srcc"] = sampled_correlation(means, labels, ranks=True)
        found["plcc"] = sampled_correlation(means, labels, ranks=False)
        if can_fit:
            found["plcc_logistic"] = sampled_correlation(fitted[places], labels, ranks=False)
        found |= sampled_pairs(means, labels)
    if can_fit:
        found["rmse"] = sampled_rms(fitted[places] - labels)
    found["rmse_unfitted"] = sampled_rms(means - labels)
    threshold = TWO_CLASSES.get(predictions.data.source.name)
    if threshold is not None:
        found["accuracy"] = sampled_mean((means > threshold) == (labels > threshold))
    if predictions.histograms is not None and all(record.histogram for record in records):
        pairs = zip((predictions.histograms[place] for place in places), records, strict=True)
        found["emd"] = sampled_mean([earth_movers_distance(given, record.histogram) for given, record in pairs])
    return found | _spread_figures(predictions, records, places)


def _spread_figures(predictions: Predictions, records: Sequence[Record], places: np.ndarray) -> dict[str, Sampled]:
    """How well the predicted standard deviation agrees with how people differ."""
    if predictions.stds is None:
        return {}
    found, stds = {}, predictions.stds[places]
    spreads = [record.spread for record in records]
    if None not in spreads and len(spreads) > 1:
        given = np.array(spreads, dtype=np.float64)
        if varies(stds) and varies(given):
            found["spread_srcc"] = sampled_correlation(stds, given, ranks=True)
        found["spread_difference"] = sampled_mean(stds - given)
    if all(record.histogram for record in records):
        rows = zip(predictions.means[places], stds, records, strict=True)
        covered = [votes_covered(mean, std, record.histogram, predictions.range) for mean, std, record in rows]
        found["coverage"] = sampled_mean(covered)
    return found


def calibration_curves(predictions: Predictions) -> dict[str, list[dict[str, float | int]]]:
    """Mean rating and people's mean in tenths of the photos by rating; the same of the spread, where both have one."""
    curves = {"calibration": _bins(predictions.means, predictions.labels)}
    spreads = [record.spread for record in predictions.records]
    if predictions.stds is not None and None not in spreads:
        curves["spread"] = _bins(predictions.stds, np.array(spreads, dtype=np.float64))
    return curves


def _bins(rated: np.ndarray, given: np.ndarray) -> list[dict[str, float | int]]:
    order = np.argsort(rated, kind="stable")
    parts = [part for part in np.array_split(order, min(BINS, len(order))) if len(part)]
    return [{"rated": float(rated[part].mean()), "given": float(given[part].mean()), "count": len(part)} for part in parts]
