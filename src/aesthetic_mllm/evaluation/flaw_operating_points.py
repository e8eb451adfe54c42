"""From which rating on a flaw is told, learned from photos, and how well that works on others.

ratings = rate_flaws(assessor, photos, damaged=50)
points = learn_operating_points(ratings)
assessor.processor.rating_scale = replace(assessor.processor.rating_scale, operating_points=points)
assessor.processor.save_pretrained(...)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from ..processing.rating_scale import OperatingPoint, Rating, RatingScale
from ..tasks.suggesting import MOST_SUGGESTIONS, asked_flaws, flaw_question, told_flaws
from .flaw_ratings import WHOLE, FlawRatings

FALSE_ALARMS = 0.01  # share of undamaged photos that may be told a flaw; on other photos it comes out up to three times as high
# A flaw with a lower AUC is not asked by default: the first counts for the photos that are learned from, the second for any other
# pool, which may be small and of another kind and need only be well above chance.
LEAST_AUC, LEAST_AUC_ELSEWHERE = 0.75, 0.65
DECIMALS = 4
FIGURES = ("auc", "recall", "named_first", "false_alarms")  # of a flaw, in tables


class OperatingPointError(ValueError):
    """Photos from which no operating points can be learned."""


def learn_operating_points(
    learning: FlawRatings,
    others: Sequence[FlawRatings] = (),
    held_out: FlawRatings | None = None,
    false_alarms: float = FALSE_ALARMS,
) -> dict[str, OperatingPoint]:
    """Operating points by question.

    Damaging a small photo leaves traces of its own: a tilt of any angle resamples it, and a model may have learned to see that
    and not the tilt. So a flaw is asked by default only where its AUC is high enough for every pool; let one of them be of photos
    much larger than the model's canvas.

    A flaw is told where a photo's rating is unusually low, and nearer to that of damaged photos than to the usual one. The first
    alone takes next to nothing for a flaw where undamaged photos are all rated alike.

    Args:
        learning: thresholds are learned from it.
        others: further pools whose AUC counts; the lowest is saved.
        held_out: the saved false-alarm rate is of these undamaged photos; default those that were learned from.
        false_alarms: share of `learning`'s undamaged photos below the threshold, at the most.

    Raises:
        OperatingPointError: a pool holds no undamaged photos, or none that show one of the flaws.
    """
    whole = learning.of_view(WHOLE).means
    checked = (held_out or learning).of_view(WHOLE)
    found = {}
    for column, flaw in enumerate(learning.flaws.tolist()):
        auc, elsewhere = flaw_auc(learning, flaw), [flaw_auc(pool, flaw) for pool in others]
        asked = auc >= LEAST_AUC and min(elsewhere, default=1.0) >= LEAST_AUC_ELSEWHERE
        usual, damaged = np.median(whole[:, column]), np.median(learning.of_view(flaw).means[:, column])
        threshold = min(float(np.quantile(whole[:, column], false_alarms)), float(usual + damaged) / 2)
        values = (
            threshold,
            usual,
            whole[:, column].std(),
            damaged,
            ((checked.means[:, column] < threshold) & ~checked.refuted[:, column]).mean(),
            min([auc, *elsewhere]),
        )
        found[flaw_question(flaw)] = OperatingPoint(*(round(float(each), DECIMALS) for each in values), asked=asked)
    return found


def flaw_auc(ratings: FlawRatings, flaw: str) -> float:
    """Probability that an undamaged photo is rated higher on a flaw's question than one damaged to show it; ties are half.

    Raises:
        OperatingPointError: there are no undamaged photos, or none that were damaged so.
    """
    column = ratings.flaws.tolist().index(flaw)
    whole, damaged = (ratings.of_view(view).means[:, column] for view in (WHOLE, flaw))
    if not (len(whole) and len(damaged)):
        raise OperatingPointError(
            f"{len(whole)} undamaged photos and {len(damaged)} damaged to show {flaw!r}; rate some of each."
        )
    return float(mannwhitneyu(whole, damaged).statistic / (len(whole) * len(damaged)))


def evaluate_flaws(scale: RatingScale, ratings: FlawRatings) -> dict[str, Any]:
    """What photos are told at a scale's operating points, over the flaws that are asked by default.

    Returns:
        For undamaged photos the share told anything, and the mean number of flaws told; over all damaged ones the share for which
        the right flaw is named first, and among the first three; for each flaw its figures, also of those that are not asked
        the AUC.
    """
    asked = asked_flaws(scale)
    whole = _told(scale, ratings.of_view(WHOLE), asked)
    flaws: dict[str, dict[str, Any]] = {}
    first, among = [], []
    for flaw in ratings.flaws.tolist():
        flaws[flaw] = {"asked": flaw in asked, "auc": flaw_auc(ratings, flaw)}
        if flaw in asked:
            told = _told(scale, ratings.of_view(flaw), asked)
            named = [each[:1] == [flaw] for each in told]
            flaws[flaw] |= {
                "damaged_photos": len(told),
                "false_alarms": float(np.mean([flaw in each for each in whole])),
                "recall": float(np.mean([flaw in each for each in told])),
                "named_first": float(np.mean(named)),
            }
            first += named
            among += [flaw in each[:MOST_SUGGESTIONS] for each in told]
    return {
        "undamaged_photos": len(whole),
        "told_anything": float(np.mean([bool(each) for each in whole])),
        "flaws_told": float(np.mean([len(each) for each in whole])),
        "named_first": float(np.mean(first)),
        "named_among_three": float(np.mean(among)),
        "flaws": flaws,
    }


def _told(scale: RatingScale, ratings: FlawRatings, asked: Sequence[str]) -> list[list[str]]:
    """The flaws that each photo is told, the most unusual first."""
    columns = {key: column for column, key in enumerate(ratings.flaws.tolist()) if key in asked}

    def rated(means: np.ndarray) -> Mapping[str, Rating]:
        return {
            flaw_question(key): Rating(float(means[column]), None, None, scale.score_range) for key, column in columns.items()
        }

    return [
        list(told_flaws(scale, rated(means), lambda key, refuted=refuted: bool(refuted[columns[key]])))  # type: ignore[misc]
        for means, refuted in zip(ratings.means, ratings.refuted, strict=True)
    ]


def flaws_table(scale: RatingScale, reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Reports of [`evaluate_flaws`] by pool as Markdown: a row for each flaw, the pools' figures side by side."""
    pools = list(reports)
    head = [f"{figure.replace('_', ' ')}, {pool}" for pool in pools for figure in FIGURES]
    lines = [f"| flaw | threshold | {' | '.join(head)} |", "|---" * (len(head) + 2) + "|"]
    for flaw in reports[pools[0]]["flaws"]:
        point = scale.operating_points[flaw_question(flaw)]
        cells = [flaw.replace("_", " "), f"{point.threshold:.1f}" if point.asked else "not asked"]
        for pool in pools:
            figures = reports[pool]["flaws"][flaw]
            cells.append(f"{figures['auc']:.2f}")
            cells += [f"{figures[figure]:.0%}" if figure in figures else "-" for figure in FIGURES[1:]]
        lines.append(f"| {' | '.join(cells)} |")
    for pool, figures in reports.items():
        lines.append(
            f"\n{pool}: {figures['told_anything']:.0%} of {figures['undamaged_photos']} undamaged photos are told anything, "
            f"{figures['flaws_told']:.2f} flaws on average; of the damaged ones {figures['named_first']:.0%} are told the right "
            f"flaw first, {figures['named_among_three']:.0%} among three."
        )
    return "\n".join(lines)
