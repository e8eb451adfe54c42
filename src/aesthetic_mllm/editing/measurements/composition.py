"""Measurements of composition. The subject is what [`saliency_map`] finds; positions are shares of width and height."""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..colour_space import luma
from ..saliency import position_in, saliency_map, subject_mask

THIRDS = (1 / 3, 2 / 3)
LONGEST_SIDE = 256  # lines are looked for in a photo of this size
LINE_BLUR = 2.0  # pixels
BORDER = 6  # pixels
LEAST_PROMINENCE = 1.75  # times the mean; below it the angle is a guess (on tilted photos right in 7 of 10, above in 8)
MAX_TILT = 20.0  # degrees; lines further from level and upright are diagonals, not a tilt


class Subject(NamedTuple):
    """A photo with its saliency map, computed once for all that is measured of it."""

    image: Image.Image
    saliency: np.ndarray

    @classmethod
    def of(cls, image: Image.Image) -> "Subject":
        return cls(image, saliency_map(image))


def subject_x(subject: Subject) -> float:
    """Centre of the subject, 0 (left) to 1."""
    return position_in(subject.saliency)[0]


def subject_y(subject: Subject) -> float:
    """Centre of the subject, 0 (top) to 1."""
    return position_in(subject.saliency)[1]


def off_centre(subject: Subject) -> float:
    """Distance of the subject from the centre, 0 to 1 (a corner)."""
    x, y = position_in(subject.saliency)
    return math.hypot(x - 0.5, y - 0.5) / math.hypot(0.5, 0.5)


def thirds_distance(subject: Subject) -> float:
    """Distance of the subject from the nearest crossing of the thirds, in sides, 0 to 0.47."""
    x, y = position_in(subject.saliency)
    return min(math.hypot(x - u, y - v) for u in THIRDS for v in THIRDS)


def subject_size(subject: Subject) -> float:
    """Share of the photo that the subject covers, 0 to 1."""
    return float(subject_mask(subject.saliency).mean())


def negative_space(subject: Subject) -> float:
    """Share of the photo that holds a tenth of all saliency, 0 (all of it draws the eye alike: 0.1) to 1."""
    ordered = np.sort(subject.saliency, axis=None)
    return float((ordered.cumsum() <= 0.1).mean())


def balance(subject: Subject) -> float:
    """One minus how far the centre of saliency's weight lies from the middle upright line, in half widths: 0 to 1."""
    columns = subject.saliency.shape[1]
    centre = (subject.saliency.sum(0) * (np.arange(columns) + 0.5)).sum() / columns
    return float(1 - 2 * abs(centre - 0.5))


def symmetry(subject: Subject) -> float:
    """Correlation of a small grey photo with its mirror image, -1 to 1."""
    light = luma(_small(subject.image, 64))
    centred = light - light.mean()
    return float((centred * centred[:, ::-1]).sum() / max((centred**2).sum(), 1e-9))


def focus_contrast(subject: Subject) -> float:
    """Depth of field: log10 of fine detail in the subject over that around it; positive where the subject alone is sharp."""
    from scipy.ndimage import laplace, zoom  # takes a moment to import

    light = luma(_small(subject.image, LONGEST_SIDE)) * 255
    detail = laplace(light, mode="nearest") ** 2
    mask = subject_mask(subject.saliency)
    inside = zoom(mask.astype(np.float32), np.array(detail.shape) / mask.shape, order=0) > 0.5
    if inside.all() or not inside.any():
        return 0.0
    return float(np.log10((detail[inside].mean() + 1) / (detail[~inside].mean() + 1)))


def tilt(subject: Subject) -> float:
    """[`tilt_degrees`] of the photo."""
    return tilt_degrees(subject.image)


def tilt_degrees(image: Image.Image) -> float:
    """Angle by which the photo's lines lie off level and upright; positive is clockwise; 0 where no angle stands out.

    The highest peak, within [`MAX_TILT`], of a histogram of gradient directions modulo 90 degrees. A gradient counts by its
    length and by how straight its neighbourhood is (coherence of the structure tensor, Bigun & Granlund 1987).
    """
    from scipy.ndimage import gaussian_filter, gaussian_filter1d  # takes a moment to import

    light = luma(_small(image, LONGEST_SIDE)).astype(np.float64)
    right, down = (gaussian_filter(light, LINE_BLUR, order=order) for order in ((0, 1), (1, 0)))
    down_down, down_right, right_right = structure_tensor(light, sigma=2 * LINE_BLUR)
    coherence = np.hypot(right_right - down_down, 2 * down_right) / (right_right + down_down + 1e-9)
    weight = np.hypot(right, down) * coherence**4
    off = (np.degrees(np.arctan2(down, right)) + 45) % 90 - 45  # y grows downwards, so positive is clockwise
    inner = (slice(BORDER, -BORDER), slice(BORDER, -BORDER))  # a frame is always straight
    histogram, _ = np.histogram(off[inner], bins=181, range=(-45.25, 45.25), weights=weight[inner])
    histogram = gaussian_filter1d(histogram, 2, mode="wrap")
    angles = np.linspace(-45, 45, 181)
    peak = int(np.argmax(np.where(np.abs(angles) <= MAX_TILT, histogram, 0)))
    is_peak = histogram[peak] >= histogram.take([peak - 1, peak + 1], mode="wrap").max()  # not the foot of one further out
    return float(angles[peak]) if is_peak and histogram[peak] > LEAST_PROMINENCE * histogram.mean() else 0.0


def structure_tensor(light: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The elements down-down, down-right and right-right of the structure tensor (Bigun & Granlund 1987), [H, W] each.

    The values are those of `skimage.feature.structure_tensor`: Sobel derivatives, zeros beyond the border.

    Args:
        light: [H, W], float.
        sigma: of the Gaussian window, in pixels.
    """
    from scipy.ndimage import gaussian_filter, sobel

    down, right = (sobel(light, axis, mode="constant") for axis in (0, 1))
    products = (down * down, down * right, right * right)
    down_down, down_right, right_right = (gaussian_filter(product, sigma, mode="constant") for product in products)
    return down_down, down_right, right_right


def _small(image: Image.Image, side: int) -> np.ndarray:
    scale = min(1.0, side / max(image.size))
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / 255
