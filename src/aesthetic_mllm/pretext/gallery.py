"""A picture of lessons: what a few photos teach at each level, as training would ask it."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from .lessons import LEVELS, Lesson, LessonMaker
from .phrase_bank import BINS, STRENGTHS

TITLES = {
    "low": ("Low level", "light, colour and detail"),
    "middle": ("Middle level", "composition"),
    "high": ("High level", "theme and mood"),
}
LEGEND = (
    "One dot: where the photo stands in the pool, from the lowest bin to the highest.   "
    "Filled dots: how strong the change is, from barely to strongly."
)
INK, GREY, FAINT, PAPER, CARD = "#1f2328", "#6a737d", "#d9dee3", "#f3f5f7", "#ffffff"
COLOURS = {"low": "#0b7285", "middle": "#a8480c", "high": "#6741d9"}

MARGIN, GAP, PAD = 28, 16, 14
PHOTO = 210  # longest side of a row's photo
THUMB = (152, 110)  # a pair's pictures fit in
BETWEEN = 12  # the pictures of a pair
COLUMN = 358  # the longest question fits into a line
HEADER = 58
FOOTER = 34
RADIUS = 10


@dataclass(frozen=True)
class GalleryRow:
    """A photo and its lessons by level, in the order in which they are drawn."""

    name: str
    photo: Image.Image
    lessons: dict[str, list[Lesson]]


def gallery_row(maker: LessonMaker, key: str, photo: Image.Image, epoch: int = 0) -> GalleryRow:
    """One measured lesson a level, beside it an altered one where the level has edits, and the content where a teacher named it.

    Args:
        key: of the photo; with epoch and the maker's seed it decides the lessons.
    """
    lessons: dict[str, list[Lesson]] = {}
    for level in LEVELS:
        rng = maker.rng(key, f"gallery:{level}", epoch)
        lessons[level] = [maker.measured(photo, rng.choice(maker.attributes[level]), rng)]
        if maker.edits[level]:
            lessons[level].append(maker.any_altered(photo, level, rng))
        elif key in maker.contents:
            lessons[level].append(maker.content(photo, maker.contents[key], rng))
        else:
            other = [name for name in maker.attributes[level] if name != lessons[level][0].subject]
            lessons[level].append(maker.measured(photo, rng.choice(other), rng))
    return GalleryRow(key, photo, lessons)


def draw_gallery(rows: Iterable[GalleryRow]) -> Image.Image:
    """All rows on one sheet under a heading, in RGB.

    Raises:
        ValueError: no rows.
    """
    rows = list(rows)
    if not rows:
        raise ValueError("A gallery needs at least one photo, and none was given.")
    # The cards of a row stand side by side: each as high as the highest of its place.
    places = [
        [
            max(map(_card_height, cards, [place] * len(cards)))
            for place, cards in enumerate(zip(*row.lessons.values(), strict=True))
        ]
        for row in rows
    ]
    heights = [sum(place) + GAP * (len(place) - 1) for place in places]
    left = MARGIN + PHOTO + 2 * PAD + GAP
    width = left + len(LEVELS) * (COLUMN + GAP) - GAP + MARGIN
    sheet = Image.new("RGB", (width, MARGIN + HEADER + sum(heights) + GAP * (len(rows) - 1) + FOOTER + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    _heading(draw, MARGIN, ("Photo", "no human label"), INK)
    for number, level in enumerate(LEVELS):
        _heading(draw, left + number * (COLUMN + GAP), TITLES[level], COLOURS[level])
    top = MARGIN + HEADER
    for row, place, height in zip(rows, places, heights, strict=True):
        _draw_photo(sheet, draw, row, top, height)
        for number, level in enumerate(LEVELS):
            card_top = top
            for index, (lesson, card_height) in enumerate(zip(row.lessons[level], place, strict=True)):
                _draw_card(sheet, draw, lesson, (left + number * (COLUMN + GAP), card_top), card_height, index)
                card_top += card_height + GAP
        top += height + GAP
    draw.text((left + 2, top + 4), LEGEND, GREY, _font(14))
    return sheet


def _draw_photo(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: GalleryRow, top: int, height: int) -> None:
    _round(sheet, (MARGIN, top, PHOTO + 2 * PAD, height), RADIUS, CARD)
    photo = _fitted(row.photo, (PHOTO, PHOTO))
    caption = _font(14)
    x = MARGIN + PAD + (PHOTO - photo.width) // 2
    y = top + (height - photo.height - 26) // 2
    sheet.paste(photo, (x, y))
    name = _cut(row.name, caption, PHOTO)
    draw.text((MARGIN + PAD + PHOTO // 2, y + photo.height + 10), name, GREY, caption, anchor="ma")


def _heading(draw: ImageDraw.ImageDraw, left: int, title: tuple[str, str], colour: str) -> None:
    draw.text((left + 2, MARGIN - 4), title[0], colour, _font(23))
    draw.text((left + 2, MARGIN + 25), title[1], GREY, _font(15))


def _draw_card(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, lesson: Lesson, corner: tuple[int, int], height: int, place: int
) -> None:
    left, top = corner
    _round(sheet, (left, top, COLUMN, height), RADIUS, CARD)
    x, y, colour = left + PAD, top + PAD, COLOURS[lesson.level]
    font = _font(13)
    label = _cut(lesson.label, font, COLUMN - 2 * PAD - 110)
    _round(sheet, (x, y, round(font.getlength(label)) + 18, 22), 11, _tint(colour))
    draw.text((x + 9, y + 11), label, colour, font, anchor="lm")
    _draw_scale(sheet, lesson, left + COLUMN - PAD, y + 11)
    y += 22 + 10
    if _shows_images(lesson, place):
        at = x
        for number, image in enumerate(lesson.images):
            thumb = _fitted(image, THUMB)
            sheet.paste(thumb, (at, y))
            if len(lesson.images) > 1:
                _round(sheet, (at + 6, y + 6, 22, 22), 11, CARD)
                draw.text((at + 17, y + 17), str(number + 1), INK, font, anchor="mm")
            at += thumb.width + BETWEEN
        y += _images_height(lesson) + 10
    for text, ink, size in ((lesson.question, GREY, 14), (lesson.cue, INK, 17)):
        for line in _lines(text, size):
            draw.text((x, y), line, ink, _font(size))
            y += size + 6
        y += 2


def _shows_images(lesson: Lesson, place: int) -> bool:
    """Pairs always; one photo, which stands at the row's beginning anyway, only beside the other levels' pairs."""
    return len(lesson.images) > 1 or place > 0


def _draw_scale(sheet: Image.Image, lesson: Lesson, right: int, middle: int) -> None:
    """Where on its scale the label stands: bins from low to high, or strengths from barely to strongly."""
    if lesson.bin is not None:
        number, count = lesson.bin, BINS
    elif lesson.kind == "altered":
        number, count = STRENGTHS.index(lesson.label.rsplit(":", 1)[1]), len(STRENGTHS)
    else:
        return
    for dot in range(count):
        x = right - 14 * (count - dot) + 4
        # A bin is a place on a scale, a strength an amount that fills it.
        full = dot == number if lesson.kind == "measured" else dot <= number
        _round(sheet, (x, middle - 5, 10, 10), 5, COLOURS[lesson.level] if full else FAINT)


def _round(sheet: Image.Image, box: tuple[int, int, int, int], radius: int, colour: str | tuple[int, ...]) -> None:
    """A rectangle (left, top, width, height) with round corners and smooth edges."""
    left, top, width, height = box
    mask = Image.new("L", (4 * width, 4 * height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 4 * width - 1, 4 * height - 1), 4 * radius, 255)
    sheet.paste(colour, (left, top, left + width, top + height), mask.resize((width, height), Image.Resampling.BOX))


def _card_height(lesson: Lesson, place: int) -> int:
    text = sum(len(_lines(text, size)) * (size + 6) + 2 for text, size in ((lesson.question, 14), (lesson.cue, 17)))
    return PAD + 22 + 10 + (_images_height(lesson) + 10 if _shows_images(lesson, place) else 0) + text + PAD - 6


def _images_height(lesson: Lesson) -> int:
    return max(_fitted_size(image, THUMB)[1] for image in lesson.images)


def _fitted_size(image: Image.Image, box: tuple[int, int]) -> tuple[int, int]:
    scale = min(box[0] / image.width, box[1] / image.height)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image in RGB, scaled down or up to touch a box from inside."""
    return image.convert("RGB").resize(_fitted_size(image, size), Image.Resampling.LANCZOS)


def _lines(text: str, size: int) -> list[str]:
    """The text broken at spaces to fit into a card."""
    font, lines = _font(size), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > COLUMN - 2 * PAD and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text's end where it is too long: file names differ there."""
    start = 0
    while start < len(text) and font.getlength(("…" if start else "") + text[start:]) > width:
        start += 1
    return text if start == 0 else "…" + text[start:]


def _tint(colour: str) -> tuple[int, ...]:
    """The colour as a pale background."""
    return tuple(round(255 - 0.13 * (255 - int(colour[at : at + 2], 16))) for at in (1, 3, 5))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, so that the picture does not depend on the machine's.

    Raises:
        RuntimeError: this Pillow was built without FreeType.
    """
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("This Pillow was built without FreeType, which the gallery's text needs; install a Pillow wheel.")
    return font
