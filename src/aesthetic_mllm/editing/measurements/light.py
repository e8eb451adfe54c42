"""Measurements of light and colour; photos as encoded arrays [H, W, 3], 0 to 1."""

import numpy as np

from ..colour_space import LUMINANCE, hue_and_chroma, luma

CLIPPED_LEVELS = (2 / 255, 253 / 255)  # at or beyond these a pixel holds no detail
GREY_CHROMA = 0.05  # below this chroma a pixel has no hue to speak of
SHADE_PERCENTILES = (1, 99)


def brightness(photo: np.ndarray) -> float:
    """Mean luma, 0 to 1 (BT.601)."""
    return float(luma(photo).mean())


def dynamic_range(photo: np.ndarray) -> float:
    """Luma between the 1st and the 99th percentile, 0 to 1."""
    low, high = np.percentile(luma(photo), SHADE_PERCENTILES)
    return float(high - low)


def clipped_shadows(photo: np.ndarray) -> float:
    """Share of pixels that are black in luma, 0 to 1."""
    return float((luma(photo) <= CLIPPED_LEVELS[0]).mean())


def clipped_highlights(photo: np.ndarray) -> float:
    """Share of pixels that are white in luma, 0 to 1."""
    return float((luma(photo) >= CLIPPED_LEVELS[1]).mean())


def rms_contrast(photo: np.ndarray) -> float:
    """Standard deviation of luma, 0 to 0.5 (Peli 1990)."""
    return float(luma(photo).std())


def saturation(photo: np.ndarray) -> float:
    """Mean chroma in the plane of opponent colours, 0 to about 1."""
    return float(hue_and_chroma(photo)[1].mean())


def colourfulness(photo: np.ndarray) -> float:
    """Hasler & Suesstrunk 2003: std + 0.3 mean of the distance in red-green and yellow-blue; on 0 to 255, about 0 to 150."""
    red, green, blue = np.moveaxis(photo * 255, -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    return float(np.hypot(red_green.std(), yellow_blue.std()) + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def warmth(photo: np.ndarray) -> float:
    """Colour temperature as stops between red and blue in linear light: log2 of the ratio of their means; 0 is neutral.

    The photo's mean is taken for the light's colour (the grey-world assumption, Buchsbaum 1980).
    """
    red, _, blue = _mean_light(photo)
    return float(np.log2((red + 1e-4) / (blue + 1e-4)))


def green_magenta(photo: np.ndarray) -> float:
    """Stops by which red and blue together outweigh green in linear light; 0 is neutral, positive is magenta."""
    red, green, blue = _mean_light(photo)
    return float(np.log2((np.sqrt((red + 1e-4) * (blue + 1e-4))) / (green + 1e-4)))


def luminance_skew(photo: np.ndarray) -> float:
    """Skewness of luma: positive for a dark photo with a few lights, negative for a bright one with a few darks."""
    light = luma(photo)
    spread = light.std()
    return float((((light - light.mean()) / spread) ** 3).mean()) if spread > 1e-4 else 0.0


def haziness(photo: np.ndarray) -> float:
    """Mean of the dark channel, the least of the three colours around each pixel, 0 to 1 (He, Sun & Tang 2009)."""
    from scipy.ndimage import minimum_filter  # takes a moment to import

    reach = max(3, round(0.03 * max(photo.shape[:2])))
    return float(minimum_filter(photo.min(-1), reach, mode="nearest").mean())


def corner_falloff(photo: np.ndarray) -> float:
    """Stops by which the corners are darker than the middle, from mean linear light; positive is a vignette."""
    light = _linear(photo) @ LUMINANCE
    height, width = light.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    distance = np.hypot(x, y)
    middle, corners = light[distance < 0.7], light[distance > 1.1]
    if not (middle.size and corners.size):  # a photo of a pixel or two
        return 0.0
    return float(np.log2((middle.mean() + 1e-3) / (corners.mean() + 1e-3)))


def harmony(photo: np.ndarray) -> float:
    """How well hues fit a harmonic template, 0 (not at all) to 1 (Cohen-Or et al. 2006).

    One minus the mean distance, weighted by chroma, from the sectors of the best template at its best turn, in units of 30
    degrees. Only the templates of narrow sectors are used (i, L, I, and an even triad, which they lack): the wide ones hold
    half of all hues, and nearly every photo. A photo without colour is in harmony.
    """
    hue, chroma = hue_and_chroma(photo)
    histogram, _ = np.histogram(hue, bins=72, range=(0, 360), weights=chroma * (chroma > GREY_CHROMA))
    if histogram.sum() < 1e-3 * hue.size * GREY_CHROMA:
        return 1.0
    spectrum = np.fft.rfft(histogram / histogram.sum())
    distances = np.fft.irfft(np.conj(spectrum)[None] * _TEMPLATE_SPECTRA, n=72, axis=-1)  # every turn of every template
    return float(1 - np.clip(distances.min() / 30, 0, 1))


def _template_distances() -> np.ndarray:
    """Distance of each of 72 hues from the nearest sector of each template: [templates, 72] degrees."""
    # centre and width of the sectors in degrees
    templates = (
        [(0, 18)],
        [(0, 18), (90, 18)],
        [(0, 18), (180, 18)],
        [(0, 18), (120, 18), (240, 18)],
    )
    hues = np.arange(72) * 5 + 2.5
    rows = []
    for sectors in templates:
        gaps = [np.maximum(np.abs((hues - centre + 180) % 360 - 180) - width / 2, 0) for centre, width in sectors]
        rows.append(np.min(gaps, axis=0))
    return np.array(rows)


_TEMPLATE_SPECTRA = np.fft.rfft(_template_distances(), axis=-1)


def _linear(photo: np.ndarray) -> np.ndarray:
    return np.where(photo <= 0.04045, photo / 12.92, ((photo + 0.055) / 1.055) ** 2.4)


def _mean_light(photo: np.ndarray) -> np.ndarray:
    return _linear(photo).reshape(-1, 3).mean(0)
