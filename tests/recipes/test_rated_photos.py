"""What nano learns from and what it is validated on never meet: photos and people."""

from pathlib import Path

import numpy as np
import pytest

from aesthetic_mllm.data.data_error import DataError
from aesthetic_mllm.data.record import Record, Vote
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources import biq2021
from aesthetic_mllm.data.splits import is_agiqa3k_validation
from aesthetic_mllm.processing.rating_scale import RatingScale
from recipes.nano.features import ALL_VIEWS, LARGE_DAMAGED_VIEWS, STRONGLY_DAMAGED, has_view, is_damaged
from recipes.nano.finishing import flaw_photos
from recipes.nano.people import held_out_people, known_votes
from recipes.nano.rated_photos import RatedPhoto, photo_key, read_generated, read_large, read_quality, split
from source_checks import write_photo


def test_the_recipe_and_the_reader_hold_out_the_same_photos(tmp_path: Path) -> None:
    names = [f"ss03_{number:04d}.webp" for number in range(1, 41)]
    folder = tmp_path / "biq2021"
    folder.mkdir()
    (folder / "metadata.csv").write_text("file_name,mos\n" + "".join(f"{name},0.5\n" for name in names))
    for name in names:
        write_photo(folder / name)
    photos = read_quality(tmp_path, RatingScale())
    known, held_out = split(photos)
    assert [photo.mean for photo in photos] == [5.5] * 40 and photo_key(photos[0]) == "biq2021/ss03_0001.webp"
    for name, own in (("train", known), ("validation", held_out)):
        assert [record.image for record in read_source(biq2021.SOURCE, folder, name)[0]] == [photo.path for photo in own]
    (tmp_path / "photos_large").mkdir()
    (tmp_path / "photos_large" / "metadata.csv").write_text("file_name\n")
    pools = flaw_photos(tmp_path, held_out)
    assert sorted(pools["learning"] + pools["reporting"]) == sorted(photo.path for photo in held_out)
    assert not set(pools["learning"]) & set(pools["reporting"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file_name,score\na.jpg,0.5\n", r"line 2: nothing in the column 'mos'; the columns are file_name, score\."),
        ("file_name,mos\na.jpg,0.5\nb.jpg\n", "line 3: nothing in the column 'mos'"),
        ("file_name,mos\na.jpg,x.8\n", r"line 2: mos is 'x\.8', not a number"),
        ("file_name,mos\na.jpg,nan\n", "line 2: mos is 'nan', not a number"),
        ("file_name,mos\n", "there are no photos in this table"),
        ("file_name,mos\nf\xfcr.jpg,0.5\n", "not a readable CSV table in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(table: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "biq2021"
    folder.mkdir()
    (folder / "metadata.csv").write_text(table, encoding="latin-1")
    with pytest.raises(DataError, match=rf"metadata\.csv(, |: ){message}"):
        read_quality(tmp_path, RatingScale())
    (folder / "metadata.csv").write_text("file_name,mos\na.jpg,0.5\n", encoding="utf-8-sig")  # as spreadsheets write it
    assert [photo.name for photo in read_quality(tmp_path, RatingScale())] == ["a.jpg"]


def test_photos_of_oasis_are_held_out_by_their_number() -> None:
    photos = [
        RatedPhoto(Path(f"oasis_beauty/oasis_{number:04d}.webp"), f"oasis_{number:04d}.webp", 5.0, 1.0) for number in (1, 2, 3, 9)
    ]
    known, held_out = split(photos)
    assert [photo.name for photo in held_out] == ["oasis_0002.webp", "oasis_0009.webp"] and len(known) == 2


def test_no_prompt_and_no_large_photo_that_is_held_out_teaches_anything(tmp_path: Path) -> None:
    """Images of one prompt stay together, and have nothing but what a validation needs among the views that are cached."""
    for folder, header in (("agiqa3k", "file_name,mos_quality,std_quality,mos_align,prompt"), ("photos_large", "file_name")):
        (tmp_path / folder).mkdir()
        rows = [f"{folder}{n}.webp" + (f",2.5,0.5,3.0,prompt {n // 2}" if folder == "agiqa3k" else "") for n in range(60)]
        (tmp_path / folder / "metadata.csv").write_text("\n".join([header, *rows]) + "\n")
    images = read_generated(tmp_path, RatingScale())
    known, held_out = split(images)
    assert known and held_out and images[0].mean == 5.5 and images[0].std == pytest.approx(0.9)
    assert {image.prompt for image in known}.isdisjoint(image.prompt for image in held_out)
    assert all(is_agiqa3k_validation(image.prompt) for image in held_out)
    shown, reported = split(read_large(tmp_path))
    assert shown and reported and not any(is_damaged(view) for photo in reported for view in ALL_VIEWS if has_view(photo, view))
    assert [view for view in ALL_VIEWS if has_view(held_out[0], view)] == [0, STRONGLY_DAMAGED]
    assert [view for view in ALL_VIEWS if has_view(shown[0], view)] == [0, *LARGE_DAMAGED_VIEWS]


def test_nobody_who_is_held_out_is_learned_from() -> None:
    """Neither their votes, nor anybody's of the photos that they are asked about."""
    rng = np.random.default_rng(0)
    raters = [str(number) for number in range(130)]
    records = [
        Record(
            Path(f"{place}.jpg"),
            "oasis_beauty",
            "validation" if place < 9 else "train",
            votes=[Vote(rater, float(rng.integers(1, 8))) for rater in raters],
        )
        for place in range(20)
    ]
    held_out = held_out_people(records)
    assert len(held_out.people) == 125
    assert {place for person in held_out.people for place in person.asked or ()} == set(range(9))
    votes = known_votes(records, held_out, RatingScale())
    assert len(votes.value) == 5 * 11 and votes.photo.min() == 9 and votes.value.min() >= 1 and votes.value.max() <= 10
