"""A cached lesson teaches what the lesson itself does; the cache is filled once, and takes no other lessons."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.pretext.lesson_dataset import LessonDataset
from aesthetic_mllm.pretext.lessons import LessonMaker
from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.trainers.aesthetic_alignment_config import AestheticAlignmentConfig
from aesthetic_mllm.trainers.aesthetic_alignment_trainer import AestheticAlignmentTrainer
from aesthetic_mllm.trainers.alignment_model import AlignmentModel
from aesthetic_mllm.trainers.lesson_cache import LessonCache, LessonCacheError
from aesthetic_mllm.trainers.lesson_collator import LessonCollator, LessonVocabulary
from synthetic_photos import scene_photo
from tiny_models import tiny_model, tiny_processor

BANK = PhraseBank()
PHOTOS = 12


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> LessonDataset:
    folder = tmp_path_factory.mktemp("pool")
    for number in range(PHOTOS):
        scene_photo(72 + 4 * (number % 5), 64).save(folder / f"{number:02}.png")
    (folder / "broken.png").write_bytes(b"no photo")
    statistics = PoolStatistics({name: (0.2, 0.4, 0.6, 0.8) for name in BANK.attributes})
    contents = {f"{folder.name}/{number:02}.png": "a cat" for number in range(PHOTOS)}
    return LessonDataset(open_pool([folder]), LessonMaker(BANK, statistics, contents))


@pytest.fixture(scope="module", params=["efficientnet_lite", "dinov2"])
def filled(request: Any, lessons: LessonDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[LessonCache, Any, Any]:
    """Two epochs of lessons, and the model and processor that saw them."""
    processor = tiny_processor()
    model = tiny_model(request.param, "llama", processor).eval()
    cache = LessonCache(tmp_path_factory.mktemp("work") / "cache", lessons, model, processor.image_processor, epochs=2)
    unreadable = cache.fill()
    assert unreadable == {row["key"] for row in lessons.pool if row["key"].endswith("broken.png")}
    return cache, model, processor


def test_a_cached_batch_has_the_losses_of_its_photos(
    filled: tuple[LessonCache, Any, Any], lessons: LessonDataset, tmp_path: Path
) -> None:
    """Equal but for the half precision that features are kept in."""
    cache, model, processor = filled
    assert len(cache) == 2 * len(lessons)
    vocabulary = LessonVocabulary(BANK, ["a cat"])
    collator = LessonCollator(processor, vocabulary)
    aligning = AlignmentModel(
        model, processor, BANK, vocabulary, AestheticAlignmentConfig(output_dir=str(tmp_path), use_cpu=True)
    ).eval()
    for epoch in range(2):
        lessons.set_epoch(epoch)
        own = collator([lessons[index] for index in range(len(lessons))])
        cached = collator([cache[epoch * len(lessons) + index] for index in range(len(lessons))])
        assert torch.equal(own["labels"], cached["labels"]) and torch.equal(own["subjects"], cached["subjects"])
        for batch in (own, cached):
            batch.pop("unreadable")
        with torch.inference_mode():
            expected, found = aligning(**own), aligning(**cached)
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=2e-3, atol=2e-3)


def test_later_epochs_say_the_same_in_other_words(filled: tuple[LessonCache, Any, Any]) -> None:
    cache = filled[0]
    first = [cache[index].lesson for index in range(len(cache))]
    cache.set_epoch(1)
    second, again = ([cache[index].lesson for index in range(len(cache))] for _ in range(2))
    cache.set_epoch(0)
    assert [lesson.label for lesson in first] == [lesson.label for lesson in second]
    assert [lesson.verdict for lesson in first] == [lesson.verdict for lesson in second]
    assert second == again
    assert sum(one.cue != other.cue for one, other in zip(first, second, strict=True)) > len(cache) / 2


def test_what_was_seen_is_not_seen_again(filled: tuple[LessonCache, Any, Any]) -> None:
    cache = filled[0]
    times = {path: path.stat().st_mtime_ns for path in cache.folder.iterdir()}
    missing = cache.folder / "3.safetensors"
    before = cache[3]
    missing.unlink()
    assert len(cache.fill()) == 1  # the broken photo, which is not opened again
    assert cache[3].lesson == before.lesson
    torch.testing.assert_close(cache[3].feature_maps, before.feature_maps, rtol=2e-3, atol=2e-3)
    assert {path: path.stat().st_mtime_ns for path in cache.folder.iterdir() if path != missing} == {
        path: time for path, time in times.items() if path != missing
    }


def test_other_lessons_are_refused(filled: tuple[LessonCache, Any, Any], lessons: LessonDataset, tmp_path: Path) -> None:
    cache, model, processor = filled
    with pytest.raises(LessonCacheError, match=r"another run \(epochs differ"):
        LessonCache(cache.folder, lessons, model, processor.image_processor, epochs=3)
    other = copy.deepcopy(model)
    next(other.model.vision_tower.parameters()).data += 1
    with pytest.raises(LessonCacheError, match=r"another run \(tower differ"):
        LessonCache(cache.folder, lessons, other, processor.image_processor, epochs=2)
    (tmp_path / "holiday.txt").write_text("not yours")
    with pytest.raises(LessonCacheError, match="not empty"):
        LessonCache(tmp_path, lessons, model, processor.image_processor)


def test_the_trainer_learns_from_a_cache(filled: tuple[LessonCache, Any, Any], tmp_path: Path) -> None:
    """No photo is opened any more, and the loss falls."""
    cache, model, processor = filled
    args = AestheticAlignmentConfig(
        output_dir=str(tmp_path), learning_rate=1e-2, use_cpu=True, bf16=False, disable_tqdm=True, max_steps=30,
        per_device_train_batch_size=8, logging_steps=1, save_strategy="no",
    )  # fmt: skip
    trainer = AestheticAlignmentTrainer(model, args, processor, bank=BANK, contents=["a cat"], train_dataset=cache)
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "generation_loss" in log]
    assert sum(losses[-10:]) < sum(losses[:10])
