"""Edits of detail: sharpness, blur, noise, compression. Lengths are shares of the photo's longer side, so that an amount means
the same at any resolution."""

import io

import numpy as np
from PIL import Image, ImageFilter

from .colour_space import encoded_array, from_encoded, from_linear, linear_array

SHARPENING_RADIUS = 0.004  # of the longer side


def sharpen(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """Unsharp mask: x + amount (x - blurred x), encoded; negative amounts soften."""
    encoded = encoded_array(image)
    radius = max(0.8, SHARPENING_RADIUS * max(image.size))
    blurred = encoded_array(image.convert("RGB").filter(ImageFilter.GaussianBlur(radius)))
    return from_encoded(encoded + np.float32(amount) * (encoded - blurred))


def defocus(image: Image.Image, percent: float, seed: int) -> Image.Image:
    """A disc of so many percent of the longer side in diameter, in linear light, as a lens out of focus draws it."""
    return from_linear(convolve(linear_array(image), disc(percent / 100 * max(image.size) / 2)))


def shake(image: Image.Image, percent: float, seed: int) -> Image.Image:
    """A straight line of so many percent of the longer side, at an angle drawn with the seed; linear light."""
    angle = np.random.default_rng(seed).uniform(0, np.pi)
    return from_linear(convolve(linear_array(image), line(percent / 100 * max(image.size), angle)))


def add_noise(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """Photon noise with a small read noise: variance amount^2 (light + 0.02) in linear light."""
    light = linear_array(image)
    noise = np.random.default_rng(seed).standard_normal(light.shape, dtype=np.float32)
    return from_linear(light + np.float32(amount) * np.sqrt(light + np.float32(0.02)) * noise)


def compress(image: Image.Image, loss: float, seed: int) -> Image.Image:
    """JPEG at quality 95 - loss, chroma subsampled."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=round(95 - loss), subsampling=2)
    return Image.open(buffer).convert("RGB")


def disc(radius: float) -> np.ndarray:
    """A disc with a soft rim, [2 R + 1, 2 R + 1], sum 1."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def line(length: float, angle: float) -> np.ndarray:
    """A line of this length in pixels through the centre, drawn with bilinear weights, sum 1."""
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    for position in np.linspace(-length / 2, length / 2, 4 * reach + 1):
        y, x = reach + position * np.sin(angle), reach + position * np.cos(angle)
        top, left = int(np.floor(y)), int(np.floor(x))
        down, right = y - top, x - left
        kernel[top, left] += (1 - down) * (1 - right)
        kernel[top, left + 1] += (1 - down) * right
        kernel[top + 1, left] += down * (1 - right)
        kernel[top + 1, left + 1] += down * right
    return kernel / kernel.sum()


def convolve(array: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """[H, W, C] with a [K, K] kernel, edges mirrored."""
    from scipy.signal import fftconvolve  # takes a moment to import

    reach = min(kernel.shape[0] // 2, *(side - 1 for side in array.shape[:2]))
    cut = kernel.shape[0] // 2 - reach
    if cut > 0:  # a photo smaller than the kernel
        kernel = kernel[cut:-cut, cut:-cut] / kernel[cut:-cut, cut:-cut].sum()
    padded = np.pad(array, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    return fftconvolve(padded, kernel[..., None], mode="valid", axes=(0, 1)).astype(np.float32)
