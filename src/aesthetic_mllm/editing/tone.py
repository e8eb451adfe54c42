"""Edits of light and colour."""

import numpy as np
from PIL import Image

from .colour_space import (
    dominant_hue,
    encoded_array,
    from_encoded,
    from_linear,
    from_opponent,
    hue_and_chroma,
    hue_distance,
    linear_array,
    luma,
    opponent,
    rotate_hue,
)

AIRLIGHT = 0.85  # linear light of the haze itself
HUE_SECTOR = 45.0  # degrees around a hue that count as the same colour


def expose(image: Image.Image, ev: float, seed: int) -> Image.Image:
    """Light times 2^ev; in linear light, as a longer exposure would."""
    return from_linear(linear_array(image) * np.float32(2**ev))


def change_contrast(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """Distance from the photo's mean luma times 2^amount, so that the mean stays; encoded."""
    encoded = encoded_array(image)
    middle = luma(encoded).mean()
    return from_encoded(middle + (encoded - middle) * np.float32(2**amount))


def change_gamma(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """x^(2^-amount): moves the midtones, keeps black and white; encoded."""
    return from_encoded(encoded_array(image) ** np.float32(2**-amount))


def saturate(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """Chroma times 2^amount at equal luma; encoded. The least amount leaves an eighth of it."""
    light, red, blue = opponent(encoded_array(image))
    factor = np.float32(2**amount)
    return from_encoded(from_opponent(light, red * factor, blue * factor))


def warm(image: Image.Image, stops: float, seed: int) -> Image.Image:
    """Red and blue moved apart by so many stops, red up; linear light, as a wrong white balance does."""
    gains = np.array([2 ** (stops / 2), 1, 2 ** (-stops / 2)], dtype=np.float32)
    return from_linear(linear_array(image) * gains)


def tint(image: Image.Image, stops: float, seed: int) -> Image.Image:
    """Green moved from red and blue by so many stops; positive is magenta; linear light."""
    gains = np.array([2 ** (stops / 3), 2 ** (-stops * 2 / 3), 2 ** (stops / 3)], dtype=np.float32)
    return from_linear(linear_array(image) * gains)


def turn_hue(image: Image.Image, degrees: float, seed: int) -> Image.Image:
    """All hues turned by an angle; encoded."""
    return from_encoded(rotate_hue(encoded_array(image), degrees))


def lift_shadows(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """Light of the dark half times 2^amount at black, fading to 1 at middle grey; encoded weights."""
    encoded = encoded_array(image)
    weight = np.clip(1 - luma(encoded) / 0.5, 0, 1)[..., None] ** 2
    return from_linear(linear_array(image) * np.exp2(np.float32(amount) * weight))


def raise_highlights(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """Light of the bright half times 2^amount at white, fading to 1 at middle grey; encoded weights."""
    encoded = encoded_array(image)
    weight = np.clip(luma(encoded) / 0.5 - 1, 0, 1)[..., None]
    return from_linear(linear_array(image) * np.exp2(np.float32(amount) * weight))


def add_haze(image: Image.Image, share: float, seed: int) -> Image.Image:
    """Light mixed with airlight, I = J t + A (1 - t) with t = 1 - share (Koschmieder 1924); a negative share takes it out."""
    light, clear = linear_array(image), np.float32(1 - abs(share))
    veil = np.float32(AIRLIGHT) * (1 - clear)
    return from_linear(light * clear + veil if share > 0 else (light - veil) / clear)


def add_vignette(image: Image.Image, stops: float, seed: int) -> Image.Image:
    """Corners darker by so many stops, falling with the square of the distance from the centre; linear light."""
    light = linear_array(image)
    height, width = light.shape[:2]
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    return from_linear(light * np.exp2(-np.float32(stops) * (x**2 + y**2) / 2)[..., None])


def break_harmony(image: Image.Image, degrees: float, seed: int) -> Image.Image:
    """The photo's dominant colour turned by an angle while all others stay; encoded."""
    encoded = encoded_array(image)
    hue, _ = hue_and_chroma(encoded)
    weight = np.clip(2 - hue_distance(hue, dominant_hue(encoded)) / HUE_SECTOR, 0, 1)
    return from_encoded(rotate_hue(encoded, degrees * weight))


def desaturate_others(image: Image.Image, share: float, seed: int) -> Image.Image:
    """Chroma of all colours but the dominant one lowered by a share; encoded."""
    encoded = encoded_array(image)
    hue, _ = hue_and_chroma(encoded)
    others = np.clip(hue_distance(hue, dominant_hue(encoded)) / HUE_SECTOR - 1, 0, 1)
    light, red, blue = opponent(encoded)
    kept = 1 - np.float32(share) * others
    return from_encoded(from_opponent(light, red * kept, blue * kept))
