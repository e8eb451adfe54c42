"""OASIS with ratings of beauty, in the layout of the two releases and in that of an image folder."""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import AttributeRating, DataError, Vote
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.oasis_beauty import SOURCE
from source_checks import check_source, write_photo

# Numbers in OASIS; 2, 9 and 15 are for validation.
THEMES = {
    1: "Acorns 1",
    2: "Acorns 2",
    3: "Acorns 3",
    4: "Alcohol 1",
    9: "Alcohol 6",
    15: "Angry face 1",
    101: "Bungee jumping 1",
}
COUNTS = {"train": 4, "validation": 3}


def release_line(item: int) -> str:
    theme = THEMES[item].replace(" ", "")
    return f"{item},4.25,{theme},Object,4.69,2.35,1.479892638,3,subset2,4.8125,4.907895,-0.095395,,"


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """Seven photos; OASIS.csv ends its lines as it does in the release."""
    lines = [",Theme,Category,Source,Valence_mean,Valence_SD,Valence_N,Arousal_mean,Arousal_SD,Arousal_N"]
    lines += [f"I{item},{theme},Object,Pixabay,4.68,0.95,102,2.34,1.60,101" for item, theme in THEMES.items()]
    (tmp_path / "OASIS.csv").write_text("\r".join(lines) + "\r", newline="")
    header = (
        "item,beauty_mean,Theme,Category,Valence_mean,Arousal_mean,beauty_SD,N,subset,"
        "women_beauty_mean,men_beauty_mean,gender_diff_beauty,,"
    )
    (tmp_path / "means_per_image.csv").write_text("\n".join([header, *map(release_line, THEMES)]) + "\n")
    votes = [f"{rater},{item},{vote},31" for item in THEMES for rater, vote in ((1, "3"), (2, "NaN"), (3, "6"))]
    (tmp_path / "depthDat.csv").write_text("\n".join(["subjID,item,beauty,age", *votes]) + "\n")
    for theme in THEMES.values():
        write_photo(tmp_path / "images" / f"{theme}.jpg")
    return tmp_path


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """The same photos, each with votes 3, 4, 4 and 6."""
    lines = ["file_name,category,beauty_mean,beauty_sd,n_raters,n_1,n_2,n_3,n_4,n_5,n_6,n_7"]
    votes = ["rater_id,file_name,beauty"]
    for item in THEMES:
        name = f"oasis_{item:04d}.webp"
        lines.append(f"{name},Scene,4.25,1.258305739211792,4,0,0,1,2,0,1,0")
        votes += [f"{rater},{name},{vote}" for rater, vote in ((360, 3), (367, 4), (370, 4), (371, 6))]
        write_photo(tmp_path / name)
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "votes.csv").write_text("\n".join(votes) + "\n")
    return tmp_path


def test_the_releases(releases: Path) -> None:
    found = check_source(SOURCE, releases, COUNTS)
    assert [record.image.name for record in found["validation"]] == ["Acorns 2.jpg", "Alcohol 6.jpg", "Angry face 1.jpg"]
    assert found["train"][-1].image.name == "Bungee jumping 1.jpg"
    record = found["validation"][0]
    assert (record.question, record.range_low, record.range_high, record.category) == ("beauty", 1, 7, "Object")
    assert (record.mean, record.spread, record.histogram) == (4.25, 1.479892638, ())
    assert record.votes == [Vote("1", 3), Vote("3", 6)]
    assert record.attributes == [AttributeRating("valence", 4.69, 1, 7), AttributeRating("arousal", 2.35, 1, 7)]


def test_the_image_folder(image_folder: Path) -> None:
    found = check_source(SOURCE, image_folder, COUNTS)
    assert [record.image.name for record in found["validation"]] == ["oasis_0002.webp", "oasis_0009.webp", "oasis_0015.webp"]
    record = found["validation"][0]
    assert (record.question, record.range_low, record.range_high, record.category) == ("beauty", 1, 7, "Scene")
    assert record.mean == 4.25
    # distances to 4.25 are 1.25, 0.25, 0.25 and 1.75; their squares 4.75 in all, of a sample of four
    assert record.spread == pytest.approx((4.75 / 3) ** 0.5)
    assert record.histogram == [0, 0, 1, 2, 0, 1, 0]
    assert record.votes == [Vote("360", 3), Vote("367", 4), Vote("370", 4), Vote("371", 6)]


def test_single_votes_may_be_missing(image_folder: Path) -> None:
    (image_folder / "votes.csv").unlink()
    records, _ = read_source(SOURCE, image_folder, "train")
    assert [record.votes for record in records] == [()] * COUNTS["train"]


def test_a_theme_that_oasis_does_not_have_is_a_missing_image(releases: Path) -> None:
    path = releases / "means_per_image.csv"
    path.write_text(path.read_text().replace("Bungeejumping1", "Bungeefalling1"))
    with pytest.raises(DataError, match="image is missing: images/Bungeefalling1.jpg"):
        read_source(SOURCE, releases, "train")


def test_a_missing_table_is_named(releases: Path) -> None:
    (releases / "OASIS.csv").unlink()
    with pytest.raises(DataError, match="OASIS.csv: cannot be read"):
        read_source(SOURCE, releases, "train")


def test_a_wrong_mean_is_named(image_folder: Path) -> None:
    path = image_folder / "metadata.csv"
    path.write_text(path.read_text().replace("oasis_0004.webp,Scene,4.25", "oasis_0004.webp,Scene,high"))
    with pytest.raises(DataError, match="metadata.csv, line 5: beauty_mean is 'high', expected a number"):
        read_source(SOURCE, image_folder, "train")


def test_a_missing_column_is_named(image_folder: Path) -> None:
    path = image_folder / "votes.csv"
    path.write_text(path.read_text().replace("rater_id", "rater"))
    with pytest.raises(DataError, match=r"votes.csv: no column 'rater_id' \(is it 'rater'\?\)"):
        read_source(SOURCE, image_folder, "train")


def test_a_file_without_its_number_is_named(image_folder: Path) -> None:
    path = image_folder / "metadata.csv"
    path.write_text(path.read_text().replace("oasis_0004.webp", "acorns.webp"))
    with pytest.raises(DataError, match="line 5: file_name is 'acorns.webp', expected a number in OASIS at its end"):
        read_source(SOURCE, image_folder, "train")
