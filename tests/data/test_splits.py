"""What is evaluated on is never what the embedded checkpoint was trained on."""

import hashlib
from pathlib import Path

import pytest

from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources import biq2021, oasis_beauty
from aesthetic_mllm.data.splits import (
    is_agiqa3k_validation,
    is_biq2021_validation,
    is_oasis_validation,
    oasis_tested_people,
)
from source_checks import write_photo


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_a_photo_of_biq2021_has_one_split_in_both_layouts() -> None:
    """About a tenth of them, by a hash of the name in one form."""
    names = [(f"{part} ({number}).jpg", f"{part}_{number:04d}.webp") for part in ("ss01", "ss03") for number in range(1, 2001)]
    assert all(is_biq2021_validation(release) == is_biq2021_validation(folder) for release, folder in names)
    assert 0.08 < sum(is_biq2021_validation(name) for _, name in names) / len(names) < 0.12
    assert is_biq2021_validation("holiday.jpg") == is_biq2021_validation("holiday.webp")
    # those that hash lowest are for validation, as when the embedded checkpoint was made
    ordered = sorted((name for _, name in names), key=digest)
    assert [is_biq2021_validation(name) for name in ordered] == sorted(map(is_biq2021_validation, ordered), reverse=True)


def test_a_fifth_of_the_oasis_photos_at_hand_is_for_validation() -> None:
    assert sum(map(is_oasis_validation, range(1, 901))) == 120
    assert is_oasis_validation(2) and not is_oasis_validation(1)


def test_images_of_one_prompt_stay_together() -> None:
    prompts = [f"a statue of number {number}" for number in range(1000)]
    share = sum(map(is_agiqa3k_validation, prompts)) / len(prompts)
    assert 0.15 < share < 0.25
    assert all(is_agiqa3k_validation(prompt) == is_agiqa3k_validation(f"  {prompt.upper()} ") for prompt in prompts)


def test_tested_people_are_a_fixed_part_of_all() -> None:
    raters = [str(number) for number in range(625)]
    assert len(oasis_tested_people(raters)) == 125 and oasis_tested_people(raters) == oasis_tested_people(reversed(raters))


@pytest.mark.parametrize("source", [biq2021.SOURCE, oasis_beauty.SOURCE], ids=lambda source: source.name)
def test_the_readers_evaluation_photos_are_none_of_those_trained_on(source: object, tmp_path: Path) -> None:
    """By the names alone, as the recipe of the embedded checkpoint sets them apart."""
    if source is biq2021.SOURCE:
        names = [f"ss01_{number:04d}.webp" for number in range(1, 61)]
        table = "file_name,mos\n" + "".join(f"{name},0.5\n" for name in names)
        held_out = {name for name in names if digest(name) < "19b0"}
    else:
        names = [f"oasis_{number:04d}.webp" for number in range(1, 61)]
        votes = ",".join(f"n_{step}" for step in range(1, 8))
        table = f"file_name,category,beauty_mean,beauty_sd,{votes}\n"
        table += "".join(f"{name},Scene,4,1,0,0,1,1,0,0,0\n" for name in names)
        held_out = {f"oasis_{number:04d}.webp" for number in (2, 9, 15, 33, 50, 51)}
    (tmp_path / "metadata.csv").write_text(table)
    for name in names:
        write_photo(tmp_path / name)
    parts = {
        split: {record.image.name for record in read_source(source, tmp_path, split)[0]} for split in ("train", "validation")
    }
    assert parts["validation"] == held_out
    assert parts["train"] == set(names) - held_out
