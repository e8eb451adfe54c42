"""Draws a contact sheet of assessments: each photo with its ratings, attributes, comment and suggestions.

    python docs/make_assessments.py                                  # docs/assessments.png
    python docs/make_assessments.py --output sheet.png PHOTO [...]   # of your own photos

Without photos it takes the six sample photos, which nano has never seen, each beside itself damaged by one edit.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from make_picture import COLOURS, GREY, INK, MARGIN, ROOT, draw_legend, sample_photos
from PIL import Image

from aesthetic_mllm import AestheticAssessor, Assessment
from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.pretext.sheet import Sheet, fitted
from aesthetic_mllm.processing.image_loading import load_image

COLUMNS, GAP = 2, 20
PHOTO, TEXT = (176, 140), 206
SIDE, BETWEEN = 190, 14  # width of the attributes below the photo, and the space to the text
WIDTH = SIDE + BETWEEN + TEXT + GAP  # of a cell and the gap behind it
FOOTER, BAR = 34, 9
ATTRIBUTES = (0, 86), (98, SIDE)  # where their two columns begin and end
# What is done to the samples, in their order: edit, amount, and how it is written above the photo.
DAMAGES = (
    ("exposure", -1.2, "1.2 EV too dark"),
    ("haze", 0.5, "with haze"),
    ("saturation", 1.2, "colours too strong"),
    ("tilt", 8.0, "tilted by 8°"),
    ("temperature", -0.9, "too cool"),
    ("noise", 0.15, "with noise"),
)


class Cell(NamedTuple):
    """A photo, its title, and what is said of it."""

    title: str
    photo: Image.Image
    assessment: Assessment


def photos_with_damage() -> list[tuple[str, Image.Image]]:
    """Titles and photos: each sample, then the same one damaged."""
    pairs = []
    for (title, photo), (edit, amount, damage) in zip(sample_photos().items(), DAMAGES, strict=True):
        pairs += [(title, photo), (f"{title}, {damage}", EDITS[edit].apply(photo, amount))]
    return pairs


def draw_assessments(cells: Sequence[Cell]) -> Sheet:
    """Two photos a row; a row is as high as what it holds."""
    width = 2 * MARGIN + COLUMNS * WIDTH - GAP
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    heights = [max(map(_height, row)) for row in rows]
    sheet = Sheet((width, MARGIN + sum(heights) + GAP * len(rows) + FOOTER))
    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            _draw(sheet, (MARGIN + column * WIDTH, top), cell)
        top += height + GAP
    draw_legend(sheet, top, "ratings from 1 to 10")
    return sheet


def _draw(sheet: Sheet, at: tuple[int, int], cell: Cell) -> int:
    """A photo above its attributes, and beside them what is said of it; returns the lower end."""
    left, top = at
    photo, said = fitted(cell.photo, PHOTO), cell.assessment
    sheet.picture(at, photo, f"photo {cell.title}")
    below = _draw_attributes(sheet, (left, top + photo.height + 6), said)
    left += SIDE + BETWEEN
    top = sheet.paragraph((left, top), cell.title, INK, 15, TEXT) + 3
    for question, rating in (("aesthetic", said.rating), ("quality", said.quality)):
        if rating is None:
            continue
        sheet.text((left, top), question, GREY, 13)
        sheet.text((left + 86, top), f"{rating.mean:.1f}", INK, 13, "ra")
        shares = [(share, COLOURS[word]) for word, share in (rating.distribution or {}).items()]
        sheet.bar((left + 96, top + 4), (TEXT - 96, BAR), shares, f"{question} bar")
        top += 18
    top += 5
    top = sheet.paragraph((left, top), said.comment, INK, 14, TEXT) + 4 if said.comment else top
    for suggestion in said.suggestions:
        sheet.text((left, top), "-", GREY, 13)
        top = sheet.paragraph((left + 12, top), suggestion.text, INK, 13, TEXT - 12) + 1
    return max(top, below)


def _draw_attributes(sheet: Sheet, at: tuple[int, int], said: Assessment) -> int:
    """Names and means in two columns; returns the lower end."""
    names, (left, top) = list(said.attributes), at
    rows = -(-len(names) // 2)
    for index, name in enumerate(names):
        start, end = ATTRIBUTES[index // rows]
        y = top + index % rows * 16
        sheet.text((left + start, y), name.replace("_", " "), GREY, 12)
        sheet.text((left + end, y), f"{said.attributes[name].mean:.0f}", INK, 12, "ra")
    return top + rows * 16


def _height(cell: Cell) -> int:
    """Of a photo with its text, in pixels."""
    return _draw(Sheet((1, 1)), (0, 0), cell)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--model", type=Path, help="default: the embedded checkpoint")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "assessments.png")
    arguments = parser.parse_args()
    named = [(path.stem, load_image(path)) for path in arguments.photos] or photos_with_damage()
    assessments = AestheticAssessor.from_pretrained(arguments.model).assess([photo for _, photo in named])
    cells = [Cell(*each, assessment) for each, assessment in zip(named, assessments, strict=True)]
    draw_assessments(cells).image.save(arguments.output, optimize=True)


if __name__ == "__main__":
    main()
