"""AGIQA-3K in the layout of its release and in that of an image folder."""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError
from aesthetic_mllm.data.seen_photos import TRAINED_ON
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.agiqa3k import SOURCE
from source_checks import check_source, write_photo

# Prompts, of which the second and the fourth are for validation, each drawn by two generators.
PROMPTS = (
    "statue of a man",
    "a tray of sushi",
    "a river in a forest",
    "very sad rabbit crying",
    "man lost in space, anime style",
)
GENERATORS = ("AttnGAN", "sd1.5")
COUNTS = {"train": 6, "validation": 4}


def names(suffix: str) -> list[tuple[str, str, str]]:
    """File, generator and prompt of each image."""
    return [
        (f"{generator}_normal_{index:03d}{suffix}", generator, prompt)
        for generator in GENERATORS
        for index, prompt in enumerate(PROMPTS)
    ]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    lines = ["name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align"]
    for name, _, prompt in names(".jpg"):
        lines.append(f'{name},"{prompt}",,,,3.125,0.75,4.5,0.25')
        write_photo(tmp_path / "images" / name)
    (tmp_path / "data.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    lines = ["file_name,mos_quality,std_quality,mos_align,generator,prompt"]
    for name, generator, prompt in names(".webp"):
        lines.append(f'{name},3.125,0.75,4.5,{generator},"{prompt}"')
        write_photo(tmp_path / name)
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("layout", ["release", "image_folder"])
def test_counts_ranges_and_splits(layout: str, request: pytest.FixtureRequest) -> None:
    found = check_source(SOURCE, request.getfixturevalue(layout), COUNTS)
    # images of one prompt stay together, whichever generator made them
    assert {record.image.stem[-3:] for record in found["validation"]} == {"001", "003"}
    record = found["train"][-1]
    assert (record.question, record.range_low, record.range_high, record.category) == ("quality", 0, 5, "sd1.5")
    assert (record.mean, record.spread, record.attributes) == (3.125, 0.75, ())


def test_images_may_lie_beside_the_table(release: Path) -> None:
    for path in (release / "images").iterdir():
        path.rename(release / path.name)
    (release / "images").rmdir()
    assert len(read_source(SOURCE, release, "train")[0]) == COUNTS["train"]


def test_a_wrong_mean_is_named(release: Path) -> None:
    path = release / "data.csv"
    path.write_text(path.read_text().replace("3.125", "good", 1))
    with pytest.raises(DataError, match="data.csv, line 2: mos_quality is 'good', expected a number"):
        read_source(SOURCE, release, "train")


def test_the_embedded_checkpoint_saw_no_image_of_the_validation_prompts() -> None:
    """What is evaluated on by default taught no version of it."""
    assert all("validation" not in learned.get("agiqa3k", ()) for learned in TRAINED_ON.values())
