"""A picture of pretext samples: what a few photos teach at each level, as training would ask it."""

from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from .phrase_bank import BINS, STRENGTHS
from .pretext_samples import LEVELS, PretextSample, PretextSampleMaker
from .sheet import Sheet, cut, fitted, fitted_size, line_height, numbered, text_width, wrapped

TITLES = {
    "low": ("Low level", "light, colour, detail"),
    "middle": ("Middle level", "composition"),
    "high": ("High level", "theme and mood"),
}
LEGEND = (
    "One filled dot: the fifth of the photo pool that the measurement falls into, from low to high.",
    "Several filled dots: how strong the edit is, from barely to strongly.",
)
INK, GREY, FAINT, PAPER, CARD = "#1f2328", "#59636e", "#d9dee3", "#f3f5f7", "#ffffff"
COLOURS = {"low": "#0b7285", "middle": "#a8480c", "high": "#6741d9"}

# About 880 pixels wide, as web pages show a picture, so that no text is scaled down.
MARGIN, GAP, PAD, RADIUS = 16, 10, 11, 8
PHOTO = 128  # longest side of a row's photo
COLUMN = 222
INSIDE = COLUMN - 2 * PAD
BETWEEN = 8  # the pictures of a pair
THUMB = ((INSIDE - BETWEEN) // 2, 76)  # one of a pair fits in
HEADER, LABEL = 48, 21
QUESTION_SIZE, TARGET_TEXT_SIZE, SMALL = 13, 15, 12
DOT, DOT_STEP = 9, 12


@dataclass(frozen=True)
class GalleryRow:
    """A photo and its pretext samples by level, in the order in which they are drawn."""

    name: str
    photo: Image.Image
    pretext_samples: dict[str, list[PretextSample]]


def gallery_row(maker: PretextSampleMaker, key: str, photo: Image.Image, epoch: int = 0) -> GalleryRow:
    """One measured pretext sample a level, beside it an altered one where the level has edits, and the content where a teacher
    named it.

    Args:
        key: of the photo; with epoch and the maker's seed it decides the pretext samples.
    """
    pretext_samples: dict[str, list[PretextSample]] = {}
    for level in LEVELS:
        rng = maker.rng(key, f"gallery:{level}", epoch)
        pretext_samples[level] = [maker.measured(photo, rng.choice(maker.attributes[level]), rng)]
        if maker.edits[level]:
            pretext_samples[level].append(maker.any_altered(photo, level, rng))
        elif key in maker.contents:
            pretext_samples[level].append(maker.content(photo, maker.contents[key], rng))
        else:
            other = [name for name in maker.attributes[level] if name != pretext_samples[level][0].subject]
            pretext_samples[level].append(maker.measured(photo, rng.choice(other), rng))
    return GalleryRow(key, photo, pretext_samples)


def draw_gallery(rows: Iterable[GalleryRow]) -> Image.Image:
    """All rows on one sheet under a heading, in RGB.

    Raises:
        ValueError: no rows.
    """
    return lay_out(list(rows)).image


def lay_out(rows: list[GalleryRow]) -> Sheet:
    """The sheet of [`draw_gallery`]."""
    if not rows:
        raise ValueError("A gallery needs at least one photo, and none was given.")
    # The cards of a row stand side by side: each as high as the highest of its place.
    places = [
        [
            max(_card_height(pretext_sample, place) for pretext_sample in pretext_samples)
            for place, pretext_samples in enumerate(zip(*row.pretext_samples.values(), strict=True))
        ]
        for row in rows
    ]
    heights = [sum(place) + GAP * (len(place) - 1) for place in places]
    left = MARGIN + PHOTO + 2 * PAD + GAP
    width = left + len(LEVELS) * (COLUMN + GAP) - GAP + MARGIN
    footer = GAP + len(LEGEND) * line_height(QUESTION_SIZE)
    sheet = Sheet((width, MARGIN + HEADER + sum(heights) + GAP * (len(rows) - 1) + footer + MARGIN), PAPER)
    _heading(sheet, MARGIN, ("Photo", "no human label"), INK)
    for number, level in enumerate(LEVELS):
        _heading(sheet, left + number * (COLUMN + GAP), TITLES[level], COLOURS[level])
    top = MARGIN + HEADER
    for row, place, height in zip(rows, places, heights, strict=True):
        _draw_photo(sheet, row, top, height)
        for number, level in enumerate(LEVELS):
            card_top = top
            for index, (pretext_sample, card_height) in enumerate(zip(row.pretext_samples[level], place, strict=True)):
                _draw_card(sheet, pretext_sample, (left + number * (COLUMN + GAP), card_top), card_height, index)
                card_top += card_height + GAP
        top += height + GAP
    for line in LEGEND:
        sheet.text((MARGIN, top), line, GREY, QUESTION_SIZE)
        top += line_height(QUESTION_SIZE)
    return sheet


def _draw_photo(sheet: Sheet, row: GalleryRow, top: int, height: int) -> None:
    sheet.card((MARGIN, top, PHOTO + 2 * PAD, height), RADIUS, CARD)
    photo = fitted(row.photo, (PHOTO, PHOTO))
    sheet.picture((MARGIN + PAD + (PHOTO - photo.width) // 2, top + PAD), photo, row.name)
    name = cut(row.name, SMALL, PHOTO)
    sheet.text((MARGIN + PAD + PHOTO // 2, top + PAD + photo.height + 8), name, GREY, SMALL, "ma")


def _heading(sheet: Sheet, left: int, title: tuple[str, str], colour: str) -> None:
    sheet.text((left + 2, MARGIN - 4), title[0], colour, 20)
    sheet.text((left + 2, MARGIN + 20), title[1], GREY, 14)


def _draw_card(sheet: Sheet, pretext_sample: PretextSample, corner: tuple[int, int], height: int, place: int) -> None:
    left, top = corner
    sheet.card((left, top, COLUMN, height), RADIUS, CARD)
    x, y, colour = left + PAD, top + PAD, COLOURS[pretext_sample.level]
    label = cut(_label(pretext_sample), SMALL, INSIDE - BINS * DOT_STEP - 24)
    sheet.card((x, y, round(text_width(label, SMALL)) + 16, LABEL), LABEL // 2, _tint(colour))
    sheet.text((x + 8, y + LABEL // 2), label, colour, SMALL, "lm")
    _draw_scale(sheet, pretext_sample, left + COLUMN - PAD, y + LABEL // 2)
    y += LABEL + 8
    if _shows_images(pretext_sample, place):
        at = x
        for number, image in enumerate(pretext_sample.images, 1):
            thumb = fitted(image, THUMB)
            shown = numbered(thumb, number, INK, CARD) if len(pretext_sample.images) > 1 else thumb
            sheet.picture((at, y), shown, f"{pretext_sample.label} {number}")
            at += thumb.width + BETWEEN
        y += _images_height(pretext_sample) + 8
    y = sheet.paragraph((x, y), pretext_sample.question, GREY, QUESTION_SIZE, INSIDE) + 2
    sheet.paragraph((x, y), pretext_sample.target_text, INK, TARGET_TEXT_SIZE, INSIDE)


def _label(pretext_sample: PretextSample) -> str:
    """What is measured, or the edit and its direction; the dots say how much. Of a content what a teacher saw."""
    if pretext_sample.kind == "content":
        return pretext_sample.label
    name, *direction = pretext_sample.label.split(":")[: 2 if pretext_sample.kind == "altered" else 1]
    return ", ".join([name, *direction]).replace("_", " ")


def _shows_images(pretext_sample: PretextSample, place: int) -> bool:
    """Pairs always; one photo, which stands at the row's beginning anyway, only beside the other levels' pairs."""
    return len(pretext_sample.images) > 1 or place > 0


def _draw_scale(sheet: Sheet, pretext_sample: PretextSample, right: int, middle: int) -> None:
    """Where on its scale the label stands: bins from low to high, or strengths from barely to strongly."""
    if pretext_sample.bin is not None:
        number, count = pretext_sample.bin, BINS
    elif pretext_sample.kind == "altered":
        number, count = STRENGTHS.index(pretext_sample.label.rsplit(":", 1)[1]), len(STRENGTHS)
    else:
        return
    for dot in range(count):
        at = right - DOT_STEP * (count - dot) + DOT_STEP - DOT, middle - DOT // 2
        # A bin is a place on a scale, a strength an amount that fills it.
        full = dot == number if pretext_sample.kind == "measured" else dot <= number
        sheet.dot(at, DOT, COLOURS[pretext_sample.level] if full else FAINT)


def _card_height(pretext_sample: PretextSample, place: int) -> int:
    images = _images_height(pretext_sample) + 8 if _shows_images(pretext_sample, place) else 0
    question = len(wrapped(pretext_sample.question, QUESTION_SIZE, INSIDE)) * line_height(QUESTION_SIZE) + 2
    target_text = len(wrapped(pretext_sample.target_text, TARGET_TEXT_SIZE, INSIDE)) * line_height(TARGET_TEXT_SIZE)
    return PAD + LABEL + 8 + images + question + target_text + PAD - 4


def _images_height(pretext_sample: PretextSample) -> int:
    return max(fitted_size(image, THUMB)[1] for image in pretext_sample.images)


def _tint(colour: str) -> tuple[int, ...]:
    """The colour as a pale background."""
    return tuple(round(255 - 0.13 * (255 - int(colour[at : at + 2], 16))) for at in (1, 3, 5))
