"""What lmms-eval calls for the task `aesthetic_rating`: the question, the number in the answer, and the correlations of all.

An answer without a number of the range is no rating. It is left out of the correlations and counted in `answered`.
"""

import math
import re

from scipy.stats import pearsonr, spearmanr

WHAT = {"aesthetic": "aesthetic quality", "quality": "technical quality"}


def doc_to_visual(doc):
    return [doc["image"].convert("RGB")]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    what = WHAT.get(doc["question"], doc["question"].replace("_", " "))
    return (
        f"How would you rate the {what} of this photo? "
        f"Answer with one number from {doc['range_low']:g} (worst) to {doc['range_high']:g} (best)."
    )


def process_results(doc, results):
    """One photo's prediction and people's mean; the prediction is None where the answer is no rating."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", results[0])
    predicted = float(numbers[0]) if numbers else math.nan
    if not doc["range_low"] <= predicted <= doc["range_high"]:
        predicted = None
    pair = {"predicted": predicted, "wanted": doc["mean"]}
    return {"srcc": pair, "plcc": pair, "answered": float(predicted is not None)}


def srcc(pairs):
    return _correlation(spearmanr, pairs)


def plcc(pairs):
    return _correlation(pearsonr, pairs)


def _correlation(function, pairs):
    """0 where it is not defined, because there are fewer than two ratings or all are equal."""
    told = [(pair["predicted"], pair["wanted"]) for pair in pairs if pair["predicted"] is not None]
    predicted, wanted = zip(*told, strict=True) if told else ((), ())
    if len(set(predicted)) < 2 or len(set(wanted)) < 2:
        return 0.0
    return float(function(predicted, wanted).statistic)
