"""Searching for suggestions: what a checkpoint says of flaws, or edits tried and rated again. No suggestion was ever labelled."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..editing import get_edit
from ..editing.claims.photo_evidence import PhotoEvidence
from ..editing.colour_space import encoded_array, luma
from ..processing.image_loading import ImageError
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating
from ..tasks.suggesting import (
    FLAWS,
    MOST_SUGGESTIONS,
    OTHER_ADVICE,
    Suggestion,
    advice,
    asked_flaws,
    flaw_behind,
    flaw_question,
    flaw_strengths,
    judged_questions,
    judgement,
    told_flaws,
)

# Photos and questions to each photo's ratings by question, or its error.
Rate = Callable[[Sequence[Image.Image], Sequence[str]], Sequence[Mapping[str, Rating] | ImageError]]

# The most of its strong amount that a suggestion may use of an edit: no rating can ask for more. In the order in which edits are
# applied. Vignettes first: they lie around the centre of what the lens saw. Then the frame, so that contrast finds its mean in
# what is shown. Then light, from what lies over it (haze, colour cast) to tones, then colour; sharpness last, after all that
# resamples or stretches.
MOST_OF_STRONG: dict[str, float] = {
    "vignette": 1.0,
    "straighten": 1.0,
    "tilt": 1.0,
    "thirds": 1.0,
    "zoom": 0.7,
    "haze": 1.0,
    "temperature": 1.0,
    "tint": 1.0,
    "exposure": 1.0,
    "highlights": 1.0,
    "shadows": 1.0,
    "contrast": 0.8,
    "gamma": 1.0,
    "saturation": 0.7,
    "sharpness": 0.5,
}
# Of edits that do much the same only one is suggested.
SAME_PURPOSE = {"straighten": "tilt", "thirds": "zoom", "gamma": "exposure"}
# Where a part of the way is not worth a crop.
ALL_OR_NOTHING = ("straighten", "thirds")

# The search. First one amount of every candidate, then others of the best few.
FIRST_SHARE = 0.5  # of the most allowed, where no flaw tells more
FLAWS_TRIED = 5  # of the flaws that the checkpoint is asked for, the most telling; edits that no flaw speaks of are all tried
FINALISTS = 3
FINER = (0.5, 1.5, 2.0)  # times the first amount

# What a gain must exceed.
HARMLESS_CROP = 0.01  # of each side
HARMLESS_QUALITY_LOSS = 5.0  # JPEG at quality 90
HARMLESS_QUANTILE = 0.95
LEAST_GAIN = 0.03  # of the score range, whatever the photo's own harmless changes do
LEAST_STRUCTURE = 0.85
LEAST_CAST = 0.4  # stops of green or magenta that tint may take out; more than four in five undamaged photos have less
MOST_CLIPPED, CLIPPED = 0.02, 1.5 / 255  # share of pixels that an edit may turn black or white; luma of black, from 0

LARGE = 2.0  # side of the copy for edits of the frame, times that of the small copy
LEAST_SIDE = 64  # pixels of the small copy's short side: a long photo must not shrink to a line


class Step(NamedTuple):
    """An edit and its amount."""

    edit: str
    amount: float

    @property
    def purpose(self) -> str:
        return SAME_PURPOSE.get(self.edit, self.edit)

    @property
    def moves_frame(self) -> bool:
        return get_edit(self.edit).colour_space == "none"


Plan = tuple[Step, ...]


class SuggestionSearch:
    """Finds what would make photos better. Works with any checkpoint.

    Without verification, a checkpoint that rates flaws is asked for them once. A flaw is told where its rating lies below the
    operating point that is saved with the checkpoint, and where measurements of the photo do not refute it. The lower the rating,
    the larger the amount. A checkpoint that rates no flaws, or has no operating points for them, has the edits tried instead.

    With verification, edits are tried on a small copy and judged again ([`judgement`]), a batch for each round: what harmless
    changes do; a first amount of every candidate; other amounts of the best few; the sum of what is kept. Flaws, where they are
    rated, say which edits are tried and with which first amount; edits that no flaw speaks of are always tried, and those against
    a flaw that measurements do not bear out never. Against pleasing
    the rating with a worse photo: amounts are bounded ([`MOST_OF_STRONG`]), the content must stay
    ([`structure_kept`], [`newly_clipped`]), a gain
    must exceed what harmless changes do to the rating, and all kept edits together must beat each alone, or the weakest go.

    Args:
        processor: reads the photos and says what can be asked.
        rate: photos and questions to each photo's ratings by question, or its error.

    Attributes:
        flaws: keys of the flaws' questions that are asked: those with an operating point.
        forwards: photos rated so far.
    """

    def __init__(self, processor: AestheticMLLMProcessor, rate: Rate):
        self.processor, self.rate = processor, rate
        self.scale = processor.rating_scale
        self.flaws = [flaw_question(key) for key in asked_flaws(self.scale)]
        self.forwards = 0

    def suggest(self, image: Image.Image, verify: bool = False, limit: int = MOST_SUGGESTIONS) -> list[Suggestion]:
        """What would make the photo better, the most useful first.

        Args:
            image: of any size; what is looked at is a small copy.
            verify: try edits, and keep those that are rated better by more than harmless changes do. Advice that no edit can
                follow comes after them, unverified.
            limit: the most suggestions.

        Raises:
            ImageError: the photo cannot be judged.
        """
        image = self.processor.image_processor.read(image)
        photo = _Photo(image, self._small_size(image), self.processor.measurement_cuts)
        if self.flaws and not verify:
            return self.from_ratings(self._flaw_ratings(photo.image), photo.evidence, limit)
        (rated,) = self._rate([photo.small], judged_questions(self.scale))
        if isinstance(rated, ImageError):
            raise rated
        flaws = self._flaw_ratings(photo.image) if self.flaws else {}
        start, strengths = judgement(self.scale, rated), flaw_strengths(self.scale, flaws)
        if not verify:
            gains = self._gains(photo, start, self._first_plans(photo, strengths))
            best = _best_of_each_purpose(gains, self._least_gain)[:limit]
            return [self._suggestion(plan[0], gains[plan]) for plan in best]
        found = self._verified(photo, start, strengths, limit)
        only_advice = [each for each in self.from_ratings(flaws, photo.evidence, len(FLAWS)) if each.edit is None]
        return [*found, *only_advice][:limit]

    def from_ratings(
        self, ratings: Mapping[str, Rating], evidence: PhotoEvidence, limit: int = MOST_SUGGESTIONS
    ) -> list[Suggestion]:
        """Suggestions from answers that are there already, to at least `flaws`; as `suggest` without verification.

        Args:
            evidence: measurements of the photo, which refute some flaws.
        """
        told = told_flaws(self.scale, ratings, lambda key: FLAWS[key].refuted_by(evidence))
        return self._from_flaws(told)[:limit]

    def judge(self, images: Sequence[Image.Image]) -> list[float]:
        """[`judgement`] of photos; of one that cannot be rated, minus infinity."""
        rated = self._rate(images, judged_questions(self.scale))
        return [-math.inf if isinstance(each, ImageError) else judgement(self.scale, each) for each in rated]

    @property
    def _least_gain(self) -> float:
        low, high = self.scale.score_range
        return LEAST_GAIN * (high - low)

    def _rate(self, images: Sequence[Image.Image], questions: Sequence[str]) -> Sequence[Mapping[str, Rating] | ImageError]:
        if not images:
            return []
        self.forwards += len(images)
        return self.rate(images, questions)

    def _flaw_ratings(self, image: Image.Image) -> Mapping[str, Rating]:
        """Of the photo itself: its small copy is shrunk in another way than operating points were learned from."""
        (rated,) = self._rate([image], self.flaws)
        if isinstance(rated, ImageError):
            raise rated
        return rated

    def _small_size(self, image: Image.Image) -> tuple[int, int]:
        """Of what the model sees of the photo."""
        processor = self.processor.image_processor
        whole = max(image.size) if processor.resize_mode == "letterbox" else min(image.size)
        scale = max(processor.canvas_size / whole, LEAST_SIDE / min(image.size))
        return round(image.width * scale), round(image.height * scale)

    def _from_flaws(self, strengths: Mapping[str, float]) -> list[Suggestion]:
        """Advice against flaws, in their order; of remedies that do much the same, or the opposite, only the first."""
        found, purposes = [], set()
        for key, strength in strengths.items():
            flaw = FLAWS[key]
            if flaw.edit is None:
                found.append(Suggestion(flaw.text, flaw=key))
                continue
            step = _step(flaw.edit, flaw.sign, strength)
            if step.purpose not in purposes:
                purposes.add(step.purpose)
                found.append(self._suggestion(step))
        return found

    def _suggestion(self, step: Step, measured: float | None = None) -> Suggestion:
        sign = 1 if step.amount > 0 else -1
        flaw = flaw_behind(step.edit, sign)
        unit = get_edit(step.edit).unit
        return Suggestion(advice(step.edit, sign), step.edit, step.amount, unit, measured, flaw.key if flaw else None)

    def _first_plans(self, photo: "_Photo", strengths: Mapping[str, float]) -> list[Plan]:
        """Every candidate with its first amount; of edits whose flaws are rated only those against the strongest.

        The rating alone would have a sharp photo softened and a clear one cleared of haze, so measurements must bear a flaw out.
        """
        known = [flaw for flaw in FLAWS.values() if flaw.edit and flaw.borne_out_by(photo.evidence)]
        asked = [FLAWS[key] for key in strengths if FLAWS[key] in known]
        steps = [_step(str(flaw.edit), flaw.sign, max(strengths[flaw.key], FIRST_SHARE)) for flaw in asked[:FLAWS_TRIED]]
        others = [(str(flaw.edit), flaw.sign) for flaw in known if flaw not in asked]
        magenta = photo.evidence.value("green_magenta")
        others += [(edit, sign) for edit, sign in OTHER_ADVICE if edit != "tint" or -sign * magenta > LEAST_CAST]
        return [(step,) for step in [*steps, *(_step(edit, sign, FIRST_SHARE) for edit, sign in others)]]

    def _gains(self, photo: "_Photo", start: float, plans: Iterable[Plan]) -> dict[Plan, float]:
        """What the plans add to the judgement, in one batch; without those that change nothing or lose the content."""
        images = {plan: edited for plan in plans if (edited := photo.edited(plan)) is not None}
        return {plan: value - start for plan, value in zip(images, self.judge(list(images.values())), strict=True)}

    def _verified(self, photo: "_Photo", start: float, strengths: Mapping[str, float], limit: int) -> list[Suggestion]:
        changes = [abs(value - start) for value in self.judge(harmless_changes(photo.small)) if value > -math.inf]
        threshold = max(self._least_gain, float(np.quantile(changes, HARMLESS_QUANTILE)) if changes else math.inf)
        gains = self._gains(photo, start, self._first_plans(photo, strengths))
        # more of an edit gains hardly more than in proportion, so what is far below the threshold stays below it
        finalists = _best_of_each_purpose(gains, threshold / max(FINER))[:FINALISTS]
        gains |= self._gains(photo, start, [(step,) for plan in finalists for step in _finer(plan[0])])
        kept = self._best_sum(photo, start, _best_of_each_purpose(gains, threshold)[:limit], gains)
        return [self._suggestion(step, gains[step,]) for step in kept]

    def _best_sum(self, photo: "_Photo", start: float, singles: list[Plan], gains: Mapping[Plan, float]) -> Plan:
        """The most of the plans, the best first, whose sum is judged better than each of them alone."""
        sums = [tuple(step for plan in singles[:count] for step in plan) for count in range(2, len(singles) + 1)]
        together = self._gains(photo, start, sums)
        better = [plan for plan, gain in together.items() if gain > gains[singles[0]]]
        return max(better, key=len, default=singles[0] if singles else ())


class _Photo:
    """A photo, its copies that edits are tried on, and what is measured of it."""

    def __init__(self, image: Image.Image, size: tuple[int, int], cuts: Mapping[str, Sequence[float]]):
        self.image, self.size = image, size
        self.small = _resized(image, size)
        self.evidence = PhotoEvidence(image, cuts)

    @cached_property
    def large(self) -> Image.Image:
        """For edits of the frame: what is cut from it has still as many pixels as the model sees, if the photo has them."""
        scale = min(LARGE, max(1.0, self.image.width / self.size[0]))
        return _resized(self.image, (round(self.size[0] * scale), round(self.size[1] * scale)))

    def edited(self, plan: Plan) -> Image.Image | None:
        """The photo after a plan; `None` where that changes nothing or does not keep the content."""
        inside = tuple(step for step in plan if not step.moves_frame)
        if inside:
            toned = apply_steps(self.small, inside)
            if structure_kept(self.small, toned) < LEAST_STRUCTURE or newly_clipped(self.small, toned) > MOST_CLIPPED:
                return None
        base = self.small if len(inside) == len(plan) else self.large
        edited = apply_steps(base, plan)
        return None if edited.size == base.size and edited.tobytes() == base.tobytes() else edited


def apply_steps(image: Image.Image, steps: Iterable[Step]) -> Image.Image:
    """The photo after the edits, in the order of [`MOST_OF_STRONG`]."""
    order = {name: place for place, name in enumerate(MOST_OF_STRONG)}
    edited = image.copy()
    for step in sorted(steps, key=lambda step: order.get(step.edit, len(order))):
        edited = get_edit(step.edit).apply(edited, step.amount)
    return edited


def apply_suggestions(image: Image.Image, suggestions: Iterable[Suggestion]) -> Image.Image:
    """The photo with the suggested edits, at its own size and in the order of [`MOST_OF_STRONG`]; advice without an edit is
    passed over. The photo itself is not changed.

    Args:
        image: RGB in sRGB, as [`load_image`] gives it.

    Raises:
        EditError: an edit does not exist, or its amount is outside its range.
    """
    return apply_steps(image, [Step(each.edit, each.amount) for each in suggestions if each.edit and each.amount is not None])


def most_of(edit: str, sign: int) -> float:
    """The largest amount, with its sign, that is suggested of an edit in one direction."""
    low, high = get_edit(edit).range
    return min(max(sign * MOST_OF_STRONG[edit] * get_edit(edit).strong, low), high)


def harmless_changes(image: Image.Image) -> list[Image.Image]:
    """What changes a photo's pixels and not its worth: mirrored, cropped by 1%, encoded anew, and two of these at once."""
    width, height = image.size
    right, down = max(1, round(HARMLESS_CROP * width)), max(1, round(HARMLESS_CROP * height))
    crops = [image.crop((x, y, width - right + x, height - down + y)) for x, y in ((0, 0), (right, down))]
    mirrored, encoded = get_edit("flip").apply(image, 1.0), get_edit("compression").apply(image, HARMLESS_QUALITY_LOSS)
    return [mirrored, *crops, encoded, get_edit("flip").apply(encoded, 1.0), get_edit("flip").apply(crops[0], 1.0)]


def structure_kept(before: Image.Image, after: Image.Image) -> float:
    """How much of a photo's structure is still there, up to 1 (all of it).

    The structure term of structural similarity (Wang et al. 2004), covariance over the product of standard deviations, of luma in
    windows of 7 x 7 pixels at half the size. Variances and covariances are summed over the photo before dividing, so that empty
    sky says nothing. The terms of SSIM for lightness and contrast are left out: to change those is what edits are for, and their
    amounts are bounded. Blur, noise, crushed shadows and burnt highlights lower it.

    Args:
        before, after: of one size.
    """
    from scipy.ndimage import uniform_filter  # takes a moment to import

    x, y = (luma(encoded_array(image.reduce(2))).astype(np.float64) for image in (before, after))
    mean_x, mean_y = uniform_filter(x, 7), uniform_filter(y, 7)
    covariance = (uniform_filter(x * y, 7) - mean_x * mean_y).sum()
    variances = [(uniform_filter(z * z, 7) - mean * mean).sum() for z, mean in ((x, mean_x), (y, mean_y))]
    faint = 1e-7 * x.size  # photos without any structure have nothing to lose
    return float((covariance + faint) / math.sqrt((variances[0] + faint) * (variances[1] + faint)))


def newly_clipped(before: Image.Image, after: Image.Image) -> float:
    """The share of pixels, 0 to 1, that are black or white after an edit and were neither before.

    Args:
        before, after: of one size.
    """
    x, y = (luma(encoded_array(image)) for image in (before, after))
    clipped_before, clipped_after = ((values <= CLIPPED) | (values >= 1 - CLIPPED) for values in (x, y))
    return float((clipped_after & ~clipped_before).mean())


def _step(edit: str, sign: int, share: float) -> Step:
    """An edit at a share of the most that is suggested of it."""
    return Step(edit, round(most_of(edit, sign) * (1.0 if edit in ALL_OR_NOTHING else min(share, 1.0)), 2))


def _finer(step: Step) -> list[Step]:
    """Other amounts of the same edit in the same direction."""
    if step.edit in ALL_OR_NOTHING:
        return []
    most = most_of(step.edit, 1 if step.amount > 0 else -1)
    amounts = {round(math.copysign(min(abs(step.amount * factor), abs(most)), step.amount), 2) for factor in FINER}
    return [Step(step.edit, amount) for amount in sorted(amounts - {step.amount})]


def _best_of_each_purpose(gains: Mapping[Plan, float], least: float) -> list[Plan]:
    """The plans of one step that gain more than the least, the best of each purpose, the best first."""
    best: dict[str, Plan] = {}
    for plan in sorted(gains, key=lambda plan: -gains[plan]):
        if gains[plan] > least:
            best.setdefault(plan[0].purpose, plan)
    return list(best.values())


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
