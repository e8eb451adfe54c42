"""What training does to a photo before the model sees it."""

import math
import random

from PIL import Image

# Shapes are drawn log-uniformly between a tall and a wide phone photo.
ASPECT_RATIOS = (9 / 16, 16 / 9)
# Half of the crops keep all they can of the photo, the others shrink to at least this share of each side.
MIN_SIDE_SHARE = 0.85


def random_aspect_crop(image: Image.Image, rng: random.Random) -> Image.Image:
    """A crop of random shape and place, flipped half of the time.

    Photos of one source often share one shape, which the canvas's padding shows; cropped at random, the shape says nothing
    about the source, and so nothing about its scores.
    """
    width, height = image.size
    ratio = math.exp(rng.uniform(*map(math.log, ASPECT_RATIOS)))
    crop_width, crop_height = (width, width / ratio) if ratio > width / height else (height * ratio, height)
    share = rng.choice([1.0, rng.uniform(MIN_SIDE_SHARE, 1.0)])
    crop_width, crop_height = max(1, round(crop_width * share)), max(1, round(crop_height * share))
    left, top = rng.randint(0, width - crop_width), rng.randint(0, height - crop_height)
    image = image.crop((left, top, left + crop_width, top + crop_height))
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image
