"""Where a photo draws the eye, from its pixels alone."""

import numpy as np
from PIL import Image

from .colour_space import encoded_array, opponent

SIDE = 64  # of the small photo that is looked at
BLUR = 2.0  # pixels of the small photo
SUBJECT_SPREAD = 1.0  # standard deviations above the mean, where the subject begins


def saliency_map(image: Image.Image) -> np.ndarray:
    """How much each cell stands out: [h, w], at most [`SIDE`] a side, non-negative, sum 1.

    Half of it is how far the blurred colour is from the photo's mean (Achanta et al., CVPR 2009, here with luma and opponent
    colours), half how much fine detail there is, which marks what is in focus.
    """
    from scipy.ndimage import gaussian_filter  # takes a moment to import

    scale = SIDE / max(image.size)
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    large = image.convert("RGB").resize((4 * size[0], 4 * size[1]), Image.Resampling.BILINEAR)
    planes = np.stack(opponent(encoded_array(large)), axis=-1).reshape(size[1], 4, size[0], 4, 3).astype(np.float64)
    small = planes.mean((1, 3))
    colour = np.sqrt(((gaussian_filter(small, (1, 1, 0), mode="nearest") - small.mean((0, 1))) ** 2).sum(-1))
    detail = np.sqrt(planes[..., 0].var((1, 3)))
    total = sum(gaussian_filter(part, BLUR, mode="nearest") / max(part.mean(), 1e-9) for part in (colour, detail)) + 1e-9
    return total / total.sum()


def subject_mask(saliency: np.ndarray) -> np.ndarray:
    """The cells of the subject, the heaviest connected part of what stands out: boolean [h, w]."""
    from scipy.ndimage import label, sum_labels

    above = saliency >= min(saliency.mean() + SUBJECT_SPREAD * saliency.std(), saliency.max())
    parts, count = label(above, structure=np.ones((3, 3)))
    weights = sum_labels(saliency, parts, np.arange(1, count + 1))
    return parts == 1 + int(np.argmax(weights))


def subject_position(image: Image.Image) -> tuple[float, float]:
    """Centre of the subject as shares of width and height, (x, y)."""
    return position_in(saliency_map(image))


def position_in(saliency: np.ndarray) -> tuple[float, float]:
    """Centre of the subject in a saliency map as shares of width and height, (x, y)."""
    weights = saliency * subject_mask(saliency)
    rows, columns = weights.shape
    total = weights.sum()
    x = float((weights.sum(0) * (np.arange(columns) + 0.5)).sum() / total / columns)
    y = float((weights.sum(1) * (np.arange(rows) + 0.5)).sum() / total / rows)
    return x, y
