"""What the figures of a report are called, how they are written, and what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass

from .report import Measure


@dataclass(frozen=True)
class MeasureKind:
    """A kind of figure.

    Args:
        label: in tables.
        meaning: in a sentence.
        decimals: that are written; of shares, in percent.
        is_share: whether it is 0 to 1 and written in percent.
        higher_is_better: `None`: neither.
    """

    label: str
    meaning: str
    decimals: int = 3
    is_share: bool = False
    higher_is_better: bool | None = True

    def write(self, measure: Measure, signed: bool = False) -> str:
        """Such as "0.838 (0.820 to 0.853)"."""
        interval = self.write_interval(measure, signed)
        return self.write_value(measure, signed) + (f" ({interval})" if interval else "")

    def write_value(self, measure: Measure, signed: bool = False) -> str:
        """Such as "0.838"."""
        return self._number(measure.value, signed) + ("%" if self.is_share else "")

    def write_interval(self, measure: Measure, signed: bool = False) -> str:
        """Such as "0.820 to 0.853"; empty where there is none."""
        return "" if measure.interval is None else " to ".join(self._number(end, signed) for end in measure.interval)

    def _number(self, value: float, signed: bool) -> str:
        return f"{100 * value if self.is_share else value:{'+' if signed else ''}.{self.decimals}f}"


MEASURES: Mapping[str, MeasureKind] = {
    "srcc": MeasureKind("SRCC", "Spearman's rank correlation with people's mean ratings."),
    "plcc": MeasureKind("PLCC", "Pearson's linear correlation with people's mean ratings."),
    "plcc_logistic": MeasureKind("PLCC, logistic", "PLCC after a 4-parameter logistic function was fitted (VQEG)."),
    "krcc": MeasureKind("KRCC", "Kendall's rank correlation (tau-b)."),
    "rmse": MeasureKind(
        "RMSE", "Root mean square error after the logistic fit, in points of the source's range.", 3, False, False
    ),
    "pairwise_accuracy": MeasureKind(
        "pairs in order", "Share of pairs of photos with different ratings that are ordered as people do.", 1, True
    ),
    "accuracy": MeasureKind("accuracy", "Share of photos put on the right side of the middle of the range.", 1, True),
}


def kind_of(name: str) -> MeasureKind:
    """The kind of a figure by its name; one that is not in [`MEASURES`] is called by its name."""
    return MEASURES.get(name) or MeasureKind(name.replace("_", " "), "", higher_is_better=None)
