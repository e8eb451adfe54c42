"""What measurements of one photo say about claims: which of them it refutes."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from PIL import Image

from ..colour_space import encoded_array, luma
from ..measurements.catalogue import MEASUREMENTS
from ..measurements.composition import Subject
from ..measurements.pool_statistics import BINS, PoolStatistics
from .claim_rules import CLAIM_RULES, HIGH, LOW, ClaimRule

MEASURED_SIDE = 288  # pixels of the long side: sharpness and noise depend on the size, and cut points were taken at this one
REFUTING_DISTANCE = 2  # bins between the measured one and the nearest where the claim is right: its opposite side
# A photo is monochrome where its colours are one tone, which may change smoothly from shadows to highlights, as in sepia.
MONOCHROME_PERCENTILE, MONOCHROME_SPREAD = 95, 0.025  # of the distance from that tone, on 0 to 1
GREY_SATURATION = 0.02  # mean chroma below which a monochrome photo has no tone
PLAIN_CONTRAST = 0.004  # standard deviation of luma, on 0 to 1: one step of 8 bits
# Claims about these say nothing true of a photo without colours: there are none that are few, harmonious or vivid.
_OF_SEVERAL_COLOURS = frozenset({"palette_spread", "harmony"})


class PhotoEvidence:
    """Measurements of one photo, each made once and only when it is asked for.

    A claim is refuted where the photo's bin lies on the opposite side: "dark" by the two brightest fifths of photos, "level" by a
    tilt of more than 6 degrees. The bin between refutes neither side. Claims about attributes without cut points are never
    refuted.

    Args:
        image: the photo in RGB, of any size; measured at [`MEASURED_SIDE`].
        cuts: ascending cut points of each measured attribute, as the processor's `measurement_cuts`.
    """

    def __init__(self, image: Image.Image, cuts: Mapping[str, Sequence[float]]):
        self._small = _shrunk(image.convert("RGB"))  # the photo itself need not be kept
        self._pool = PoolStatistics({name: tuple(values) for name, values in cuts.items()})
        self._values: dict[str, float] = {}

    def value(self, attribute: str) -> float:
        """A measurement of the photo, in the unit of [`MEASUREMENTS`].

        Raises:
            KeyError: nothing of this name is measured.
        """
        if attribute not in self._values:
            function = MEASUREMENTS[attribute].function
            of_subject = function.__module__ == Subject.__module__
            self._values[attribute] = function(self._subject if of_subject else self._pixels)
        return self._values[attribute]

    def bin(self, attribute: str) -> int | None:
        """0 (lowest fifth of photos) to 4 (highest), or `None` without cut points."""
        return self._pool.bin(attribute, self.value(attribute)) if attribute in self._pool.cuts else None

    @cached_property
    def bins(self) -> dict[str, int]:
        """The bin of every attribute that has cut points. Measures all of them."""
        return {name: self._pool.bin(name, self.value(name)) for name in self._pool.cuts}

    def refutes(self, claim: str) -> bool:
        """Whether the photo shows the opposite of a claim.

        Args:
            claim: of [`CLAIM_RULES`].

        Raises:
            KeyError: there is no such claim.
        """
        rule = CLAIM_RULES[claim]
        found = self.bin(rule.attribute)
        if found is None:
            return False
        return self._has_no_such(rule) or min(abs(found - right) for right in rule.bins) >= REFUTING_DISTANCE

    def bears_out(self, claim: str, is_strong: bool = False) -> bool:
        """Whether the photo lies on a claim's side; the bin between bears out neither side. True of what has no cut points.

        Args:
            claim: of [`CLAIM_RULES`].
            is_strong: whether it claims an extreme ("very dark"), which only the outermost bin bears out.

        Raises:
            KeyError: there is no such claim.
        """
        rule = CLAIM_RULES[claim]
        found = self.bin(rule.attribute)
        if found is None:
            return True
        right = rule.bins & {0, BINS - 1} if is_strong and rule.bins in (LOW, HIGH) else rule.bins
        is_seen = rule.least is None or self.value(rule.attribute) >= rule.least
        return found in right and is_seen and not self._has_no_such(rule)

    def _has_no_such(self, rule: ClaimRule) -> bool:
        """Whether a claim is about colours that a photo without them cannot have."""
        if rule.attribute in _OF_SEVERAL_COLOURS:
            return self.monochrome
        return rule.attribute == "warmth" and self.grey

    @cached_property
    def monochrome(self) -> bool:
        """Whether the photo is black and white or toned in one colour."""
        light = luma(self._pixels).ravel().astype(np.float64)
        opponents = (self._pixels[..., ::2].reshape(-1, 2) - light[:, None]).astype(np.float64)  # red and blue beside luma
        tones = np.stack([np.ones_like(light), light, light**2], axis=1)
        toned, *_ = np.linalg.lstsq(tones, opponents, rcond=None)
        distance = np.hypot(*(opponents - tones @ toned).T)
        return bool(np.percentile(distance, MONOCHROME_PERCENTILE) < MONOCHROME_SPREAD)

    @property
    def plain(self) -> bool:
        """Whether the photo is one even tone."""
        return self.value("contrast") < PLAIN_CONTRAST

    @property
    def grey(self) -> bool:
        """Whether the photo is black and white, without a tone."""
        return self.monochrome and self.value("saturation") < GREY_SATURATION

    @cached_property
    def _pixels(self) -> np.ndarray:
        return encoded_array(self._small)

    @cached_property
    def _subject(self) -> Subject:
        return Subject.of(self._small)


def _shrunk(image: Image.Image) -> Image.Image:
    scale = MEASURED_SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if scale >= 1 else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
