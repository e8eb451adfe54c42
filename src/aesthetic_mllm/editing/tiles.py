"""Where in a photo the detail is: frames of one scene are compared place by place."""

import numpy as np
from PIL import Image

from .colour_space import encoded_array, luma
from .measurements.detail import noise

GRID = 8
# Long sides at which detail is measured; smaller photos are not enlarged. At the small one noise is averaged away: at the large
# one a noisy JPEG has up to a hundred times the energy of a clean one, which its flat parts do not show.
SIDE, SMALL_SIDE = 768, 256
# Variance of the Laplacian of noise with variance 1: the sum of the mask's squares.
_NOISE_GAIN = 20.0
# Below so much energy, in levels^2 of 255, a place has no detail.
_LEAST = 1.0


def detail_and_noise(image: Image.Image, side: int = SIDE) -> tuple[np.ndarray, float]:
    """log2 of the detail in each tile, [GRID, GRID], and the noise of the whole photo in levels of 255.

    Detail is the variance of luma's Laplacian, less what the noise alone would give: otherwise noisy frames look sharp.
    """
    from scipy.ndimage import laplace  # takes a moment to import

    image = image.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    photo = encoded_array(image)
    sigma = noise(photo)
    energy = laplace(luma(photo) * 255, mode="nearest") ** 2
    rows, columns = (np.linspace(0, size, GRID + 1).round().astype(int) for size in energy.shape)
    tiles = np.array([
        [energy[top:bottom, left:right].mean() if bottom > top and right > left else 0.0
         for left, right in zip(columns[:-1], columns[1:], strict=True)]
        for top, bottom in zip(rows[:-1], rows[1:], strict=True)
    ])  # fmt: skip
    return np.log2(np.maximum(tiles - _NOISE_GAIN * sigma**2, _LEAST)).astype(np.float32), sigma
