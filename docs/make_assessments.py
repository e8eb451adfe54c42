"""Draws a contact sheet of assessments: ratings, attributes, a comment and suggestions beside each photo.

    python docs/make_assessments.py                                  # docs/assessments.png
    python docs/make_assessments.py --output sheet.png PHOTO [...]   # of your own photos

Without photos it takes the six sample photos, which nano has never seen, and each of them damaged by one edit.
"""

import argparse
import textwrap
from pathlib import Path

from make_picture import COLOURS, INK, ROOT, TILE
from PIL import Image, ImageDraw, ImageFont

from aesthetic_mllm import AestheticAssessor, Assessment
from aesthetic_mllm.editing import EDITS

MARGIN, TEXT_WIDTH, LINE = 16, 350, 16
COLUMNS = 2
# What is done to the samples, in their order.
DAMAGES = (("exposure", -1.2), ("haze", 0.5), ("saturation", 1.2), ("tilt", 8.0), ("temperature", -0.9), ("noise", 0.15))


def sample_photos() -> list[tuple[str, Image.Image]]:
    """Name and photo of the samples and of their damaged copies."""
    photos = []
    for path, (name, amount) in zip(sorted((ROOT / "examples" / "photos").glob("*.jpg")), DAMAGES, strict=True):
        photo = Image.open(path).convert("RGB")
        photos += [(path.stem, photo), (f"{path.stem}, {EDITS[name].describe(amount)}", EDITS[name].apply(photo, amount))]
    return photos


def draw_assessment(sheet: Image.Image, left: int, top: int, name: str, photo: Image.Image, told: Assessment) -> None:
    """One photo and what is said of it."""
    draw = ImageDraw.Draw(sheet)
    small = photo.copy()
    small.thumbnail((TILE, TILE))
    sheet.paste(small, (left, top))
    x, y = left + TILE + MARGIN, top

    def write(text: str, size: int = 12) -> None:
        nonlocal y
        for line in textwrap.wrap(text, TEXT_WIDTH // (size // 2 + 1)):
            draw.text((x, y), line, INK, ImageFont.load_default(size))
            y += LINE

    write(name, 13)
    spread = "" if told.rating.std is None else f" ± {told.rating.std:.1f}"
    write(f"aesthetic {told.rating.mean:.1f}{spread}" + (f", quality {told.quality.mean:.1f}" if told.quality else ""))
    start = float(x)
    for word, share in (told.rating.distribution or {}).items():
        draw.rectangle((start, y + 1, start + share * TEXT_WIDTH * 0.8, y + 9), fill=COLOURS[word])
        start += share * TEXT_WIDTH * 0.8
    y += LINE
    write(", ".join(f"{key.replace('_', ' ')} {rating.mean:.1f}" for key, rating in told.attributes.items()), 11)
    write(told.comment)
    for suggestion in told.suggestions:
        gain = suggestion.measured_gain
        write(f"- {suggestion.text}" + ("" if gain is None else f" ({gain:+.1f})"), 11)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--model", type=Path, help="default: the embedded checkpoint")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "assessments.png")
    arguments = parser.parse_args()
    named = [(path.stem, Image.open(path).convert("RGB")) for path in arguments.photos] or sample_photos()
    assessor = AestheticAssessor.from_pretrained(arguments.model)
    told = assessor.assess([photo for _, photo in named])
    height = TILE + 2 * MARGIN
    width = TILE + TEXT_WIDTH + 2 * MARGIN
    sheet = Image.new("RGB", (COLUMNS * width + MARGIN, -(-len(named) // COLUMNS) * height + MARGIN), "white")
    for index, ((name, photo), assessment) in enumerate(zip(named, told, strict=True)):
        left, top = MARGIN + index % COLUMNS * width, MARGIN + index // COLUMNS * height
        draw_assessment(sheet, left, top, name, photo, assessment)
    sheet.save(arguments.output, optimize=True)


if __name__ == "__main__":
    main()
