"""Measurements of detail; photos as encoded arrays [H, W, 3], 0 to 1."""

import numpy as np

from ..colour_space import luma

_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
BLOCK = 8  # JPEG's


def sharpness(photo: np.ndarray) -> float:
    """log10 of the variance of luma's Laplacian on 0 to 255 (Pech-Pacheco et al. 2000); about 0 (blurred) to 4."""
    from scipy.ndimage import laplace  # takes a moment to import

    return float(np.log10(laplace(luma(photo) * 255, mode="nearest").var() + 1e-2))


def blur_extent(photo: np.ndarray) -> float:
    """How much of the fine variation a strong blur does not remove, 0 (sharp) to 1 (Crete et al. 2007); flat photos: 1."""
    from skimage.measure import blur_effect

    light = luma(photo)
    return float(blur_effect(light)) if min(light.shape) > 1 and np.ptp(light) > 1e-4 else 1.0


def noise(photo: np.ndarray) -> float:
    """Standard deviation of noise in luma on 0 to 255, from the flat parts of the photo.

    Immerkaer's estimate (1996), sqrt(pi / 2) / 6 of the mean response to a mask that is blind to slopes, taken over the
    quarter of the photo that responds least: its author's mean over all of it takes texture for noise.
    """
    from scipy.ndimage import convolve, uniform_filter

    response = np.abs(convolve(luma(photo) * 255, _IMMERKAER, mode="reflect"))
    around = np.sort(uniform_filter(response, 9, mode="nearest"), axis=None)
    return float(np.sqrt(np.pi / 2) / 6 * around[: max(1, around.size // 4)].mean())


def blockiness(photo: np.ndarray) -> float:
    """log2 of steps across JPEG's block borders over those within blocks (after Wang, Sheikh & Bovik 2002); 0 is none.

    Meaningful for photos that were not resized after compression; 0 elsewhere.
    """
    light = luma(photo) * 255
    excess = []
    for plane in (light, light.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(0)
        at_border = np.arange(len(steps)) % BLOCK == BLOCK - 1
        if at_border.any() and not at_border.all():
            excess.append(np.log2((steps[at_border].mean() + 0.5) / (steps[~at_border].mean() + 0.5)))
    return float(max(0.0, np.mean(excess))) if excess else 0.0


def texture(photo: np.ndarray) -> float:
    """Mean entropy of luma in the neighbourhood of each pixel of a quarter of the rows and columns, in bits, 0 (flat) to 6."""
    from skimage.filters.rank import entropy
    from skimage.morphology import disk

    levels = (luma(photo) * 255).astype(np.uint8)
    return float(entropy(levels[::4, ::4], disk(4)).mean())
