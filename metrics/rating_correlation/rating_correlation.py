"""How well predicted ratings agree with people's, as a module of `evaluate`.

evaluate.load("metrics/rating_correlation").compute(predictions=[...], references=[...])
"""

import datasets
import evaluate

from aesthetic_mllm.trainers import rating_metrics

FIGURES = {
    "srcc": rating_metrics.rank_correlation,
    "plcc": rating_metrics.linear_correlation,
    "plcc_fitted": rating_metrics.fitted_correlation,
    "krcc": rating_metrics.kendall_correlation,
    "rmse": rating_metrics.root_mean_square_error,
    "rmse_fitted": rating_metrics.fitted_error,
    "pairwise_accuracy": rating_metrics.pairwise_accuracy,
}


class RatingCorrelation(evaluate.Metric):
    """The figures of [`rating_metrics`], all of them or those named in `figures`."""

    def _info(self):
        value = datasets.Value("float64")
        return evaluate.MetricInfo(
            description="Spearman's, Pearson's (also after a 4-parameter logistic fit) and Kendall's correlation, RMSE (also "
            "after the fit) and pairwise accuracy of predicted ratings.",
            citation="",
            inputs_description=f"Predicted ratings, people's mean ratings, and which figures are wanted of {', '.join(FIGURES)}.",
            features=datasets.Features({"predictions": value, "references": value}),
        )

    def _compute(self, predictions, references, figures=tuple(FIGURES)):
        return {name: FIGURES[name](predictions, references) for name in figures}
