"""A photo's palette, and what its colours alone suggest of mood."""

import numpy as np
from PIL import Image

from ..colour_space import hue_and_chroma, luma

PALETTE_SIDE = 96


def palette(image: Image.Image, colours: int = 5) -> list[tuple[tuple[int, int, int], float]]:
    """The main colours as 8-bit RGB with their shares, largest first (median cut, Heckbert 1982, refined by k-means)."""
    small = image.convert("RGB")
    small.thumbnail((PALETTE_SIDE, PALETTE_SIDE))
    reduced = small.quantize(colours, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    values = np.array(reduced.getpalette()).reshape(-1, 3)
    shares = np.bincount(np.asarray(reduced).ravel(), minlength=len(values)) / (small.width * small.height)
    order = np.argsort(-shares)[:colours]
    return [
        ((int(r), int(g), int(b)), float(share))
        for (r, g, b), share in zip(values[order], shares[order], strict=True)
        if share > 0
    ]


def palette_spread(photo: np.ndarray) -> float:
    """Entropy of hue weighted by chroma, in bits: 0 (one hue, or none) to 5.2 (all 36 alike)."""
    hue, chroma = hue_and_chroma(photo)
    weights, _ = np.histogram(hue, bins=36, range=(0, 360), weights=chroma)
    if weights.sum() < 0.01 * hue.size:
        return 0.0
    shares = weights[weights > 0] / weights.sum()
    return float(-(shares * np.log2(shares)).sum())


def pleasure(photo: np.ndarray) -> float:
    """0.69 brightness + 0.22 saturation: how pleasant the colours alone are (Valdez & Mehrabian 1994)."""
    return float(0.69 * luma(photo).mean() + 0.22 * hue_and_chroma(photo)[1].mean())


def arousal(photo: np.ndarray) -> float:
    """-0.31 brightness + 0.60 saturation: how stirring the colours alone are (Valdez & Mehrabian 1994)."""
    return float(-0.31 * luma(photo).mean() + 0.60 * hue_and_chroma(photo)[1].mean())
