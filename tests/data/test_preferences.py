"""Preferences are read from tables, and made from pretext samples whose other answer is false."""

import json
import random
from pathlib import Path

import pytest

from aesthetic_mllm.data.preferences import (
    LEAST_APART,
    PREFERENCE_FEATURES,
    false_target_text,
    pretext_preferences,
    read_preferences,
)
from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_samples import PretextSampleMaker
from source_checks import write_photo
from synthetic_photos import scene_photo

BANK = PhraseBank()


@pytest.fixture(scope="module")
def maker() -> PretextSampleMaker:
    photos = [scene_photo(64 + 8 * number, 64) for number in range(3)]
    return PretextSampleMaker(BANK, PoolStatistics.of(photos, BANK.attributes))


def test_a_table_is_read_whatever_its_kind(tmp_path: Path) -> None:
    write_photo(tmp_path / "photos" / "a.jpg")
    row = {"image": "photos/a.jpg", "prompt": "Comment.", "chosen": "Soft light.", "rejected": "Bad."}
    (tmp_path / "one.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "one.csv").write_text("image,prompt,chosen,rejected\nphotos/a.jpg,Comment.,Soft light.,Bad.\n")
    found = [read_preferences(tmp_path / name) for name in ("one.jsonl", "one.csv")]
    for dataset in found:
        assert dataset.features == PREFERENCE_FEATURES and len(dataset) == 1
        assert dataset[0]["chosen"] == [{"role": "assistant", "content": "Soft light."}]
        assert dataset[0]["images"][0].size == (8, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,prompt,chosen\n", "no column 'rejected'"),
        ("image,prompt,chosen,rejected\n", "no rows"),
        ("image,prompt,chosen,rejected\na.jpg,c,same,same\n", "line 2: chosen and rejected are the same, 'same'"),
        ("image,prompt,chosen,rejected\na.jpg,c,,two\n", "line 2: chosen is empty"),
        ("image,prompt,chosen,rejected\nlost.jpg,c,one,two\n", "1 image is missing, first lost.jpg"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    write_photo(tmp_path / "a.jpg")
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_preferences(tmp_path / "table.csv")


def test_the_rejected_answer_is_clearly_false(maker: PretextSampleMaker) -> None:
    """It is of the same attribute, and at least two bins off."""
    photo, rng = scene_photo(80, 64), random.Random(0)
    for attribute in ("brightness", "tilt", "pleasure"):
        pretext_sample = maker.measured(photo, attribute, rng)
        for _ in range(20):
            told = false_target_text(pretext_sample, maker, rng)
            # "rather dark" holds "dark", so the longest wording counts
            words = {word: bin for bin, words in enumerate(BANK.attributes[attribute]["bins"]) for word in words if word in told}
            assert abs(words[max(words, key=len)] - pretext_sample.bin) >= LEAST_APART


def test_pretext_samples_give_one_pair_a_photo_and_the_same_ones_again(maker: PretextSampleMaker) -> None:
    photos = [(str(number), scene_photo(64 + 4 * number, 64)) for number in range(4)]
    first, again = (pretext_preferences(iter(photos), maker, seed=1).remove_columns("images").to_list() for _ in range(2))
    assert first == again and len(first) == 4
    assert all(row["chosen"] != row["rejected"] for row in first)
    with pytest.raises(DataError, match="No photo"):
        pretext_preferences(iter([]), maker)
