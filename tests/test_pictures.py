"""The pictures of README and docs/ can be read: nothing that is drawn lies over something else or leaves the sheet."""

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

from aesthetic_mllm import Assessment, Rating
from aesthetic_mllm.pretext.gallery import gallery_row, lay_out
from aesthetic_mllm.pretext.phrase_bank import BINS, PhraseBank
from aesthetic_mllm.pretext.pretext_samples import PretextSampleMaker
from aesthetic_mllm.pretext.sheet import Sheet
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.tasks.suggesting import FLAWS, Suggestion
from synthetic_photos import scene_photo

ROOT = Path(__file__).resolve().parents[1]
LEVELS = ("bad", "poor", "fair", "good", "excellent")
SIZES = ((300, 300), (451, 300), (90, 400), (640, 80))
PHOTOS = {f"photo_{width}x{height}": Image.new("RGB", (width, height)) for width, height in SIZES}
RATING = Rating(10.0, 2.25, dict.fromkeys(LEVELS, 0.2), (1.0, 10.0))
ATTRIBUTES = ("composition", "light", "colour", "sharpness", "depth_of_field", "subject", "mood", "noise")


@pytest.fixture(scope="module")
def scripts() -> SimpleNamespace:
    """The scripts of docs/."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return SimpleNamespace(**{name: importlib.import_module(name) for name in ("make_picture", "make_assessments")})
    finally:
        sys.path.remove(str(ROOT / "docs"))


def draw_ratings(script: ModuleType, questions: tuple[str, ...]) -> Sheet:
    return script.draw_ratings(PHOTOS, dict.fromkeys(questions, [RATING] * len(PHOTOS)))


def test_the_first_picture_shows_two_ratings_a_photo(scripts: SimpleNamespace) -> None:
    sheet = draw_ratings(scripts.make_picture, scripts.make_picture.QUESTIONS)
    assert sheet.faults() == [] and 830 <= sheet.image.width <= 900
    names = [placed.name for placed in sheet.placed]
    assert [names.count(name) for name in ("aesthetic", "quality")] == [len(PHOTOS)] * 2
    assert not [name for name in names if name.startswith("flaw_")]


def test_every_question_drawn_is_found_out(scripts: SimpleNamespace) -> None:
    """Thirty questions a photo do not fit into the room for two."""
    assert draw_ratings(scripts.make_picture, ("aesthetic", "quality", *ATTRIBUTES, *(f"flaw_{key}" for key in FLAWS))).faults()


def test_assessments_have_room_for_what_they_say(scripts: SimpleNamespace) -> None:
    """Photos of any shape, with the longest advice or with nothing to say; a pair of photos is at most a screen high."""
    advice = tuple(Suggestion(flaw.text) for flaw in sorted(FLAWS.values(), key=lambda flaw: -len(flaw.text))[:3])
    long = Assessment(
        RATING, RATING, dict.fromkeys(ATTRIBUTES, RATING), "A fair photo with warm colours, but harsh light. " * 3, advice
    )
    script = scripts.make_assessments
    for said in (long, Assessment(RATING)):
        cells = [script.Cell(f"{name}, colours too strong", photo, said) for name, photo in PHOTOS.items()]
        sheet = script.draw_assessments(cells)
        assert sheet.faults() == [] and 830 <= sheet.image.width <= 900
        assert sheet.image.height <= 800 * len(cells) / 2


def test_a_gallery_of_pretext_samples_has_room_for_them() -> None:
    bank = PhraseBank()
    cuts = SimpleNamespace(bin=lambda attribute, value: BINS // 2)
    contents = {"a" * 60: "a red house beside a very long and winding road"}
    photos = {"a" * 60: (96, 72), "b.jpg": (60, 140), "c.jpg": (160, 40)}
    rows = [
        gallery_row(PretextSampleMaker(bank, cuts, contents, seed), key, scene_photo(*size))
        for seed, (key, size) in enumerate(photos.items())
    ]
    sheet = lay_out(rows)
    assert sheet.faults() == [] and 830 <= sheet.image.width <= 900


def test_a_sheet_finds_faults() -> None:
    sheet = Sheet((100, 40))
    sheet.text((4, 4), "One", "black", 12)
    sheet.bar((4, 20), (92, 10), [(0.5, "red"), (0.5, "blue")], "a bar")
    assert sheet.faults() == []
    sheet.text((10, 6), "Two", "black", 12)
    sheet.picture((90, 0), Image.new("RGB", (20, 10)), "a photo")
    assert [fault.split("'")[1] for fault in sheet.faults()] == ["a photo", "One"]


@pytest.mark.parametrize("path", sorted(path for path in (ROOT / "docs").glob("*.png")), ids=lambda path: path.name)
def test_pictures_are_as_wide_as_a_page_shows_them(path: Path) -> None:
    """So no text is scaled down; and they are small files."""
    assert 830 <= load_image(path).width <= 900 and path.stat().st_size < 600_000
