"""What makes a photo worse: edits in one direction, with the attributes that they are about and the flaw that they make."""

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from ..editing import get_edit


@dataclass(frozen=True)
class Damage:
    """An edit in one direction that makes a photo worse.

    Args:
        edit: its name.
        sign: of its amount.
        flaw: what it makes of the photo, one of `tasks.suggesting.FLAWS`; `None`: nothing that is asked about.
        attributes: how much a strong amount takes from each attribute's rating, 1 for the one that it is about.
    """

    edit: str
    sign: int
    flaw: str | None
    attributes: Mapping[str, float]

    @property
    def about(self) -> list[str]:
        """The attributes that the edit is about."""
        return [name for name, weight in self.attributes.items() if weight == 1]

    def amount(self, share: float) -> float:
        """A share of the edit's strong amount, within the edit's range."""
        edit = get_edit(self.edit)
        low, high = edit.range
        return min(max(self.sign * share * edit.strong, low), high)

    def pair(self, image: Image.Image, share: float, seed: int = 0) -> tuple[Image.Image, Image.Image]:
        """The photo before and after; edits of the frame show less of it before, too."""
        return get_edit(self.edit).pair(image, self.amount(share), seed)


DAMAGES = (
    Damage("exposure", -1, "too_dark", {"light": 1, "mood": 0.3}),
    Damage("exposure", 1, "too_bright", {"light": 1, "mood": 0.3, "colour": 0.3}),
    Damage("contrast", -1, "flat", {"light": 1, "colour": 0.2}),
    Damage("contrast", 1, "harsh", {"light": 1}),
    Damage("saturation", -1, "pale", {"colour": 1, "mood": 0.2}),
    Damage("saturation", 1, "garish", {"colour": 1}),
    Damage("temperature", -1, "too_cool", {"colour": 1}),
    Damage("temperature", 1, "too_warm", {"colour": 1}),
    Damage("hue", 1, None, {"colour": 1, "mood": 0.2}),
    Damage("hue", -1, None, {"colour": 1, "mood": 0.2}),
    Damage("harmony", 1, None, {"colour": 1}),
    Damage("haze", 1, "hazy", {"light": 1, "colour": 0.4, "sharpness": 0.3}),
    Damage("shadows", -1, "blocked_shadows", {"light": 1}),
    Damage("highlights", 1, "blown_highlights", {"light": 1}),
    Damage("sharpness", -1, "soft", {"sharpness": 1}),
    Damage("sharpness", 1, "oversharpened", {"sharpness": 1, "noise": 0.3}),
    Damage("defocus", 1, "out_of_focus", {"sharpness": 1, "subject": 0.3, "depth_of_field": 0.3}),
    Damage("noise", 1, "noisy", {"noise": 1, "sharpness": 0.2}),
    Damage("compression", 1, "compressed", {"noise": 0.4, "sharpness": 0.6}),
    Damage("tilt", 1, "tilted_clockwise", {"composition": 1}),
    Damage("tilt", -1, "tilted_counterclockwise", {"composition": 1}),
    Damage("zoom", 1, "too_tight", {"composition": 1, "subject": 0.3}),
    Damage("off_centre", 1, "off_centre_subject", {"composition": 1, "subject": 0.5}),
)
# By edits that no training shows.
UNSEEN_DAMAGES = (
    Damage("gamma", -1, None, {"light": 1}),
    Damage("gamma", 1, None, {"light": 1}),
    Damage("tint", 1, None, {"colour": 1}),
    Damage("tint", -1, None, {"colour": 1}),
    Damage("vignette", 1, None, {"light": 1}),
    Damage("motion_blur", 1, None, {"sharpness": 1}),
)
