"""Draws the picture of README: the sample photos with their ratings by the embedded checkpoint.

python docs/make_picture.py
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from aesthetic_mllm import AestheticAssessor, Rating

ROOT = Path(__file__).parents[1]
TILE, MARGIN, CAPTION = 250, 16, 92
COLOURS = {"bad": "#b2182b", "poor": "#ef8a62", "fair": "#cfcfcf", "good": "#67a9cf", "excellent": "#2166ac"}
INK = "#222222"


def main() -> None:
    photos = sorted((ROOT / "examples" / "photos").glob("*.jpg"))
    assessor = AestheticAssessor.from_pretrained()
    ratings = {question: assessor.score(photos, question) for question in assessor.processor.rating_scale.questions}
    columns = 3
    rows = -(-len(photos) // columns)
    width = columns * (TILE + MARGIN) + MARGIN
    sheet = Image.new("RGB", (width, rows * (TILE + CAPTION) + MARGIN + 30), "white")
    draw = ImageDraw.Draw(sheet)
    for index, photo in enumerate(photos):
        left = MARGIN + index % columns * (TILE + MARGIN)
        top = MARGIN + index // columns * (TILE + CAPTION)
        image = Image.open(photo).convert("RGB")
        image.thumbnail((TILE, TILE))
        sheet.paste(image, (left + (TILE - image.width) // 2, top + (TILE - image.height) // 2))
        for line, (question, answers) in enumerate(ratings.items()):
            draw_rating(draw, left, top + TILE + 8 + 36 * line, question, answers[index])
    left = MARGIN
    for word, colour in COLOURS.items():
        draw.rectangle((left, sheet.height - 28, left + 14, sheet.height - 14), fill=colour)
        draw.text((left + 20, sheet.height - 30), word, INK, ImageFont.load_default(14))
        left += 100
    sheet.save(ROOT / "docs" / "ratings.png", optimize=True)


def draw_rating(draw: ImageDraw.ImageDraw, left: int, top: int, question: str, rating: Rating) -> None:
    """A line of numbers, and under it the level words' shares as one bar."""
    draw.text((left, top), f"{question}  {rating.mean:.1f} ± {rating.std:.1f}", INK, ImageFont.load_default(15))
    start = float(left)
    for word, share in rating.distribution.items():
        draw.rectangle((start, top + 20, start + share * TILE, top + 29), fill=COLOURS[word])
        start += share * TILE


if __name__ == "__main__":
    main()
