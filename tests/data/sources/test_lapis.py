"""LAPIS in the layout of its release."""

from pathlib import Path

import pytest

from aesthetic_mllm.data.record import DataError, Vote
from aesthetic_mllm.data.source import read_source
from aesthetic_mllm.data.sources.lapis import SOURCE
from source_checks import check_source, write_photo

PAINTINGS = {
    "Trainsplit": ["boris-kustodiev_shells-1918.jpg", "bj\u00f6rn_sea.jpg"],
    "Valsplit": ["camille-pissarro_rain.jpg"],
    "Testsplit": ["joan-miro_blue.jpg"],
}


def write_tables(root: Path, encoding: str) -> None:
    folder = root / "annotation"
    folder.mkdir(exist_ok=True)
    for name, paintings in PAINTINGS.items():
        lines = ["image_id,image_filename,style,2_styles,mean_response"]
        lines += [f"{index},{painting},Impressionism,FIGURATIVE,55.5" for index, painting in enumerate(paintings)]
        (folder / f"LAPIS_GIAA_{name}.csv").write_text("\n".join(lines) + "\n", encoding=encoding)
    lines = ["image_id,image_filename,artist,style,genre,participant_id,rating,age"]
    for painting in sum(PAINTINGS.values(), []):
        lines += [
            f"7,{painting},x,Impressionism,landscape,{person},{score},30" for person, score in ((31, 40), (44, 71), ("", 9))
        ]
    lines.append(f"7,{PAINTINGS['Trainsplit'][0]},x,Impressionism,landscape,52,,30")
    (folder / "LAPIS_PIAA.csv").write_text("\n".join(lines) + "\n", encoding=encoding)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two paintings for training, one for validation, one for the test."""
    write_tables(tmp_path, "utf-8")
    for painting in sum(PAINTINGS.values(), []):
        write_photo(tmp_path / "images" / painting)
    return tmp_path


def test_counts_ranges_and_splits(root: Path) -> None:
    found = check_source(SOURCE, root, {"train": 2, "validation": 1, "test": 1})
    record = found["train"][0]
    assert (record.question, record.range_low, record.range_high, record.category) == ("aesthetic", 0, 100, "Impressionism")
    # the mean is the table's; rows without a person or a rating are no votes
    assert (record.mean, record.spread) == (55.5, 15.5)
    assert record.votes == [Vote("31", 40), Vote("44", 71)]


def test_tables_in_latin_1_are_read(root: Path) -> None:
    write_tables(root, "latin-1")
    records = read_source(SOURCE, root, "train")[0]
    assert [record.image.name for record in records] == PAINTINGS["Trainsplit"]
    assert [len(record.votes) for record in records] == [2, 2]


def test_a_painting_without_votes_has_no_spread(root: Path) -> None:
    path = root / "annotation" / "LAPIS_PIAA.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    record = read_source(SOURCE, root, "test")[0][0]
    assert (record.mean, record.spread, record.votes) == (55.5, None, [])


def test_a_wrong_rating_is_named(root: Path) -> None:
    path = root / "annotation" / "LAPIS_PIAA.csv"
    path.write_text(path.read_text().replace("31,40", "31,good", 1))
    with pytest.raises(DataError, match="LAPIS_PIAA.csv, line 2: rating is 'good', expected a number"):
        read_source(SOURCE, root, "test")


def test_a_missing_table_is_named(root: Path) -> None:
    (root / "annotation" / "LAPIS_GIAA_Testsplit.csv").unlink()
    with pytest.raises(DataError, match="LAPIS_GIAA_Testsplit.csv: cannot be read"):
        read_source(SOURCE, root, "test")
