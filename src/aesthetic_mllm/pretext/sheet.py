"""A sheet to draw pictures and text on, which keeps the rectangle of everything it draws so that overlaps can be found."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from PIL import Image, ImageDraw, ImageFont

Colour = str | tuple[int, ...]


@dataclass(frozen=True)
class Placed:
    """Something drawn.

    Args:
        name: the text, or what the picture shows.
        box: left, top, right and bottom in pixels; right and bottom lie outside.
    """

    name: str
    box: tuple[int, int, int, int]

    def overlaps(self, other: "Placed") -> bool:
        (left, top, right, bottom), (left2, top2, right2, bottom2) = self.box, other.box
        return max(left, left2) < min(right, right2) and max(top, top2) < min(bottom, bottom2)


class Sheet:
    """An RGB image of one colour that texts, pictures and bars are placed on.

    Args:
        size: width and height in pixels.
    """

    def __init__(self, size: tuple[int, int], paper: Colour = "white"):
        self.image = Image.new("RGB", size, paper)
        self.placed: list[Placed] = []
        self._draw = ImageDraw.Draw(self.image)

    def card(self, box: tuple[int, int, int, int], radius: int, colour: Colour) -> None:
        """A ground (left, top, width, height) with round corners that other things may lie on."""
        _paste_round(self.image, box, radius, colour)

    def text(self, at: tuple[int, int], text: str, ink: Colour, size: int, anchor: str = "la") -> None:
        """One line; the anchor is Pillow's."""
        left, top, right, bottom = self._draw.textbbox(at, text, font(size), anchor)
        self._draw.text(at, text, ink, font(size), anchor)
        self.placed.append(Placed(text, (int(left), int(top), -int(-right // 1), -int(-bottom // 1))))

    def paragraph(self, at: tuple[int, int], text: str, ink: Colour, size: int, width: int) -> int:
        """Text broken at spaces to fit a width; returns the top of what comes below it."""
        left, top = at
        for line in wrapped(text, size, width):
            self.text((left, top), line, ink, size)
            top += line_height(size)
        return top

    def picture(self, at: tuple[int, int], image: Image.Image, name: str) -> None:
        self.image.paste(image, at)
        self.placed.append(Placed(name, (at[0], at[1], at[0] + image.width, at[1] + image.height)))

    def bar(self, at: tuple[int, int], size: tuple[int, int], shares: Iterable[tuple[float, Colour]], name: str) -> None:
        """Shares of a whole side by side; `shares` sum to 1."""
        (left, top), (width, height) = at, size
        self.placed.append(Placed(name, (left, top, left + width, top + height)))
        start, total = left, 0.0
        for share, colour in shares:
            total += share
            end = min(left + round(total * width), left + width)
            if end > start:
                self._draw.rectangle((start, top, end - 1, top + height - 1), fill=colour)
            start = end

    def dot(self, at: tuple[int, int], diameter: int, colour: Colour, name: str = "dot") -> None:
        """A filled circle; `at` is the left and top of its square."""
        _paste_round(self.image, (*at, diameter, diameter), diameter // 2, colour)
        self.placed.append(Placed(name, (at[0], at[1], at[0] + diameter, at[1] + diameter)))

    def faults(self) -> list[str]:
        """What lies over something else or beyond the edges; empty for a sheet that can be read."""
        width, height = self.image.size
        found = [
            f"{placed.name!r} at {placed.box} leaves the sheet of {width} x {height}"
            for placed in self.placed
            if placed.box[0] < 0 or placed.box[1] < 0 or placed.box[2] > width or placed.box[3] > height
        ]
        return found + [
            f"{first.name!r} at {first.box} overlaps {second.name!r} at {second.box}"
            for first, second in combinations(self.placed, 2)
            if first.overlaps(second)
        ]


def numbered(image: Image.Image, number: int, ink: Colour, ground: Colour) -> Image.Image:
    """A copy with a round badge in its upper left corner."""
    image = image.copy()
    _paste_round(image, (4, 4, 18, 18), 9, ground)
    ImageDraw.Draw(image).text((13, 13), str(number), ink, font(12), anchor="mm")
    return image


def fitted_size(image: Image.Image, box: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the image scaled down or up to touch a box from inside."""
    scale = min(box[0] / image.width, box[1] / image.height)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def fitted(image: Image.Image, box: tuple[int, int]) -> Image.Image:
    """The image in RGB, scaled to [`fitted_size`]."""
    return image.convert("RGB").resize(fitted_size(image, box), Image.Resampling.LANCZOS)


def wrapped(text: str, size: int, width: int) -> list[str]:
    """The text broken at spaces into lines of at most so many pixels; a longer word stands alone."""
    lines = [""]
    for word in text.split(" "):  # a no-break space holds words together
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def cut(text: str, size: int, width: int) -> str:
    """The text's end where it is too long: file names differ there."""
    start = 0
    while start < len(text) and text_width(("…" if start else "") + text[start:], size) > width:
        start += 1
    return text if start == 0 else "…" + text[start:]


def text_width(text: str, size: int) -> float:
    """In pixels."""
    return font(size).getlength(text)


def line_height(size: int) -> int:
    """From one line of a paragraph to the next, in pixels."""
    return size + 5


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, so that a picture does not depend on the fonts of the machine.

    Raises:
        RuntimeError: this Pillow was built without FreeType.
    """
    found = ImageFont.load_default(size)
    if not isinstance(found, ImageFont.FreeTypeFont):
        raise RuntimeError("This Pillow was built without FreeType, which text in pictures needs; install a Pillow wheel.")
    return found


def _paste_round(image: Image.Image, box: tuple[int, int, int, int], radius: int, colour: Colour) -> None:
    """A rectangle (left, top, width, height) with round corners and smooth edges."""
    left, top, width, height = box
    mask = Image.new("L", (4 * width, 4 * height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 4 * width - 1, 4 * height - 1), 4 * radius, 255)
    image.paste(colour, (left, top, left + width, top + height), mask.resize((width, height), Image.Resampling.BOX))
