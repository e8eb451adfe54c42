"""Edits of the frame: what of the photo is shown, from where and at which angle."""

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from .saliency import subject_position

PAIR_SCALE = 0.7  # pairs are shown in frames of this share of the photo's sides, so that there is something outside
THIRDS = (1 / 3, 2 / 3)


@dataclass(frozen=True)
class Frame:
    """A part of a photo, of the photo's own aspect ratio.

    Args:
        x, y: centre, as shares of the photo's width and height.
        scale: share of the photo's sides.
        angle: in degrees; the photo turns clockwise in the frame by so much.
    """

    x: float = 0.5
    y: float = 0.5
    scale: float = 1.0
    angle: float = 0.0

    def inside(self) -> "Frame":
        """The nearest frame without angle that lies within the photo."""
        half = self.scale / 2
        return replace(self, x=min(max(self.x, half), 1 - half), y=min(max(self.y, half), 1 - half))


def show(image: Image.Image, frame: Frame, size: tuple[int, int] | None = None) -> Image.Image:
    """What the frame shows, at a size in pixels; default at the photo's own resolution."""
    width, height = image.size
    size = size or (max(1, round(width * frame.scale)), max(1, round(height * frame.scale)))
    if frame.angle:
        centre = (frame.x * width, frame.y * height)
        image = image.rotate(-frame.angle, Image.Resampling.BICUBIC, center=centre)
    left, top = (frame.x - frame.scale / 2) * width, (frame.y - frame.scale / 2) * height
    box = (max(0.0, left), max(0.0, top), min(width, left + frame.scale * width), min(height, top + frame.scale * height))
    return image.resize(size, Image.Resampling.LANCZOS, box=box)


def inscribed_scale(size: tuple[int, int], degrees: float) -> float:
    """Scale of the largest frame of the photo's aspect ratio that a photo turned by an angle fills."""
    width, height = size
    angle = math.radians(abs(degrees))
    return 1 / (math.cos(angle) + max(width / height, height / width) * math.sin(angle))


def _pair(image: Image.Image, before: Frame, after: Frame) -> tuple[Image.Image, Image.Image]:
    """Both at one size, so that sharpness and size tell nothing."""
    least = min(before.scale, after.scale)
    size = (max(1, round(image.width * least)), max(1, round(image.height * least)))
    return show(image, before, size), show(image, after, size)


def tilt(image: Image.Image, degrees: float, seed: int) -> Image.Image:
    """Turned clockwise, cut to the largest part without corners."""
    return show(image, Frame(scale=inscribed_scale(image.size, degrees), angle=degrees))


def tilt_pair(image: Image.Image, degrees: float, seed: int) -> tuple[Image.Image, Image.Image]:
    before = Frame(scale=inscribed_scale(image.size, degrees))
    return _pair(image, before, replace(before, angle=degrees))


def zoom(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """The centre, 2^-amount of each side. A negative amount shows more than there is: the borders are mirrored outwards."""
    if amount > 0:
        return show(image, Frame(scale=2**-amount))
    array = np.asarray(image.convert("RGB"))
    margins = [round(side * (2**-amount - 1) / 2) for side in array.shape[:2]]
    return Image.fromarray(np.pad(array, [(margin, margin) for margin in margins] + [(0, 0)], mode="symmetric"))


def zoom_pair(image: Image.Image, amount: float, seed: int) -> tuple[Image.Image, Image.Image]:
    """Around the subject; the looser of both shows all there is."""
    x, y = subject_position(image)
    loose, tight = Frame(), Frame(x, y, 2 ** -abs(amount)).inside()
    return _pair(image, loose, tight) if amount > 0 else _pair(image, tight, loose)


def shift_subject(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """A crop whose content lies further right by a share of the crop's width (negative: left)."""
    scale = 1 / (1 + abs(amount))
    return show(image, Frame(x=0.5 - math.copysign((1 - scale) / 2, amount), scale=scale))


def shift_subject_pair(image: Image.Image, amount: float, seed: int) -> tuple[Image.Image, Image.Image]:
    # half of the way on either side of the centre, so that neither photo is the usual one
    reach = abs(amount) / 2 * PAIR_SCALE
    scale = PAIR_SCALE if reach + PAIR_SCALE / 2 <= 0.5 else 1 / (1 + abs(amount))
    step = amount * scale / 2
    return _pair(image, Frame(x=0.5 + step, scale=scale), Frame(x=0.5 - step, scale=scale))


def push_off_centre(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """A crop in which the subject goes from where it is towards the nearest side by a share of the way to the crop's edge."""
    return show(image, _off_centre(image, amount))


def push_off_centre_pair(image: Image.Image, amount: float, seed: int) -> tuple[Image.Image, Image.Image]:
    x, y = subject_position(image)
    return _pair(image, Frame(x, y, PAIR_SCALE).inside(), _off_centre(image, amount))


def _off_centre(image: Image.Image, amount: float) -> Frame:
    x, y = subject_position(image)
    centred = Frame(x, y, PAIR_SCALE).inside()
    # the side with most room: there the frame can leave the subject behind
    room_right, room_down = 1 - PAIR_SCALE / 2 - centred.x, 1 - PAIR_SCALE / 2 - centred.y
    room_left, room_up = centred.x - PAIR_SCALE / 2, centred.y - PAIR_SCALE / 2
    step_x, step_y = max((room_right, 0.0), (-room_left, 0.0), (0.0, room_down), (0.0, -room_up), key=lambda step: abs(sum(step)))
    return replace(centred, x=centred.x + amount * step_x, y=centred.y + amount * step_y)


def place_on_thirds(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """A crop in which the subject goes a share of the way to the nearest crossing of the thirds."""
    return show(image, _towards_thirds(image, amount))


def place_on_thirds_pair(image: Image.Image, amount: float, seed: int) -> tuple[Image.Image, Image.Image]:
    return _pair(image, _towards_thirds(image, 0), _towards_thirds(image, amount))


def _towards_thirds(image: Image.Image, amount: float) -> Frame:
    x, y = subject_position(image)
    start = Frame(x, y, PAIR_SCALE).inside()
    ends = [Frame(x - (u - 0.5) * PAIR_SCALE, y - (v - 0.5) * PAIR_SCALE, PAIR_SCALE) for u in THIRDS for v in THIRDS]
    end = min((frame.inside() for frame in ends), key=lambda frame: _thirds_distance(x, y, frame))
    return replace(start, x=start.x + amount * (end.x - start.x), y=start.y + amount * (end.y - start.y))


def _thirds_distance(x: float, y: float, frame: Frame) -> float:
    """How far a point of the photo lies from the nearest crossing of the frame's thirds, in frame sides."""
    u, v = (x - frame.x) / frame.scale + 0.5, (y - frame.y) / frame.scale + 0.5
    return min(math.hypot(u - a, v - b) for a in THIRDS for b in THIRDS)


def flip(image: Image.Image, amount: float, seed: int) -> Image.Image:
    """Mirrored left to right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def straighten(image: Image.Image, share: float, seed: int) -> Image.Image:
    """Turned back by a share of the tilt that is measured; a photo without clear lines stays as it is."""
    from .measurements.composition import tilt_degrees

    degrees = -share * tilt_degrees(image)
    return image.copy() if degrees == 0 else tilt(image, degrees, seed)


def straighten_pair(image: Image.Image, share: float, seed: int) -> tuple[Image.Image, Image.Image]:
    """A photo tilted by 4 to 9 degrees, and turned back by a share of that, whatever lines it has."""
    rng = np.random.default_rng(seed)
    degrees = float(rng.uniform(4, 9) * rng.choice([-1, 1]))
    before = Frame(scale=inscribed_scale(image.size, degrees), angle=degrees)
    return _pair(image, before, replace(before, angle=degrees * (1 - share)))
