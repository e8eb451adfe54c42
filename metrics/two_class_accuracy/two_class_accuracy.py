"""How many photos are put on the right side of a threshold, as a module of `evaluate`.

evaluate.load("metrics/two_class_accuracy").compute(predictions=[...], references=[...], threshold=5)
"""

import datasets
import evaluate

from aesthetic_mllm.trainers import rating_metrics


class TwoClassAccuracy(evaluate.Metric):
    """AVA's accuracy: good are the photos whose mean lies above the threshold, bad all others."""

    def _info(self):
        value = datasets.Value("float64")
        return evaluate.MetricInfo(
            description="Share of photos whose predicted rating lies on the same side of a threshold as people's mean.",
            citation="",
            inputs_description="Predicted ratings and people's mean ratings on one range; `threshold` is 5, AVA's on 1 to 10.",
            features=datasets.Features({"predictions": value, "references": value}),
        )

    def _compute(self, predictions, references, threshold=5.0):
        return {"two_class_accuracy": rating_metrics.two_class_accuracy(predictions, references, threshold)}
