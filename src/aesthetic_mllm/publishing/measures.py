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
    "rmse_unfitted": MeasureKind(
        "RMSE, unfitted", "Root mean square error of the ratings as they are, in points of the source's range.", 3, False, False
    ),
    "emd": MeasureKind(
        "EMD", "Earth mover's distance (r = 2) of the predicted distribution from people's votes, 0 to 1.", 3, False, False
    ),
    "spread_srcc": MeasureKind("SRCC of spreads", "Spearman's correlation of the predicted standard deviation with people's."),
    "spread_difference": MeasureKind(
        "spread, difference",
        "Predicted standard deviation less people's, in points of the source's range; 0 is best.",
        3,
        False,
        None,
    ),
    "coverage": MeasureKind(
        "votes in the middle 80%", "Share of people's votes within the predicted central 80%; 80% is best.", 1, True, None
    ),
    "partial_srcc": MeasureKind(
        "partial SRCC", "Spearman's correlation with people's ratings of the attribute, given their rating of the whole photo."
    ),
    "srcc_whole": MeasureKind(
        "SRCC, whole", "Spearman's correlation of an attribute with the rating of the whole photo.", 3, False, None
    ),
    "srcc_others": MeasureKind(
        "SRCC, others", "Spearman's correlation of an attribute with the mean of the others.", 3, False, None
    ),
    "srcc_among": MeasureKind("SRCC among", "Mean of the attributes' rank correlations with each other.", 3, False, None),
    "lowered": MeasureKind(
        "rated lower", "Share of damaged views rated lower in the attribute that the damage is about; chance is 50%.", 1, True
    ),
    "picked": MeasureKind("best picked", "Share of series whose best photo is picked.", 1, True),
    "picked_swapped": MeasureKind("best picked, swapped", "The same with the photos shown in the opposite order.", 1, True),
    "same_pick": MeasureKind("same pick", "Share of series of which the same photo is picked in both orders.", 1, True),
    "srcc_people": MeasureKind("SRCC a person", "Mean over people of the rank correlation with each person's own ratings."),
    "gain": MeasureKind("gain", "Mean rise of a person's rank correlation over k = 0."),
    "claim_precision": MeasureKind(
        "claims right", "Share of claims of comments that measurements of the photo bear out.", 1, True
    ),
    "claim_precision_elsewhere": MeasureKind(
        "claims right elsewhere", "The same of comments held against another photo: what chance gives.", 1, True, None
    ),
    "claims": MeasureKind("claims", "Claims that can be measured, a comment.", 2, False, None),
    "words": MeasureKind("words", "Words a comment.", 1, False, None),
    "distinct_2": MeasureKind("distinct-2", "Different pairs of words among all pairs of words of the comments."),
    "identical": MeasureKind("identical", "Share of comments that another photo's equals word for word.", 1, True, False),
    "shared_ngrams": MeasureKind(
        "words of people", "Share of comments with eight words in a row of what people wrote of other photos.", 1, True, False
    ),
    "bleu": MeasureKind("BLEU", "Corpus BLEU with people's comments on the same photos, 0 to 100 (sacrebleu).", 1),
    "cider": MeasureKind("CIDEr", "CIDEr-D with people's comments on the same photos, 0 to 10 (pycocoevalcap)."),
    "inverse_first": MeasureKind("undone by the first", "Share of damages whose inverse is the first suggestion.", 1, True),
    "inverse_in_three": MeasureKind(
        "undone by the first 3", "Share of damages whose inverse is among the first three suggestions.", 1, True
    ),
    "kindred_in_three": MeasureKind("much the same", "The same, an edit that does much the same counting too.", 1, True),
    "verified_first": MeasureKind("verified, first", "Share of damages whose inverse is the first verified suggestion.", 1, True),
    "verified_in_three": MeasureKind(
        "verified, first 3", "Share of damages whose inverse is among the first three verified suggestions.", 1, True
    ),
    "changed": MeasureKind("changed", "Share of damaged photos that verified suggestions change.", 1, True, None),
    "nearer": MeasureKind(
        "nearer",
        "Share of damaged photos that verified suggestions bring nearer to the undamaged one (PSNR or SSIM rises).",
        1,
        True,
    ),
    "nearer_of_changed": MeasureKind("nearer, of changed", "The same, of those that are changed.", 1, True),
    "told_nothing": MeasureKind("told nothing", "Share of undamaged photos without a suggestion.", 1, True),
    "left_alone": MeasureKind("left alone", "Share of undamaged photos that verified suggestions do not change.", 1, True),
    "judgement_change": MeasureKind(
        "judgement, change", "What verified suggestions add to the checkpoint's own rating of undamaged photos, in points.", 3
    ),
}


def kind_of(name: str) -> MeasureKind:
    """The kind of a figure by its name; one that is not in [`MEASURES`] is called by its name."""
    return MEASURES.get(name) or MeasureKind(name.replace("_", " "), "", higher_is_better=None)
