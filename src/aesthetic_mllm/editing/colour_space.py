"""Photos as arrays, and the colour spaces in which edits and measurements work.

An array of a photo is [H, W, 3], float32, 0 to 1: either encoded (sRGB as stored, close to what the eye calls even steps) or
linear (proportional to light).
"""

import numpy as np
from PIL import Image

# Luminance of linear sRGB (ITU-R BT.709) and luma of encoded sRGB (BT.601, as JPEG has it).
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

_LEVELS = np.arange(256, dtype=np.float32) / 255
_LINEAR_LEVELS = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
# Encoding by table: finer steps near black, where the curve is steep.
_TABLE_SIZE = 4096
_ROOTS = np.linspace(0, 1, _TABLE_SIZE + 1, dtype=np.float32) ** 2
_ENCODED_ROOTS = np.where(_ROOTS <= 0.0031308, _ROOTS * 12.92, 1.055 * _ROOTS ** (1 / 2.4) - 0.055).astype(np.float32)


def encoded_array(image: Image.Image) -> np.ndarray:
    """The photo as it is stored: [H, W, 3], 0 to 1."""
    return np.asarray(image.convert("RGB"), dtype=np.float32) / 255


def linear_array(image: Image.Image) -> np.ndarray:
    """The photo in linear light: [H, W, 3], 0 to 1 (IEC 61966-2-1)."""
    return _LINEAR_LEVELS[np.asarray(image.convert("RGB"))]


def from_encoded(array: np.ndarray) -> Image.Image:
    """[H, W, 3] in encoded sRGB -> photo; values outside 0 to 1 are clipped."""
    return Image.fromarray((array.clip(0, 1) * 255 + 0.5).astype(np.uint8))


def from_linear(array: np.ndarray) -> Image.Image:
    """[H, W, 3] in linear light -> photo; values outside 0 to 1 are clipped."""
    position = np.sqrt(array.clip(0, 1)) * _TABLE_SIZE + 0.5
    return from_encoded(_ENCODED_ROOTS[position.astype(np.int32)])


def luma(encoded: np.ndarray) -> np.ndarray:
    """[H, W, 3] encoded -> [H, W], 0 to 1."""
    return encoded @ LUMA


def opponent(encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[H, W, 3] encoded -> luma [H, W] and two opponent colours [H, W]: red minus cyan, blue minus yellow (YCbCr, unscaled)."""
    light = luma(encoded)
    return light, encoded[..., 0] - light, encoded[..., 2] - light


def from_opponent(light: np.ndarray, red: np.ndarray, blue: np.ndarray) -> np.ndarray:
    """The inverse of [`opponent`]."""
    green = light - (LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
    return np.stack([light + red, green, light + blue], axis=-1)


def hue_and_chroma(encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[H, W, 3] encoded -> hue in degrees, 0 to 360, and chroma, 0 to about 1, both [H, W], in the plane of [`opponent`].

    The plane's axes are scaled to the spread that each opponent colour can have, as in YCbCr.
    """
    _, red, blue = opponent(encoded)
    red, blue = red / (1 - LUMA[0]), blue / (1 - LUMA[2])
    return np.degrees(np.arctan2(red, blue)) % 360, np.hypot(red, blue)


def rotate_hue(encoded: np.ndarray, degrees: np.ndarray | float) -> np.ndarray:
    """Turns the hue of all pixels, or each by its own angle [H, W], at equal luma and chroma."""
    light, red, blue = opponent(encoded)
    red, blue = red / (1 - LUMA[0]), blue / (1 - LUMA[2])
    angle = np.radians(degrees)
    turned_red = red * np.cos(angle) + blue * np.sin(angle)
    turned_blue = blue * np.cos(angle) - red * np.sin(angle)
    return from_opponent(light, turned_red * (1 - LUMA[0]), turned_blue * (1 - LUMA[2]))


def hue_distance(hue: np.ndarray, centre: float) -> np.ndarray:
    """Angle between hues, 0 to 180 degrees."""
    return np.abs((hue - centre + 180) % 360 - 180)


def dominant_hue(encoded: np.ndarray) -> float:
    """The hue, in degrees, in whose 30 degrees around lies most chroma; 0 for a photo without colour."""
    hue, chroma = hue_and_chroma(encoded)
    histogram, _ = np.histogram(hue, bins=72, range=(0, 360), weights=chroma)
    around = sum(np.roll(histogram, shift) for shift in range(-3, 4))
    return float(np.argmax(around) * 5 + 2.5) if histogram.any() else 0.0
