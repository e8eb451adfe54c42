"""Photos onto the checkpoint's canvas, with Pillow alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from .image_arrays import is_array
from .image_loading import ImageSource, UnsuitableImageError, load_image, source_name

# What a processor is made with, and `size`, which follows from it.
SETTINGS = (
    "size",
    "canvas_size",
    "resize_mode",
    "image_mean",
    "image_std",
    "background_color",
    "resample",
    "min_side",
    "max_aspect_ratio",
)

# What transformers' image processors can be asked to do or to leave out, and this one always does.
DONE_ANYWAY = {"do_convert_rgb": True, "do_resize": True, "do_rescale": True, "do_normalize": True, "device": "cpu"}


class AestheticMLLMImageProcessor(BaseImageProcessor):
    r"""Puts photos on a square canvas without distorting them.

    Only Pillow decodes and scales, whatever else is installed, because a score must not depend on that.

    Args:
        canvas_size (`int`, defaults to 288):
            Side of the canvas in pixels.
        resize_mode (`str`, defaults to `"letterbox"`):
            `"letterbox"`: the long side is scaled to the canvas, the photo stands at the top left, the rest is zero.
            `"clip"`: the short side is scaled to the canvas, the middle is cut out, as CLIP and LLaVA do.
        image_mean, image_std (`list[float]`):
            Of each channel, for values from 0 to 1. Defaults: EfficientNet-Lite's (x - 127) / 128.
        background_color (`list[int]`, defaults to white):
            What transparent pixels show.
        resample (`int`, defaults to 3):
            Pillow's filter; 3 is bicubic, antialiased.
        min_side (`int`, defaults to 16):
            A photo with a shorter side is refused.
        max_aspect_ratio (`float`, defaults to 20):
            A photo that is longer than so many times its short side is refused: it would shrink to a line.

    Raises:
        ValueError: a `resize_mode` that there is not.
        TypeError: a `size` other than the canvas.
    """

    model_input_names = ["pixel_values", "image_sizes"]

    def __init__(
        self,
        canvas_size: int = 288,
        resize_mode: str = "letterbox",
        image_mean: Sequence[float] = (127 / 255,) * 3,
        image_std: Sequence[float] = (128 / 255,) * 3,
        background_color: Sequence[int] = (255, 255, 255),
        resample: int = 3,
        min_side: int = 16,
        max_aspect_ratio: float = 20.0,
        **kwargs: Any,
    ):
        self.canvas_size = canvas_size
        if (size := kwargs.pop("size", None)) not in (None, self.size):
            raise TypeError(f"The image processor has no size of its own, got {size}; set canvas_size, the side of the canvas.")
        super().__init__(**kwargs)
        if resize_mode not in ("letterbox", "clip"):
            raise ValueError(f"resize_mode must be 'letterbox' or 'clip', got {resize_mode!r}.")
        self.resize_mode = resize_mode
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self.background_color = list(background_color)
        self.resample = int(resample)
        self.min_side = min_side
        self.max_aspect_ratio = max_aspect_ratio

    @property
    def size(self) -> dict[str, int]:
        """Height and width of what comes out, as servers ask for it."""
        return {"height": self.canvas_size, "width": self.canvas_size}

    def __call__(self, images: Any, return_tensors: str | None = None, **kwargs: Any) -> BatchFeature:
        return self.preprocess(images, return_tensors=return_tensors, **kwargs)

    def preprocess(self, images: Any, return_tensors: str | None = None, **kwargs: Any) -> BatchFeature:
        """Model inputs of one or many photos.

        Args:
            images: path, bytes, `PIL.Image.Image`, array or tensor (see [`array_to_image`]), or a (nested) list of them. An array
                of four dimensions is a batch of photos.
            return_tensors: `"pt"` or `"np"`; without it, lists of arrays.
            kwargs: none. What comes as `None`, as the processor's own setting, or asks for what is done anyway is let pass.

        Returns:
            `pixel_values` [N, 3, H, W] float32 and `image_sizes` [N, 2] int64, height and width of each photo's rectangle.

        Raises:
            ImageError: a photo cannot be read or judged.
            ValueError: no photo was given.
            TypeError: an option that is unknown, or that this processor does not take in a call.
        """
        self._refuse_options(kwargs)
        arrays = [self.to_canvas(image) for image in _flat(images)]
        if not arrays:
            raise ValueError("No photo was given; of text alone leave images out.")
        data = {
            "pixel_values": np.stack([pixels for pixels, _ in arrays]),
            "image_sizes": np.array([size for _, size in arrays], dtype=np.int64),
        }
        return BatchFeature(data, tensor_type=return_tensors)

    def _refuse_options(self, options: Mapping[str, Any]) -> None:
        own = {name: getattr(self, name) for name in SETTINGS} | DONE_ANYWAY
        for name, value in options.items():
            if value is None or (name in own and value == own[name]):
                continue
            raise TypeError(
                f"The image processor cannot honour {name}={value!r} in a call: a checkpoint knows photos in one form only. "
                f"Leave it out, or make the image processor of a new checkpoint with other {', '.join(SETTINGS[1:])}."
            )

    def fetch_images(self, image_url_or_urls: Any) -> Any:
        """Photos as they were given, nested as they were; reading them is `preprocess`'s work."""
        if _is_many(image_url_or_urls):
            return [self.fetch_images(image) for image in image_url_or_urls]
        return self.read(image_url_or_urls)

    def read(self, image: ImageSource) -> Image.Image:
        """The photo as an RGB image, no larger than is of use.

        Raises:
            ImageError: it cannot be read, or its shape would be lost on the canvas.
        """
        red, green, blue = self.background_color
        photo = load_image(image, min_size=(self.canvas_size, self.canvas_size), background=(red, green, blue))
        short, long = sorted(photo.size)
        if short < self.min_side:
            raise UnsuitableImageError(
                source_name(image), f"{photo.width} x {photo.height} pixels; both sides must have {self.min_side}."
            )
        if long > self.max_aspect_ratio * short:
            raise UnsuitableImageError(
                source_name(image),
                f"{photo.width} x {photo.height} pixels; the long side may be {self.max_aspect_ratio:g} times the short one.",
            )
        return photo

    def to_canvas(self, image: ImageSource) -> tuple[np.ndarray, tuple[int, int]]:
        """A photo's [3, H, W] float32 values and its rectangle's height and width."""
        photo = self.letterbox(self.read(image)) if self.resize_mode == "letterbox" else self.clip(self.read(image))
        values = np.asarray(photo)  # [h, w, 3]
        height, width = values.shape[:2]
        canvas = np.zeros((3, self.canvas_size, self.canvas_size), np.float32)
        for channel in range(3):
            scale = 1 / (255 * self.image_std[channel])
            shift = self.image_mean[channel] / self.image_std[channel]
            target = canvas[channel, :height, :width]
            np.multiply(values[..., channel], np.float32(scale), out=target)
            target -= np.float32(shift)
        return canvas, (height, width)

    def letterbox(self, photo: Image.Image) -> Image.Image:
        """The photo with its long side as long as the canvas."""
        scale = self.canvas_size / max(photo.size)
        size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
        return photo if size == photo.size else photo.resize(size, self.resample, reducing_gap=3.0)

    def clip(self, photo: Image.Image) -> Image.Image:
        """The middle square of the photo with its short side as long as the canvas."""
        side = self.canvas_size
        short, long = sorted(photo.size)
        scaled = int(side * long / short)
        size = (side, scaled) if photo.width <= photo.height else (scaled, side)
        photo = photo.resize(size, self.resample)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        return photo.crop((left, top, left + side, top + side))


def _is_many(images: Any) -> bool:
    return isinstance(images, list | tuple) or (is_array(images) and len(images.shape) == 4)


def _flat(images: Any) -> list[Any]:
    if _is_many(images):
        return [image for part in images for image in _flat(part)]
    return [images]


AestheticMLLMImageProcessor.register_for_auto_class()  # shipped with the weights

__all__ = ["AestheticMLLMImageProcessor"]
