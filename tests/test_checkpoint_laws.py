"""A checkpoint is one thing: saved and loaded, however it was saved and wherever it lies, everything it says is the same."""

import copy
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.trainers import AestheticSFTConfig, AestheticSFTTrainer, save_tuned
from aesthetic_mllm.trainers.references import LEAST_PHOTOS
from judging_everything import FAMILIES, PARTS, carrying_assessor, everything, same, saved, tiny_photos

SAMPLES = sorted((Path(__file__).parents[1] / "examples" / "photos").glob("*.jpg"))
CARRIED = ("comments", "ridge")  # what side files change


@pytest.fixture(scope="module", params=FAMILIES)
def tiny(request: pytest.FixtureRequest) -> AestheticAssessor:
    return carrying_assessor(request.param)


def check_that_there_is_something_to_lose(
    said: dict[str, Any], assessor: AestheticAssessor, photos: list[Any], style: str
) -> None:
    """No answer is empty, percentiles are among them, and side files change what they are there for."""
    processor = copy.copy(assessor.processor)
    processor.side_files = {}
    bare = everything(AestheticAssessor(assessor.model, processor), photos, CARRIED, style)
    assert [part for part in PARTS if not said[part]] == []
    assert any(said["comments"]) and any(said["suggestions"])
    assert all(each["aesthetic"]["percentile"] is not None for each in said["ratings"])
    assert said["comments"] != bare["comments"] and not same(said["ridge"], bare["ridge"])


def test_a_tiny_checkpoint_saved_and_loaded_says_the_same(tiny: AestheticAssessor, tmp_path: Path) -> None:
    """A save of what the Auto classes loaded from a save, loaded by the package and by the pipeline."""
    photos = tiny_photos()
    said = everything(tiny, photos)
    check_that_there_is_something_to_lose(said, tiny, photos, "detailed")
    once = saved(tiny, tmp_path / "once")
    model = AutoModelForImageTextToText.from_pretrained(once)
    twice = saved(AestheticAssessor(model, AutoProcessor.from_pretrained(once)), tmp_path / "twice")
    assert same(everything(AestheticAssessor.from_pretrained(twice, device="cpu"), photos), said)
    assess = pipeline("image-aesthetic-assessment", model=str(twice), device="cpu")
    assert same(assess(photos[0]), tiny.assess(photos[0]).to_dict())
    for path in (once, twice):
        assert [file.name for file in path.glob("*.safetensors")] == ["model.safetensors"]  # a server loads all of these


def test_a_tuned_checkpoint_saved_and_loaded_says_the_same(tmp_path: Path) -> None:
    """What the model in memory says after tuning, with what `save_tuned` leaves of percentiles; side files stay."""
    start, photos = carrying_assessor("cnn-llama"), tiny_photos()
    untuned = everything(start, photos)
    rows = []
    for number in range(LEAST_PHOTOS):
        photos[number % 5].rotate(number).save(tmp_path / f"{number}.png")
        rows.append({"images": [str(tmp_path / f"{number}.png")], "question": "aesthetic", "mean": 1.0 + number % 10})
    arguments = AestheticSFTConfig(
        output_dir=str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=4, learning_rate=1e-2, save_strategy="no",
        use_cpu=True, bf16=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = AestheticSFTTrainer(start.model, arguments, processing_class=start.processor, train_dataset=Dataset.from_list(rows))
    trainer.train()
    save_tuned(trainer, tmp_path / "tuned")
    trainer.save_model(str(tmp_path / "model"))
    said = everything(AestheticAssessor(trainer.model, trainer.processing_class), photos)
    assert all(each["aesthetic"]["percentile"] is not None for each in said["ratings"])
    assert [part for part in PARTS if same(said[part], untuned[part])] == []
    for folder in ("tuned", "model"):
        loaded = AestheticAssessor.from_pretrained(tmp_path / folder, device="cpu")
        assert same(everything(loaded, photos), said)
        assert loaded.processor.side_files.keys() == start.processor.side_files.keys() != set()


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["small", "whole"])
def test_the_embedded_checkpoint_saved_twice_says_the_same(whole: bool, tmp_path: Path) -> None:
    """A save of a save, of the checkpoint that ships inside the package; the slow form: whole photos, detailed comments."""
    embedded = AestheticAssessor.from_pretrained(device="cpu")
    photos: list[Any] = [load_image(path) for path in (SAMPLES if whole else SAMPLES[:4])]
    photos = photos if whole else [photo.resize((240, 180)) for photo in photos]
    photos[3] = photos[3].point(lambda value: value // 3)
    style = "detailed" if whole else "brief"
    said = everything(embedded, photos, style=style)
    check_that_there_is_something_to_lose(said, embedded, photos, style)
    once = AestheticAssessor.from_pretrained(saved(embedded, tmp_path / "once"), device="cpu")
    twice = AestheticAssessor.from_pretrained(saved(once, tmp_path / "twice"), device="cpu")
    assert same(everything(twice, photos, style=style), said)
