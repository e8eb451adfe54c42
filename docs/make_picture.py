"""Draws the first picture of README: the sample photos with two ratings each by the embedded checkpoint.

python docs/make_picture.py
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from aesthetic_mllm import AestheticAssessor, Rating
from aesthetic_mllm.pretext.sheet import Sheet, fitted
from aesthetic_mllm.processing.image_loading import load_image

ROOT = Path(__file__).parents[1]
QUESTIONS = ("aesthetic", "quality")  # the two that a photo can show; the checkpoint knows many more
COLOURS = {"bad": "#b2182b", "poor": "#ef8a62", "fair": "#d0d0d0", "good": "#67a9cf", "excellent": "#2166ac"}
INK, GREY, GROUND = "#1f2328", "#59636e", "#f3f5f7"
COLUMNS, MARGIN, GAP = 3, 20, 20
PHOTO = (266, 178)  # as large as a reader sees them; landscape photos of 3:2 fill it
RATING, BAR = 46, 10  # height of a rating with its bar, and of the bar
CAPTION, FOOTER = 8 + RATING * len(QUESTIONS), 40


def sample_photos() -> dict[str, Image.Image]:
    """Of examples/photos, by name."""
    return {path.stem: load_image(path) for path in sorted((ROOT / "examples" / "photos").glob("*.jpg"))}


def draw_ratings(photos: Mapping[str, Image.Image], ratings: Mapping[str, Sequence[Rating]]) -> Sheet:
    """Photos in rows of three with their ratings below them, and the colours' meaning at the foot.

    Args:
        ratings: of the photos, by question.
    """
    rows = -(-len(photos) // COLUMNS)
    row_height = PHOTO[1] + CAPTION + GAP
    sheet = Sheet((2 * MARGIN + COLUMNS * (PHOTO[0] + GAP) - GAP, MARGIN + rows * row_height + FOOTER))
    for index, (name, photo) in enumerate(photos.items()):
        left, top = MARGIN + index % COLUMNS * (PHOTO[0] + GAP), MARGIN + index // COLUMNS * row_height
        small = fitted(photo, PHOTO)
        sheet.card((left, top, *PHOTO), 0, GROUND)
        sheet.picture((left + (PHOTO[0] - small.width) // 2, top + (PHOTO[1] - small.height) // 2), small, name)
        for line, (question, answers) in enumerate(ratings.items()):
            draw_rating(sheet, (left, top + PHOTO[1] + 12 + RATING * line), PHOTO[0], question, answers[index])
    draw_legend(sheet, MARGIN + rows * row_height + 2, "mean ± standard deviation, from 1 to 10")
    return sheet


def draw_rating(sheet: Sheet, at: tuple[int, int], width: int, question: str, rating: Rating, size: int = 17) -> None:
    """Question and number on a line, and under it the level words' shares as one bar."""
    left, top = at
    spread = "" if rating.std is None else f" ± {rating.std:.1f}"
    sheet.text((left, top + 15), question, GREY, size - 2, "ls")
    sheet.text((left + width, top + 15), f"{rating.mean:.1f}{spread}", INK, size, "rs")
    shares = [(share, COLOURS[word]) for word, share in (rating.distribution or {}).items()]
    sheet.bar((left, top + 22), (width, BAR), shares, f"{question} bar")


def draw_legend(sheet: Sheet, top: int, numbers: str) -> None:
    """What the colours and the numbers mean."""
    left = MARGIN
    for word, colour in COLOURS.items():
        sheet.bar((left, top), (14, 14), [(1.0, colour)], f"colour of {word}")
        sheet.text((left + 21, top + 7), word, INK, 15, "lm")
        left += 92
    sheet.text((sheet.image.width - MARGIN, top + 7), numbers, GREY, 15, "rm")


def main() -> None:
    photos = sample_photos()
    assessor = AestheticAssessor.from_pretrained()
    sheet = draw_ratings(photos, {question: assessor.score(list(photos.values()), question) for question in QUESTIONS})
    sheet.image.save(ROOT / "docs" / "ratings.png", optimize=True)


if __name__ == "__main__":
    main()
