"""Every photo teaches, in an order of levels that is known, wherever the photos lie; broken ones are named and stood in for."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.pretext.photo_pool import PhotoPoolError, open_pool
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_dataset import (
    LONGEST_SIDE,
    PretextDataset,
    PretextStream,
    Sample,
    load_photo,
    read_image_text_pairs,
)
from aesthetic_mllm.pretext.pretext_samples import LEVELS, PretextSampleMaker
from synthetic_photos import scene_photo

BANK = PhraseBank()
MAKER = PretextSampleMaker(BANK, PoolStatistics({name: (0.2, 0.4, 0.6, 0.8) for name in BANK.attributes}))
PHOTOS = 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos 0 to 4, of which 2 is broken."""
    (tmp_path / "photos").mkdir()
    for number in range(PHOTOS):
        scene_photo(60 + number, 48).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "2.png").write_bytes(b"no photo")
    return tmp_path / "photos"


@pytest.fixture
def shards(folder: Path, tmp_path: Path) -> list[Path]:
    """The same files in two shards."""
    files = sorted(folder.iterdir())
    paths = [tmp_path / "a.tar", tmp_path / "b.tar"]
    for path, part in zip(paths, (files[:3], files[3:]), strict=True):
        with tarfile.open(path, "w") as tar:
            for file in part:
                tar.add(file, file.name)
    return paths


def told(sample: Sample) -> tuple[str, str, str]:
    return sample.pretext_sample.level, sample.pretext_sample.question, sample.pretext_sample.target_text


def test_each_photo_teaches_all_levels_in_three_epochs(folder: Path) -> None:
    pretext_samples = PretextDataset(open_pool([folder]), MAKER)
    levels = []
    for epoch in range(len(LEVELS)):
        pretext_samples.set_epoch(epoch)
        levels.append([pretext_samples[number].pretext_sample.level for number in (0, 1, 3, 4)])
    assert all({of_epoch[photo] for of_epoch in levels} == set(LEVELS) for photo in range(4))


def test_pretext_samples_of_some_levels_alone(folder: Path) -> None:
    """One that is named twice comes twice as often."""
    levels = ["low", "middle", "middle"]
    pretext_samples = PretextDataset(open_pool([folder]), MAKER, levels=levels)
    assert [pretext_samples[number].pretext_sample.level for number in (0, 1, 3, 4)] == ["low", "middle", "low", "middle"]


def test_a_broken_photo_is_named_and_stood_in_for_by_the_next(folder: Path) -> None:
    pretext_samples = PretextDataset(open_pool([folder]), MAKER)
    assert pretext_samples[2].unreadable == ("photos/2.png",) and told(pretext_samples[2]) == told(pretext_samples[3])
    assert pretext_samples[3].unreadable == ()


def test_a_pool_of_broken_photos_is_an_error(folder: Path) -> None:
    for file in folder.iterdir():
        file.write_bytes(b"no photo")
    with pytest.raises(PhotoPoolError, match="None of the 5 photos can be read"):
        PretextDataset(open_pool([folder]), MAKER)[0]


def test_workers_make_the_pretext_samples_that_one_process_makes(folder: Path) -> None:
    pretext_samples = PretextDataset(open_pool([folder]), MAKER)
    alone, together = (
        [told(sample) for sample in DataLoader(pretext_samples, batch_size=None, num_workers=workers)] for workers in (0, 2)
    )
    assert alone == together and len(alone) == PHOTOS


def test_shards_stream_pretext_samples_and_leave_broken_photos_out(shards: list[Path]) -> None:
    """All readable photos once an epoch, other pretext samples in the next, and the broken one named by the sample after it."""
    stream = PretextStream(open_pool(shards), MAKER)
    first, again = list(stream), list(stream)
    stream.set_epoch(1)
    second = list(stream)
    assert len(first) == len(second) == PHOTOS - 1
    assert [told(sample) for sample in first] == [told(sample) for sample in again] != [told(sample) for sample in second]
    assert [key for sample in first for key in sample.unreadable] == ["2"]


def test_image_text_pairs_teach_the_thematic_path(folder: Path, tmp_path: Path) -> None:
    """Pairs come after the photos, with their own question and text; one whose image is broken gives a photo's pretext sample."""
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A house."}]
    entries = [{"image": f"{number}.png", "conversations": turns} for number in (0, 2)]
    (tmp_path / "pairs.json").write_text(json.dumps(entries))
    pretext_samples = PretextDataset(open_pool([folder]), MAKER, read_image_text_pairs(tmp_path / "pairs.json", folder))
    assert len(pretext_samples) == PHOTOS + 2
    assert told(pretext_samples[PHOTOS]) == ("thematic", "What is it?", "A house.")
    assert pretext_samples[PHOTOS + 1].pretext_sample.level in LEVELS and pretext_samples[PHOTOS + 1].unreadable == (
        str(folder / "2.png"),
    )


@pytest.mark.parametrize("text", ["{", '[{"image": "a.png"}]', '[{"conversations": []}]'])
def test_a_file_that_holds_no_pairs_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.json").write_text(text)
    with pytest.raises(PhotoPoolError, match="pairs.json"):
        read_image_text_pairs(tmp_path / "pairs.json", tmp_path)


def test_large_photos_are_scaled_down() -> None:
    file = io.BytesIO()
    scene_photo(1200, 900).save(file, "PNG")
    assert load_photo(file.getvalue()).size == (LONGEST_SIDE, LONGEST_SIDE * 900 // 1200)
