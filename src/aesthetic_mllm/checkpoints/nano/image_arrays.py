"""Photos as arrays and tensors: one photo each, or a clear refusal."""

from typing import Any

import numpy as np
from PIL import Image

from .image_errors import UnsuitableImageError

EXPECTED = (
    "A photo is an array [H, W, C] or [C, H, W] of 1, 3 or 4 channels, or [H, W], with uint8 values from 0 to 255, uint16 "
    "values from 0 to 65535, or floats from 0 to 1."
)
CHANNELS = (1, 3, 4)
# Scaling with a bicubic filter, and arithmetic in half precision, overshoot by about so much.
OVERSHOOT = 1e-2


def is_array(value: Any) -> bool:
    """Whether a value is an array or a tensor, of whatever library."""
    if isinstance(value, str | bytes):  # NumPy's texts have a shape too
        return False
    return hasattr(value, "shape") and hasattr(value, "__array__")


def array_name(value: Any) -> str:
    """What to call an array in messages, such as "<array [3, 240, 320] uint8>"."""
    dtype = str(getattr(value, "dtype", type(value).__name__))  # a table has one for each column
    return f"<array {list(value.shape)} {dtype.removeprefix('torch.')}>"


def array_to_image(value: Any) -> Image.Image:
    """An array or tensor as a Pillow image of mode L, RGB or RGBA, 8 bits a channel.

    Args:
        value: [H, W], [H, W, C] or [C, H, W] with 1, 3 or 4 channels: grey, RGB, RGB with opacity. uint8, uint16 (its whole range
            is used), or floats from 0 to 1. Tensors may be on any device.

    Raises:
        UnsuitableImageError: another shape, dtype or range; the message names it.
    """
    name = array_name(value)
    if hasattr(value, "detach"):  # PyTorch's, with or without a gradient
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value  # NumPy has no bfloat16
    pixels = _channels_last(np.asarray(value), name)
    if pixels.dtype == np.uint16:
        pixels = (pixels.astype(np.float32) / 257).round()
    elif np.issubdtype(pixels.dtype, np.floating):
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):  # so written, NaN is refused too
            raise UnsuitableImageError(name, f"its values go from {low:g} to {high:g}. {EXPECTED}")
        pixels = (pixels.astype(np.float32).clip(0, 1) * 255).round()
    elif pixels.dtype != np.uint8:
        raise UnsuitableImageError(name, f"its dtype is {pixels.dtype}. {EXPECTED}")
    return Image.fromarray(np.ascontiguousarray(pixels, np.uint8))


def _channels_last(pixels: np.ndarray, name: str) -> np.ndarray:
    """[H, W] or [H, W, C]; of one that could be either no side is a photo's."""
    if pixels.ndim == 2 and pixels.size:
        return pixels
    if pixels.ndim == 3 and pixels.size:
        first, last = pixels.shape[0] in CHANNELS, pixels.shape[2] in CHANNELS
        if first != last:
            pixels = pixels.transpose(1, 2, 0) if first else pixels
            return pixels[..., 0] if pixels.shape[2] == 1 else pixels
    batch = " This is a batch; give one photo of it." if pixels.ndim == 4 else ""
    raise UnsuitableImageError(name, f"its shape is {list(pixels.shape)}. {EXPECTED}{batch}")
