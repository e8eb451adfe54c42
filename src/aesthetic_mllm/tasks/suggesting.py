"""Suggesting: what would make a photo better, in plain words and as an edit where one can do it.

Nobody labelled suggestions. A checkpoint may answer questions about single flaws, asked as ratings; each flaw has its remedy.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean, pstdev
from typing import Any

from ..processing.rating_scale import Rating, RatingQuestion, RatingScale

MOST_SUGGESTIONS = 3  # a photo, where nobody asks for more or fewer
# A flaw is told where so few percent of the checkpoint's reference photos are rated lower, or from the middle of the scale down;
# of a checkpoint that stores no reference photos for the question from this strength on: below "good" on the default scale.
UNUSUAL_PERCENT, MIDDLE_STRENGTH = 5.0, 0.5
LEAST_STRENGTH = 0.25
# What removing the strongest flaw is expected to add to the judgement, as a share of the score range. A guess.
GAIN_OF_FULL_STRENGTH = 0.1


class SuggestionError(RuntimeError):
    """Suggestions that cannot be searched for here."""


@dataclass(frozen=True)
class Flaw:
    """What may be wrong with a single photo, and what helps.

    Args:
        key: its question's key is "flaw_" and this.
        edit: name of the edit in `editing/` that helps, or `None` where none can afterwards.
        sign: direction of that edit's amount, 1 or -1; 0 without an edit.
        text: plain advice.
    """

    key: str
    edit: str | None
    sign: int
    text: str


_ALL = (
    Flaw("too_dark", "exposure", 1, "Brighten the photo, it is too dark."),
    Flaw("too_bright", "exposure", -1, "Darken the photo, it is too bright."),
    Flaw("flat", "contrast", 1, "Raise the contrast, the photo looks flat."),
    Flaw("harsh", "contrast", -1, "Lower the contrast, the photo looks harsh."),
    Flaw("pale", "saturation", 1, "Strengthen the colours, they are pale."),
    Flaw("garish", "saturation", -1, "Calm the colours, they are garish."),
    Flaw("too_cool", "temperature", 1, "Make the colours warmer, they are too cool."),
    Flaw("too_warm", "temperature", -1, "Make the colours cooler, they are too warm."),
    Flaw("hazy", "haze", -1, "Take out the haze."),
    Flaw("blocked_shadows", "shadows", 1, "Lift the shadows, they are blocked."),
    Flaw("blown_highlights", "highlights", -1, "Bring down the highlights, they are blown out."),
    Flaw("soft", "sharpness", 1, "Sharpen the photo, it is soft."),
    Flaw("oversharpened", "sharpness", -1, "Sharpen less, edges look overdrawn."),
    Flaw("noisy", None, 0, "Use a lower ISO or a longer exposure, the photo is noisy."),
    Flaw("compressed", None, 0, "Save at a higher quality, compression shows."),
    Flaw("out_of_focus", None, 0, "Focus again on the subject, it is out of focus."),
    Flaw("tilted_clockwise", "tilt", -1, "Turn the photo counterclockwise, it leans to the right."),
    Flaw("tilted_counterclockwise", "tilt", 1, "Turn the photo clockwise, it leans to the left."),
    Flaw("too_loose", "zoom", 1, "Crop tighter, the subject is lost in the frame."),
    Flaw("too_tight", None, 0, "Step back or zoom out, the frame is too tight."),
    Flaw("off_centre_subject", "thirds", 1, "Crop so that the subject lies on a third, it is too near the edge."),
)
FLAWS: dict[str, Flaw] = {flaw.key: flaw for flaw in _ALL}
# Advice for edits that no flaw speaks of, by edit and sign.
OTHER_ADVICE: dict[tuple[str, int], str] = {
    ("gamma", 1): "Lighten the midtones.",
    ("gamma", -1): "Darken the midtones.",
    ("tint", 1): "Take out the green cast.",
    ("tint", -1): "Take out the magenta cast.",
    ("shadows", -1): "Deepen the shadows.",
    ("highlights", 1): "Brighten the highlights.",
    ("vignette", -1): "Brighten the corners.",
    ("straighten", 1): "Straighten the lines.",
}


def is_flaw_question(question: str) -> bool:
    """Whether a question's key is that of a flaw."""
    return question.removeprefix("flaw_") in FLAWS and question.startswith("flaw_")


def flaw_question(key: str) -> str:
    """Key of a flaw's rating question."""
    return f"flaw_{key}"


# For a new checkpoint's rating scale; how a trained one asks is saved with it. The lower the rating, the stronger the flaw.
FLAW_QUESTIONS: dict[str, RatingQuestion] = {
    flaw_question(key): RatingQuestion(
        prompt=f"How would you rate the freedom from this flaw: {name}?",
        stem="The freedom from this flaw is",
        decimal_prompt=f"Can you give me the score of the freedom from this flaw: {name}?",
    )
    for key, name in ((key, key.replace("_", " ")) for key in FLAWS)
}


@dataclass(frozen=True)
class Suggestion:
    """One thing that would make a photo better.

    Args:
        text: plain advice.
        edit: name in `editing/` of the edit that does it, or `None` where it cannot be done afterwards.
        amount, unit: of that edit.
        expected_gain: by how much the judgement of the photo should rise, in points of the score range; `None`: no guess.
        measured_gain: by how much it rose when the edit was tried alone; `None`: not verified.
        flaw: key of the flaw behind it, of [`FLAWS`].
    """

    text: str
    edit: str | None = None
    amount: float | None = None
    unit: str | None = None
    expected_gain: float | None = None
    measured_gain: float | None = None
    flaw: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The suggestion as plain JSON values."""
        return asdict(self)


def flaw_behind(edit: str, sign: int) -> Flaw | None:
    """The flaw that an edit in one direction helps against."""
    return next((flaw for flaw in FLAWS.values() if (flaw.edit, flaw.sign) == (edit, sign)), None)


def advice(edit: str, sign: int) -> str:
    """Plain words for an edit in one direction."""
    flaw = flaw_behind(edit, sign)
    return flaw.text if flaw else OTHER_ADVICE[edit, sign]


def judged_questions(scale: RatingScale) -> list[str]:
    """The questions whose answers [`judgement`] reads."""
    return list(dict.fromkeys([scale.default_question, *scale.attributes]))


def judgement(scale: RatingScale, ratings: Mapping[str, Rating]) -> float:
    """One number for how good a photo is, in the score range: what suggestions are to raise.

    Half of it is the default question's mean rating, half the mean of the attributes' mean ratings, which tell more of what an
    edit changes. Without attributes it is the default question's alone. Flaws have no part in it: they say where to look.

    Args:
        ratings: of at least [`judged_questions`].
    """
    whole = ratings[scale.default_question].mean
    if not scale.attributes:
        return whole
    return (whole + sum(ratings[key].mean for key in scale.attributes) / len(scale.attributes)) / 2


def flaw_strengths(scale: RatingScale, ratings: Mapping[str, Rating]) -> dict[str, float]:
    """How strong each flaw is that was asked for, 0 (rated best) to 1 (rated worst); the most telling first.

    That is the one whose rating lies lowest beside the checkpoint's reference photos, in their standard deviations: checkpoints
    answer some of the questions more timidly than others. Without reference photos it is the strongest.
    """
    low, high = scale.score_range
    means = {key: ratings[flaw_question(key)].mean for key in FLAWS if flaw_question(key) in ratings}
    telling = {key: high - mean for key, mean in means.items()}
    if all(flaw_question(key) in scale.references for key in means):
        known = {key: scale.references[flaw_question(key)] for key in means}
        telling = {key: (fmean(known[key]) - mean) / (pstdev(known[key]) or 1.0) for key, mean in means.items()}
    return {key: (high - means[key]) / (high - low) for key in sorted(means, key=lambda key: -telling[key])}


def told_flaws(scale: RatingScale, ratings: Mapping[str, Rating]) -> dict[str, float]:
    """The [`flaw_strengths`] that are worth a word: a rating that is unusually low, or low whatever is usual."""
    told = {}
    for key, strength in flaw_strengths(scale, ratings).items():
        percentile = ratings[flaw_question(key)].percentile
        if percentile is None:
            worth = strength >= LEAST_STRENGTH
        else:
            worth = percentile < UNUSUAL_PERCENT or strength >= MIDDLE_STRENGTH
        if worth:
            told[key] = strength
    return told


def expected_gain(scale: RatingScale, strength: float) -> float:
    """By how much the judgement should rise when a flaw of this strength goes, in points of the score range."""
    low, high = scale.score_range
    return strength * GAIN_OF_FULL_STRENGTH * (high - low)
