"""A cached pretext sample teaches what the pretext sample itself does; the cache is filled once, and takes no other pretext
samples."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_dataset import PretextDataset
from aesthetic_mllm.pretext.pretext_samples import PretextSampleMaker
from aesthetic_mllm.trainers.aesthetic_alignment_config import AestheticAlignmentConfig
from aesthetic_mllm.trainers.aesthetic_alignment_trainer import AestheticAlignmentTrainer
from aesthetic_mllm.trainers.alignment_model import AlignmentModel
from aesthetic_mllm.trainers.pretext_cache import PretextCache, PretextCacheError
from aesthetic_mllm.trainers.pretext_collator import PretextCollator, PretextVocabulary
from synthetic_photos import scene_photo
from tiny_models import tiny_model, tiny_processor

BANK = PhraseBank()
PHOTOS = 12


@pytest.fixture(scope="module")
def pretext_samples(tmp_path_factory: pytest.TempPathFactory) -> PretextDataset:
    folder = tmp_path_factory.mktemp("pool")
    for number in range(PHOTOS):
        scene_photo(72 + 4 * (number % 5), 64).save(folder / f"{number:02}.png")
    (folder / "broken.png").write_bytes(b"no photo")
    statistics = PoolStatistics({name: (0.2, 0.4, 0.6, 0.8) for name in BANK.attributes})
    contents = {f"{folder.name}/{number:02}.png": "a cat" for number in range(PHOTOS)}
    return PretextDataset(open_pool([folder]), PretextSampleMaker(BANK, statistics, contents))


@pytest.fixture(scope="module", params=["efficientnet_lite", "dinov2"])
def filled(
    request: Any, pretext_samples: PretextDataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PretextCache, Any, Any]:
    """Two epochs of pretext samples, and the model and processor that saw them."""
    processor = tiny_processor()
    model = tiny_model(request.param, "llama", processor).eval()
    cache = PretextCache(tmp_path_factory.mktemp("work") / "cache", pretext_samples, model, processor.image_processor, epochs=2)
    unreadable = cache.fill()
    assert unreadable == {row["key"] for row in pretext_samples.pool if row["key"].endswith("broken.png")}
    return cache, model, processor


def test_a_cached_batch_has_the_losses_of_its_photos(
    filled: tuple[PretextCache, Any, Any], pretext_samples: PretextDataset, tmp_path: Path
) -> None:
    """Equal but for the half precision that features are kept in."""
    cache, model, processor = filled
    assert len(cache) == 2 * len(pretext_samples)
    vocabulary = PretextVocabulary(BANK, ["a cat"])
    collator = PretextCollator(processor, vocabulary)
    aligning = AlignmentModel(
        model, processor, BANK, vocabulary, AestheticAlignmentConfig(output_dir=str(tmp_path), use_cpu=True)
    ).eval()
    for epoch in range(2):
        pretext_samples.set_epoch(epoch)
        own = collator([pretext_samples[index] for index in range(len(pretext_samples))])
        cached = collator([cache[epoch * len(pretext_samples) + index] for index in range(len(pretext_samples))])
        assert torch.equal(own["labels"], cached["labels"]) and torch.equal(own["subjects"], cached["subjects"])
        for batch in (own, cached):
            batch.pop("unreadable")
        with torch.inference_mode():
            expected, found = aligning(**own), aligning(**cached)
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=2e-3, atol=2e-3)


def test_later_epochs_say_the_same_in_other_words(filled: tuple[PretextCache, Any, Any]) -> None:
    cache = filled[0]
    first = [cache[index].pretext_sample for index in range(len(cache))]
    cache.set_epoch(1)
    second, again = ([cache[index].pretext_sample for index in range(len(cache))] for _ in range(2))
    cache.set_epoch(0)
    assert [pretext_sample.label for pretext_sample in first] == [pretext_sample.label for pretext_sample in second]
    assert [pretext_sample.verdict for pretext_sample in first] == [pretext_sample.verdict for pretext_sample in second]
    assert second == again
    assert sum(one.target_text != other.target_text for one, other in zip(first, second, strict=True)) > len(cache) / 2


def test_what_was_seen_is_not_seen_again(filled: tuple[PretextCache, Any, Any]) -> None:
    cache = filled[0]
    times = {path: path.stat().st_mtime_ns for path in cache.folder.iterdir()}
    missing = cache.folder / "3.safetensors"
    before = cache[3]
    missing.unlink()
    assert len(cache.fill()) == 1  # the broken photo, which is not opened again
    assert cache[3].pretext_sample == before.pretext_sample
    torch.testing.assert_close(cache[3].feature_maps, before.feature_maps, rtol=2e-3, atol=2e-3)
    assert {path: path.stat().st_mtime_ns for path in cache.folder.iterdir() if path != missing} == {
        path: time for path, time in times.items() if path != missing
    }


def test_other_pretext_samples_are_refused(
    filled: tuple[PretextCache, Any, Any], pretext_samples: PretextDataset, tmp_path: Path
) -> None:
    cache, model, processor = filled
    with pytest.raises(PretextCacheError, match=r"another run \(epochs differ"):
        PretextCache(cache.folder, pretext_samples, model, processor.image_processor, epochs=3)
    other = copy.deepcopy(model)
    next(other.model.vision_tower.parameters()).data += 1
    with pytest.raises(PretextCacheError, match=r"another run \(tower differ"):
        PretextCache(cache.folder, pretext_samples, other, processor.image_processor, epochs=2)
    (tmp_path / "holiday.txt").write_text("not yours")
    with pytest.raises(PretextCacheError, match="not empty"):
        PretextCache(tmp_path, pretext_samples, model, processor.image_processor)


def test_the_trainer_learns_from_a_cache(filled: tuple[PretextCache, Any, Any], tmp_path: Path) -> None:
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
