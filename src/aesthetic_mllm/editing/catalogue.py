"""All edits by name, with the fixed numbers that "strong" and "barely visible" mean.

Strong amounts are what nobody overlooks, barely visible ones what a careful viewer can just tell in a pair, on photos of a few
hundred pixels; both are our choice.
"""

from . import detail, framing, tone
from .edit import Edit, EditError

_ALL = (
    Edit(
        "exposure", "low", "exposure", "EV", (-3, 3), 1.0, 0.2, "linear", "brighter", "darker", ("worse", "worse"),
        tone.expose, undone_by_opposite=True,
    ),
    Edit(
        "contrast", "low", "contrast", "stops", (-2, 1.5), 0.7, 0.15, "encoded", "higher in contrast", "flatter in contrast",
        ("worse", "worse"), tone.change_contrast, undone_by_opposite=True,
    ),
    Edit(
        "gamma", "low", "gamma", "stops", (-1.5, 1.5), 0.6, 0.12, "encoded", "lighter in the midtones",
        "darker in the midtones", ("worse", "worse"), tone.change_gamma, undone_by_opposite=True, in_pretext_samples=False,
    ),
    Edit(
        "saturation", "low", "saturation", "stops", (-3, 1.5), 1.0, 0.2, "encoded", "more colourful", "paler in colour",
        ("worse", "worse"), tone.saturate, undone_by_opposite=True,
    ),
    Edit(
        "temperature", "low", "colour temperature", "stops", (-2, 2), 0.8, 0.15, "linear", "warmer in colour",
        "cooler in colour", ("worse", "worse"), tone.warm, undone_by_opposite=True,
    ),
    Edit(
        "tint", "low", "tint", "stops", (-2, 2), 0.7, 0.12, "linear", "more magenta", "greener", ("worse", "worse"), tone.tint,
        undone_by_opposite=True, in_pretext_samples=False,
    ),
    Edit(
        "hue", "low", "hue", "degrees", (-180, 180), 45.0, 8.0, "encoded", "turned in hue", None, ("worse", "worse"),
        tone.turn_hue, undone_by_opposite=True,
    ),
    Edit(
        "shadows", "low", "shadows", "stops", (-3, 3), 1.5, 0.3, "linear", "lighter in the shadows", "deeper in the shadows",
        ("equal", "worse"), tone.lift_shadows,
    ),
    Edit(
        "highlights", "low", "highlights", "stops", (-3, 2), 1.0, 0.2, "linear", "brighter in the highlights",
        "dimmer in the highlights", ("worse", "worse"), tone.raise_highlights,
    ),
    Edit(
        "sharpness", "low", "sharpness", "share", (-0.9, 4), 2.5, 0.4, "encoded", "oversharpened", "softer", ("worse", "worse"),
        detail.sharpen,
    ),
    Edit(
        "defocus", "low", "blur", "percent of the side", (0, 8), 2.2, 0.7, "linear", "out of focus", None, ("worse", "worse"),
        detail.defocus,
    ),
    Edit(
        "motion_blur", "low", "motion", "percent of the side", (0, 12), 4.0, 1.0, "linear", "blurred by motion", None,
        ("worse", "worse"), detail.shake, in_pretext_samples=False,
    ),
    Edit("noise", "low", "noise", "share", (0, 0.6), 0.15, 0.03, "linear", "noisier", None, ("worse", "worse"), detail.add_noise),
    Edit(
        "compression", "low", "compression", "quality steps", (0, 93), 85, 60, "encoded", "damaged by compression", None,
        ("worse", "worse"), detail.compress,
    ),
    Edit(
        "haze", "low", "haze", "share", (-0.8, 0.9), 0.5, 0.1, "linear", "hazier", "clearer of haze", ("worse", "better"),
        tone.add_haze, undone_by_opposite=True,
    ),
    Edit(
        "vignette", "low", "vignette", "stops", (-3, 4), 2.0, 0.4, "linear", "darker in the corners",
        "brighter in the corners", ("worse", "worse"), tone.add_vignette, undone_by_opposite=True, in_pretext_samples=False,
    ),
    Edit(
        "tilt", "middle", "tilt", "degrees", (-20, 20), 8.0, 2.0, "none", "tilted clockwise", "tilted counterclockwise",
        ("worse", "worse"), framing.tilt, undone_by_opposite=True, pair_of=framing.tilt_pair,
    ),
    Edit(
        "straighten", "middle", "straightening", "share", (0, 1), 1.0, 0.3, "none", "straighter", None, ("better", "better"),
        framing.straighten, pair_of=framing.straighten_pair,
    ),
    Edit(
        "zoom", "middle", "crop", "stops", (-1, 1.5), 0.7, 0.15, "none", "cropped tighter", "framed more loosely",
        ("worse", "worse"), framing.zoom, pair_of=framing.zoom_pair,
    ),
    Edit(
        "off_centre", "middle", "crop", "share", (0, 1), 1.0, 0.3, "none", "pushed off-centre", None, ("worse", "worse"),
        framing.push_off_centre, pair_of=framing.push_off_centre_pair,
    ),
    Edit(
        "thirds", "middle", "crop", "share", (0, 1), 1.0, 0.3, "none", "composed on the thirds", None, ("better", "better"),
        framing.place_on_thirds, pair_of=framing.place_on_thirds_pair,
    ),
    Edit(
        "subject_shift", "middle", "shift", "share", (-0.5, 0.5), 0.3, 0.06, "none", "moved to the right",
        "moved to the left", ("equal", "equal"), framing.shift_subject, pair_of=framing.shift_subject_pair,
    ),
    Edit("flip", "middle", "mirroring", "times", (0, 1), 1.0, 1.0, "none", "mirrored", None, ("equal", "equal"), framing.flip),
    Edit(
        "harmony", "middle", "turn of the main colour", "degrees", (-180, 180), 90.0, 20.0, "encoded",
        "broken in colour harmony", None, ("worse", "worse"), tone.break_harmony,
    ),
    Edit(
        "selective_colour", "middle", "other colours", "share", (0, 1), 1.0, 0.3, "encoded",
        "reduced to its main colour", None, ("worse", "worse"), tone.desaturate_others,
    ),
)  # fmt: skip
EDITS: dict[str, Edit] = {edit.name: edit for edit in _ALL}


def get_edit(name: str) -> Edit:
    """The edit of this name.

    Raises:
        EditError: there is none.
    """
    if name not in EDITS:
        raise EditError(f"There is no edit {name!r}; the edits are {', '.join(EDITS)}.")
    return EDITS[name]
