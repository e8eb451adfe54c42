"""A checkpoint is one thing: saved and loaded, however it was saved and wherever it lies, everything it says is the same."""

import copy
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.processing.image_loading import load_image
from judging_everything import FAMILIES, carrying_assessor, everything, saved, tiny_photos

SAMPLES = sorted((Path(__file__).parents[1] / "examples" / "photos").glob("*.jpg"))
CARRIED = ["comments", "ridge"]  # what side files change


@pytest.fixture(scope="module", params=FAMILIES)
def tiny(request: pytest.FixtureRequest) -> AestheticAssessor:
    return carrying_assessor(request.param)


def has_all_to_lose(said: dict[str, Any], assessor: AestheticAssessor, photos: list[Any]) -> bool:
    """Whether no answer is empty, percentiles are among them, and side files change what they are there for."""
    processor = copy.copy(assessor.processor)
    processor.side_files = {}
    bare = everything(AestheticAssessor(assessor.model, processor), photos, CARRIED)
    return (
        all(said.values())
        and all(said["comments"])
        and any(said["suggestions"])
        and all(each["aesthetic"]["percentile"] is not None for each in said["ratings"])
        and all(said[part] != bare[part] for part in CARRIED)
    )


def test_a_tiny_checkpoint_saved_and_loaded_says_the_same(tiny: AestheticAssessor, tmp_path: Path) -> None:
    """A save of what the Auto classes loaded from a save, loaded by the package and by the pipeline."""
    photos = tiny_photos()
    said = everything(tiny, photos)
    assert has_all_to_lose(said, tiny, photos)
    once = saved(tiny, tmp_path / "once")
    model = AutoModelForImageTextToText.from_pretrained(once)
    twice = saved(AestheticAssessor(model, AutoProcessor.from_pretrained(once)), tmp_path / "twice")
    assert everything(AestheticAssessor.from_pretrained(twice, device="cpu"), photos) == said
    assess = pipeline("image-aesthetic-assessment", model=str(twice), device="cpu")
    assert assess(photos[0]) == tiny.assess(photos[0]).to_dict()
    for path in (once, twice):
        assert [file.name for file in path.glob("*.safetensors")] == ["model.safetensors"]  # a server loads all of these


def test_the_embedded_checkpoint_saved_twice_says_the_same(tmp_path: Path) -> None:
    """A save of a save, of the checkpoint that ships inside the package."""
    embedded = AestheticAssessor.from_pretrained(device="cpu")
    photos: list[Any] = [load_image(path).resize((240, 180)) for path in SAMPLES[:4]]
    photos[1] = photos[1].point(lambda value: value // 4)
    said = everything(embedded, photos)
    assert has_all_to_lose(said, embedded, photos)
    once = AestheticAssessor.from_pretrained(saved(embedded, tmp_path / "once"), device="cpu")
    twice = AestheticAssessor.from_pretrained(saved(once, tmp_path / "twice"), device="cpu")
    assert everything(twice, photos) == said
