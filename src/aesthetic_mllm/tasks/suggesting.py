"""Suggesting: what would make a photo better, in plain words and as an edit where one can do it.

Nobody labelled suggestions. A checkpoint may answer questions about single flaws, asked as ratings; each flaw has its remedy.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..editing.claims.claim_rules import CLAIM_RULES
from ..editing.claims.photo_evidence import PhotoEvidence
from ..processing.rating_scale import FLAW_PREFIX, Rating, RatingQuestion, RatingScale

MOST_SUGGESTIONS = 3  # a photo, where nobody asks for more or fewer


@dataclass(frozen=True)
class Flaw:
    """What may be wrong with a single photo, and what helps.

    Args:
        key: its question's key is "flaw_" and this.
        edit: name of the edit in `editing/` that helps, or `None` where none can afterwards.
        sign: direction of that edit's amount, 1 or -1; 0 without an edit.
        text: plain advice.
        damage: edit and sign that make a good photo show the flaw.
        claim: what the flaw claims of the photo, one of `CLAIM_RULES`, so that measurements can refute it; `None` where nothing
            that is measured could.
    """

    key: str
    edit: str | None
    sign: int
    text: str
    damage: tuple[str, int]
    claim: str | None = None

    def refuted_by(self, evidence: PhotoEvidence) -> bool:
        """Whether measurements show that a photo does not have the flaw."""
        if self.key == "pale" and evidence.monochrome:
            return True  # there are no colours to strengthen
        if evidence.plain:
            return self.key not in ("too_dark", "too_bright")  # nothing to be sharp, level or noisy
        return self.claim is not None and evidence.refutes(self.claim)

    def borne_out_by(self, evidence: PhotoEvidence) -> bool:
        """Whether measurements show that a photo may have the flaw; true of flaws that nothing measured speaks of."""
        return not self.refuted_by(evidence) and (self.claim is None or evidence.bears_out(self.claim))


_ALL = (
    Flaw("too_dark", "exposure", 1, "Brighten the photo, it is too dark.", ("exposure", -1), "dark"),
    Flaw("too_bright", "exposure", -1, "Darken the photo, it is too bright.", ("exposure", 1), "bright"),
    Flaw("flat", "contrast", 1, "Raise the contrast, the photo looks flat.", ("contrast", -1), "flat"),
    Flaw("harsh", "contrast", -1, "Lower the contrast, the photo looks harsh.", ("contrast", 1), "strong_contrast"),
    Flaw("pale", "saturation", 1, "Strengthen the colours, they are pale.", ("saturation", -1), "pale"),
    Flaw("garish", "saturation", -1, "Calm the colours, they are garish.", ("saturation", 1), "vivid"),
    Flaw("too_cool", "temperature", 1, "Make the colours warmer, they are too cool.", ("temperature", -1), "cool"),
    Flaw("too_warm", "temperature", -1, "Make the colours cooler, they are too warm.", ("temperature", 1), "warm"),
    Flaw("hazy", "haze", -1, "Take out the haze.", ("haze", 1), "hazy"),
    Flaw("blocked_shadows", "shadows", 1, "Lift the shadows, they are blocked.", ("shadows", -1)),
    Flaw("blown_highlights", "highlights", -1, "Bring down the highlights, they are blown out.", ("highlights", 1)),
    Flaw("soft", "sharpness", 1, "Sharpen the photo, it is soft.", ("sharpness", -1), "soft"),
    Flaw("oversharpened", "sharpness", -1, "Sharpen less, edges look overdrawn.", ("sharpness", 1), "sharp"),
    Flaw("noisy", None, 0, "Use a lower ISO or a longer exposure, the photo is noisy.", ("noise", 1), "noisy"),
    Flaw("compressed", None, 0, "Save at a higher quality, compression shows.", ("compression", 1)),
    Flaw("out_of_focus", None, 0, "Focus again on the subject, it is out of focus.", ("defocus", 1), "soft"),
    Flaw("tilted_clockwise", "tilt", -1, "Turn the photo counterclockwise, it leans to the right.", ("tilt", 1), "tilted_right"),
    Flaw("tilted_counterclockwise", "tilt", 1, "Turn the photo clockwise, it leans to the left.", ("tilt", -1), "tilted_left"),
    Flaw("too_loose", "zoom", 1, "Crop tighter, the subject is lost in the frame.", ("zoom", -1)),
    Flaw("too_tight", None, 0, "Step back or zoom out, the frame is too tight.", ("zoom", 1)),
    Flaw(
        "off_centre_subject",
        "thirds",
        1,
        "Crop so that the subject lies on a third, it is too near the edge.",
        ("off_centre", 1),
        "off_centre",
    ),
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


def flaw_question(key: str) -> str:
    """Key of a flaw's rating question."""
    return f"{FLAW_PREFIX}{key}"


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
        measured_gain: by how much the judgement of the photo rose when the edit was tried alone, in points of the score range;
            `None`: the edit was not tried.
        flaw: key of the flaw behind it, of [`FLAWS`].
    """

    text: str
    edit: str | None = None
    amount: float | None = None
    unit: str | None = None
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


def asked_flaws(scale: RatingScale) -> list[str]:
    """Keys of the flaws whose questions are asked by default: those with an operating point that says so.

    None of them are where a checkpoint has no operating points (`learn_operating_points` finds them): nobody knows then which
    rating is unusual.
    """
    points = {key: scale.operating_points.get(flaw_question(key)) for key in FLAWS}
    return [key for key, point in points.items() if point is not None and point.asked]


def flaw_strengths(scale: RatingScale, ratings: Mapping[str, Rating]) -> dict[str, float]:
    """How strong each flaw is, of those with an operating point that were rated; the most unusual first.

    0 is usual for undamaged photos, 1 as strong as in strongly damaged ones. Most unusual is the rating that lies furthest below
    what is usual, in standard deviations of undamaged photos: checkpoints answer some questions more timidly than others.
    """
    points = {key: scale.operating_points[flaw_question(key)] for key in FLAWS if flaw_question(key) in scale.operating_points}
    means = {key: ratings[flaw_question(key)].mean for key in points if flaw_question(key) in ratings}
    ordered = sorted(means, key=lambda key: -points[key].distance(means[key]))
    return {key: points[key].strength(means[key]) for key in ordered}


def told_flaws(
    scale: RatingScale, ratings: Mapping[str, Rating], refuted: Callable[[str], bool] = lambda key: False
) -> dict[str, float]:
    """The [`flaw_strengths`] that are told: rated below their operating points, not refuted, without contradictions.

    Args:
        refuted: whether measurements refute the flaw of a key; called for flaws below their operating points alone.
    """
    told: dict[str, float] = {}
    for key, strength in flaw_strengths(scale, ratings).items():
        question = flaw_question(key)
        below = ratings[question].mean < scale.operating_points[question].threshold
        if below and not any(contradict(key, other) for other in told) and not refuted(key):
            told[key] = strength
    return told


def contradict(first: str, second: str) -> bool:
    """Whether two flaws cannot both be told of one photo, such as a tilt one way and the other."""
    one, other = FLAWS[first], FLAWS[second]
    if one.damage == (other.damage[0], -other.damage[1]):
        return True
    if one.claim is None or other.claim is None:
        return False
    rule, against = CLAIM_RULES[one.claim], CLAIM_RULES[other.claim]
    return rule.attribute == against.attribute and not rule.bins & against.bins
