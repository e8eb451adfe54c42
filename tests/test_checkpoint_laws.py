"""A checkpoint is one thing: saved and loaded, however it was saved and wherever it lies, everything it says is the same."""

import copy
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.processing.image_loading import load_image
from judging_everything import FAMILIES, PARTS, carrying_assessor, everything, same, saved, tiny_photos

SAMPLES = sorted((Path(__file__).parents[1] / "examples" / "photos").glob("*.jpg"))
CARRIED = ("comments", "ridge")  # what side files change


@pytest.fixture(scope="module", params=FAMILIES)
def tiny(request: pytest.FixtureRequest) -> AestheticAssessor:
    return carrying_assessor(request.param)


def check_that_there_is_something_to_lose(said: dict[str, Any], assessor: AestheticAssessor, photos: list[Any]) -> None:
    """No answer is empty, percentiles are among them, and side files change what they are there for."""
    processor = copy.copy(assessor.processor)
    processor.side_files = {}
    bare = everything(AestheticAssessor(assessor.model, processor), photos, CARRIED, style="brief")
    assert [part for part in PARTS if not said[part]] == []
    assert any(said["comments"]) and any(said["suggestions"])
    assert all(each["aesthetic"]["percentile"] is not None for each in said["ratings"])
    assert said["comments"][0] != bare["comments"][0] and not same(said["ridge"], bare["ridge"])


def test_a_tiny_checkpoint_saved_and_loaded_says_the_same(tiny: AestheticAssessor, tmp_path: Path) -> None:
    """A save of what the Auto classes loaded from a save, loaded by the package and by the pipeline."""
    photos = tiny_photos()
    said = everything(tiny, photos)
    check_that_there_is_something_to_lose(said, tiny, photos)
    once = saved(tiny, tmp_path / "once")
    model = AutoModelForImageTextToText.from_pretrained(once)
    twice = saved(AestheticAssessor(model, AutoProcessor.from_pretrained(once)), tmp_path / "twice")
    assert same(everything(AestheticAssessor.from_pretrained(twice, device="cpu"), photos), said)
    assess = pipeline("image-aesthetic-assessment", model=str(twice), device="cpu")
    assert same(assess(photos[0]), tiny.assess(photos[0]).to_dict())
    for path in (once, twice):
        assert [file.name for file in path.glob("*.safetensors")] == ["model.safetensors"]  # a server loads all of these


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["small", "whole"])
def test_the_embedded_checkpoint_saved_twice_says_the_same(whole: bool, tmp_path: Path) -> None:
    """A save of a save, of the checkpoint that ships inside the package; the slow form with whole photos and detailed comments."""
    embedded = AestheticAssessor.from_pretrained(device="cpu")
    photos: list[Any] = [load_image(path) for path in (SAMPLES if whole else SAMPLES[:4])]
    photos = photos if whole else [photo.resize((240, 180)) for photo in photos]
    photos[3] = photos[3].point(lambda value: value // 2)
    style = "detailed" if whole else "brief"
    said = everything(embedded, photos, style=style)
    check_that_there_is_something_to_lose(said, embedded, photos)
    once = AestheticAssessor.from_pretrained(saved(embedded, tmp_path / "once"), device="cpu")
    twice = AestheticAssessor.from_pretrained(saved(once, tmp_path / "twice"), device="cpu")
    assert same(everything(twice, photos, style=style), said)
