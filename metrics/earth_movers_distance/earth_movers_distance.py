"""The earth mover's distance of distributions of ratings, as a module of `evaluate`.

evaluate.load("metrics/earth_movers_distance").compute(predictions=[[...], ...], references=[[...], ...])
"""

import datasets
import evaluate

from aesthetic_mllm.evaluation.distribution_metrics import earth_movers_distance


class EarthMoversDistance(evaluate.Metric):
    """The mean over photos of the distance between a predicted histogram and people's."""

    def _info(self):
        histogram = datasets.List(datasets.Value("float64"))
        return evaluate.MetricInfo(
            description="Mean earth mover's distance of predicted distributions of ratings from people's, 0 to 1.",
            citation="",
            inputs_description="For each photo shares or counts of the same steps, worst first; `power` is 2 as NIMA reports it.",
            features=datasets.Features({"predictions": histogram, "references": histogram}),
        )

    def _compute(self, predictions, references, power=2):
        distances = [earth_movers_distance(*pair, power=power) for pair in zip(predictions, references, strict=True)]
        return {"emd": sum(distances) / len(distances)}
