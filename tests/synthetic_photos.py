"""Photos drawn by arithmetic, with the properties that edits and measurements are tested on."""

import numpy as np
from PIL import Image, ImageDraw

from aesthetic_mllm.editing.colour_space import from_encoded


def scene_photo(width: int = 240, height: int = 180) -> Image.Image:
    """Sky over ground with upright posts and a red house left of the middle: lines, colours, detail, all tones."""
    rng = np.random.default_rng(0)
    image = Image.new("RGB", (2 * width, 2 * height), (150, 180, 215))
    draw = ImageDraw.Draw(image)
    for row in range(height):
        draw.line([(0, row), (2 * width, row)], fill=(120 + row // 4, 160 + row // 4, 215))
    draw.rectangle([0, height, 2 * width, 2 * height], fill=(90, 110, 60))
    for x in range(20, 2 * width, 60):
        draw.rectangle([x, height - 50, x + 7, height + 20], fill=(60, 50, 40))
    left, top = int(0.75 * width), int(0.72 * height)
    draw.rectangle([left, top, left + 0.36 * width, top + 0.42 * height], fill=(190, 40, 30))
    for number in range(5):
        draw.rectangle([left + 12 + 16 * number, top + 12, left + 20 + 16 * number, top + 40], fill=(245, 235, 200))
    small = np.asarray(image.resize((width, height), Image.Resampling.BOX), dtype=np.float32) / 255
    grass = rng.normal(0, 0.05, (height, width, 1)) * (np.arange(height) > height // 2)[:, None, None]
    return from_encoded(small + grass)


def midtone_photo(width: int = 160, height: int = 120) -> Image.Image:
    """Smooth colours between a third and two thirds, which small edits do not clip."""
    y, x = np.mgrid[0:height, 0:width] / 40
    waves = np.stack([np.sin(x + y), np.sin(1.7 * x - y + 1), np.sin(y * 1.3 - 0.4 * x + 2)], axis=-1)
    return from_encoded(0.5 + 0.14 * waves)
