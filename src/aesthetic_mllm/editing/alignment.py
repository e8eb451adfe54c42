"""How one photo's frame lies over another's: moved by how much, and whether they show the same there."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

# Long side of the grey copy that is aligned; of the structure that is compared, in its pixels.
SIDE = 128
_SCALE = 3.0
# Frames that share less are not compared: by chance small strips look alike.
LEAST_OVERLAP = 0.2
# Added to the local spread of grey levels on 0 to 255, so that noise in even parts stays small.
_FLOOR = 4.0
# Standard deviation of the grey levels of a small copy, below which a photo is of one tone. Noise is less: the copy averages it.
_LEAST_SPREAD = 1.5


@dataclass(frozen=True)
class Alignment:
    """The best place of a second frame over a first one.

    Args:
        across, down: where the second frame's corner lies, in shares of the first one's width and height.
        overlap: share of the smaller frame that both show.
        correlation: of the two photos' structure there, -1 to 1. Brightness and contrast do not count.
    """

    across: float
    down: float
    overlap: float
    correlation: float

    @property
    def shift(self) -> float:
        """The larger of the two moves, without sign."""
        return max(abs(self.across), abs(self.down))


def grey_copy(image: Image.Image) -> np.ndarray:
    """A small grey photo, [H, W] of 8 bits, to be aligned."""
    scale = SIDE / max(image.size)
    size = max(8, round(image.width * scale)), max(8, round(image.height * scale))
    return np.asarray(image.convert("L").resize(size, Image.Resampling.BOX, reducing_gap=3.0))


def align(first: np.ndarray, second: np.ndarray) -> Alignment:
    """The place where two frames' structure correlates most, of all that overlap by a fifth.

    Masked normalised cross-correlation by Fourier transforms (Padfield 2012), of the photos less their blurred copies, divided by
    the local spread: so a bracket's exposures correlate, too.

    Args:
        first, second: of [`grey_copy`].
    """
    height, width = (a + b - 1 for a, b in zip(first.shape, second.shape, strict=True))
    shape = (1 << (height - 1).bit_length(), 1 << (width - 1).bit_length())
    one, two = structure(first), structure(second)
    ones_one, ones_two = np.ones_like(one), np.ones_like(two)

    def transformed(array: np.ndarray) -> np.ndarray:
        return np.fft.rfft2(array, shape)

    def correlated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.fft.irfft2(a * np.conj(b), shape)

    one_f, two_f, mask_one, mask_two = map(transformed, (one, two, ones_one, ones_two))
    area = np.maximum(correlated(mask_one, mask_two).round(), 1)
    sum_one, sum_two = correlated(one_f, mask_two), correlated(mask_one, two_f)
    product = correlated(one_f, two_f) - sum_one * sum_two / area
    spread_one = correlated(transformed(one**2), mask_two) - sum_one**2 / area
    spread_two = correlated(mask_one, transformed(two**2)) - sum_two**2 / area
    least = 0.02 * area  # an overlap without structure proves nothing
    valid = (area >= LEAST_OVERLAP * min(one.size, two.size)) & (spread_one > least) & (spread_two > least)
    found = np.where(valid, product / np.sqrt(np.where(valid, spread_one * spread_two, 1)), -1)
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    down, across = (
        int(place) - (size if place >= size - reach + 1 else 0)
        for place, size, reach in zip((row, column), shape, second.shape, strict=True)
    )
    share = float(area[row, column]) / min(one.size, two.size)
    return Alignment(across / first.shape[1], down / first.shape[0], share, float(found[row, column]))


def is_flat(grey: np.ndarray) -> bool:
    """Whether a small grey photo shows nothing: one tone, but for noise, such as a shot with the cap on or a white one."""
    return float(grey.std()) < _LEAST_SPREAD


def structure(grey: np.ndarray) -> np.ndarray:
    """What is left of a grey photo without its slow changes, in units of the local spread, [H, W]."""
    from scipy.ndimage import gaussian_filter  # takes a moment to import

    light = grey.astype(np.float32)
    detail = light - gaussian_filter(light, _SCALE, mode="nearest")
    spread = np.sqrt(gaussian_filter(detail**2, 2 * _SCALE, mode="nearest"))
    return detail / (spread + _FLOOR)


def overlapping(first: np.ndarray, second: np.ndarray, alignment: Alignment) -> tuple[np.ndarray, np.ndarray]:
    """The parts of two grey copies that show the same, equal in size."""
    height, width = first.shape
    across, down = round(alignment.across * width), round(alignment.down * height)
    rows = max(0, down), min(height, down + second.shape[0])
    columns = max(0, across), min(width, across + second.shape[1])
    return (
        first[rows[0] : rows[1], columns[0] : columns[1]],
        second[rows[0] - down : rows[1] - down, columns[0] - across : columns[1] - across],
    )


def stops_between(first: np.ndarray, second: np.ndarray) -> float:
    """How much brighter the second of two aligned grey photos is, in stops of linear light.

    The median over what neither clips nor drowns; of the means, where there is hardly any. Tone curves make it differ from the
    stops that a camera was set to.
    """
    low, high = 12, 240
    usable = (first > low) & (first < high) & (second > low) & (second < high)
    if usable.sum() < 0.03 * first.size:
        means = [_linear(each).mean() for each in (first, second)]
        return float(np.log2((means[1] + 1e-4) / (means[0] + 1e-4)))
    return float(np.median(np.log2(_linear(second[usable]) / _linear(first[usable]))))


def _linear(grey: np.ndarray) -> np.ndarray:
    share = grey.astype(np.float32) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
