"""A few pictures to try a checkpoint on. They are drawn here: the package ships no photos."""

import numpy as np
from PIL import Image


def sample_photos() -> list[Image.Image]:
    """A landscape of soft light, a portrait of fine texture, a square that is almost black."""
    rows, columns = np.mgrid[0:240, 0:320] / 240
    sky = np.stack([0.9 - rows * 0.5, 0.6 + 0.2 * np.sin(columns * 4), 0.4 + rows * 0.5], -1)
    texture = np.random.default_rng(0).random((320, 240, 3))
    dark = np.full((64, 64, 3), 0.02)
    return [Image.fromarray((values.clip(0, 1) * 255).astype(np.uint8)) for values in (sky, texture, dark)]
