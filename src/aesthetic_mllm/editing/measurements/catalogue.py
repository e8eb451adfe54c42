"""All measurements by name."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from ..colour_space import encoded_array
from . import composition, detail, light, mood
from .composition import Subject


@dataclass(frozen=True)
class Measurement:
    """Something that can be measured of a photo.

    Args:
        name: unique among the measurements.
        level: "low" (light, colour, detail), "middle" (composition) or "high" (mood).
        unit: of the value; ranges and sources stand in the function's docstring.
        function: takes the encoded array [H, W, 3], or the [`Subject`] for composition.
        flips: +1 where mirroring the photo leaves the value as it is, -1 where it changes the sign, 0 where it does neither.
    """

    name: str
    level: Literal["low", "middle", "high"]
    unit: str
    function: Callable[[Any], float]
    flips: int = 1


_ALL = (
    Measurement("brightness", "low", "share", light.brightness),
    Measurement("dynamic_range", "low", "share", light.dynamic_range),
    Measurement("clipped_shadows", "low", "share", light.clipped_shadows),
    Measurement("clipped_highlights", "low", "share", light.clipped_highlights),
    Measurement("contrast", "low", "share", light.rms_contrast),
    Measurement("saturation", "low", "share", light.saturation),
    Measurement("colourfulness", "low", "levels", light.colourfulness),
    Measurement("warmth", "low", "stops", light.warmth),
    Measurement("green_magenta", "low", "stops", light.green_magenta),
    Measurement("luminance_skew", "low", "", light.luminance_skew),
    Measurement("haziness", "low", "share", light.haziness),
    Measurement("corner_falloff", "low", "stops", light.corner_falloff),
    Measurement("sharpness", "low", "log10 levels^2", detail.sharpness),
    Measurement("blur_extent", "low", "share", detail.blur_extent),
    Measurement("noise", "low", "levels", detail.noise),
    Measurement("blockiness", "low", "log2", detail.blockiness, flips=0),  # the grid starts at the left
    Measurement("texture", "low", "bits", detail.texture),
    Measurement("subject_x", "middle", "share", composition.subject_x, flips=0),
    Measurement("subject_y", "middle", "share", composition.subject_y),
    Measurement("off_centre", "middle", "share", composition.off_centre),
    Measurement("thirds_distance", "middle", "sides", composition.thirds_distance),
    Measurement("subject_size", "middle", "share", composition.subject_size),
    Measurement("negative_space", "middle", "share", composition.negative_space),
    Measurement("balance", "middle", "share", composition.balance),
    Measurement("symmetry", "middle", "correlation", composition.symmetry),
    Measurement("focus_contrast", "middle", "log10", composition.focus_contrast),
    Measurement("tilt", "middle", "degrees", composition.tilt, flips=-1),
    Measurement("harmony", "middle", "share", light.harmony),
    Measurement("palette_spread", "high", "bits", mood.palette_spread),
    Measurement("pleasure", "high", "share", mood.pleasure),
    Measurement("arousal", "high", "share", mood.arousal),
)
MEASUREMENTS: dict[str, Measurement] = {measurement.name: measurement for measurement in _ALL}


def measure(image: Image.Image, names: Collection[str] | None = None) -> dict[str, float]:
    """Measures a photo.

    Args:
        image: any photo; read as RGB.
        names: what to measure; default all of [`MEASUREMENTS`].

    Raises:
        KeyError: a name that is not among the measurements.
    """
    chosen = MEASUREMENTS.values() if names is None else [MEASUREMENTS[name] for name in names]
    image = image.convert("RGB")
    photo = encoded_array(image)
    of_subject = [measurement for measurement in chosen if measurement.function.__module__ == composition.__name__]
    subject = Subject.of(image) if of_subject else None
    return {measurement.name: measurement.function(subject if measurement in of_subject else photo) for measurement in chosen}
