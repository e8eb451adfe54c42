"""A perceptual hash: by it photos that look alike are found without comparing their pixels."""

import numpy as np
from PIL import Image

SIDE = 8  # lowest frequencies in each direction
BITS = SIDE**2
_PIXELS = 32
# The rows of the DCT-II that belong to the lowest frequencies, [SIDE, _PIXELS].
_COSINES = np.cos(np.pi / (2 * _PIXELS) * np.outer(np.arange(SIDE), 2 * np.arange(_PIXELS) + 1))


def perceptual_hash(image: Image.Image) -> int:
    """64 bits that scaling, re-encoding and a little shaking hardly change; unlike photos differ in about 32.

    pHash, bit for bit as the package imagehash has it: which of the lowest DCT frequencies of a small grey photo lie above
    their median.
    """
    grey = image.convert("L").resize((_PIXELS, _PIXELS), Image.Resampling.LANCZOS)
    # rounded, so that the bits of an empty photo are not those of rounding errors
    low = (_COSINES @ np.asarray(grey, dtype=np.float64) @ _COSINES.T).round(6)
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes())


def hash_distance(first: int, second: int) -> int:
    """Bits in which two hashes differ, 0 to 64."""
    return (first ^ second).bit_count()
