"""A user's own table in all of its forms."""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pandas
import pytest

from aesthetic_mllm.data.record import Comment, DataError, Record, Vote
from aesthetic_mllm.data.source import Source, read_source
from aesthetic_mllm.data.sources.own import hash_split, own_source
from source_checks import check_source, write_photo


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with photos a.jpg to f.jpg in photos/."""
    for name in "abcdef":
        write_photo(tmp_path / "photos" / f"{name}.jpg")
    return tmp_path


def csv(root: Path, *lines: str, **options: Any) -> Source:
    """A table of these lines with a range from 1 to 5."""
    (root / "mine.csv").write_text("".join(f"{line}\n" for line in lines))
    return own_source(root / "mine.csv", **{"score_range": (1, 5)} | options)


def everything(source: Source, root: Path) -> list[Record]:
    """The records of all splits."""
    return [record for split in source.splits for record in source.read(root, split)]


def test_a_full_table(root: Path) -> None:
    source = csv(
        root,
        "image,mean,spread,histogram,comment,question,category,split",
        'photos/a.jpg,4.25,0.5,"0 0 1 1 2","Fine light, soft.",,portrait,train',
        f"{root}/photos/b.jpg,1,,[1;0;0;0;1],,quality,,train",
        "photos/c.jpg,3,,,,,,validation",
        "photos/d.jpg,2.5,,,,,,test",
    )
    found = check_source(source, root, {"train": 2, "validation": 1, "test": 1})
    first, second = found["train"]
    assert (first.image, first.mean, first.spread) == (root / "photos" / "a.jpg", 4.25, 0.5)
    assert (first.range_low, first.range_high, first.question) == (1, 5, "aesthetic")
    assert first.histogram == [0, 0, 1, 1, 2] and first.category == "portrait"
    assert first.comments == [Comment("Fine light, soft.")] and not first.votes
    # votes of 1 and 5 lie 2 from their mean
    assert (second.image.name, second.question, second.spread) == ("b.jpg", "quality", 2.0)
    assert found["validation"][0].spread is None and not found["validation"][0].histogram


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_other_forms(root: Path, suffix: str) -> None:
    rows = [
        {"image": "photos/a.jpg", "mean": 4.25, "histogram": [0, 0, 1, 1, 2], "comment": "Fine.", "split": "train"},
        {"image": "photos/b.jpg", "mean": 2, "histogram": None, "comment": None, "split": "train"},
        {"image": "photos/c.jpg", "mean": 3.5, "histogram": None, "comment": None, "split": "validation"},
        {"image": "photos/d.jpg", "mean": 1, "histogram": None, "comment": None, "split": "test"},
    ]
    table = root / f"mine{suffix}"
    if suffix == ".jsonl":
        table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        pandas.DataFrame(rows).to_parquet(table)
    found = check_source(own_source(table, (1, 5)), root, {"train": 2, "validation": 1, "test": 1})
    first, second = found["train"]
    # steps of 3, 4, 5 and 5 about a mean of 4.25
    assert first.mean == 4.25 and first.spread == pytest.approx((1.25**2 + 0.25**2 + 2 * 0.75**2) ** 0.5 / 2)
    assert first.histogram == [0, 0, 1, 1, 2] and first.comments == [Comment("Fine.")]
    assert (second.mean, second.spread, second.histogram, second.comments) == (2.0, None, [], [])


def test_votes_are_gathered(root: Path) -> None:
    source = csv(
        root,
        "image,mean,rater,comment,split",
        "photos/a.jpg,2,anna,Dull.,train",
        "photos/b.jpg,5,anna,,train",
        "./photos/a.jpg,5,ben,Lively.,train",
        "photos/a.jpg,5,carl,,train",
        "photos/c.jpg,1,ben,,test",
    )
    first, second = read_source(source, root, "train")[0]
    assert first.votes == [Vote("anna", 2.0), Vote("ben", 5.0), Vote("carl", 5.0)]
    assert first.mean == 4.0 and first.spread == pytest.approx(2**0.5)
    assert first.comments == [Comment("Dull."), Comment("Lively.")]
    assert (second.mean, second.spread, second.votes) == (5.0, None, [Vote("anna", 5.0)])


def test_where_higher_is_worse_ratings_are_mirrored(root: Path) -> None:
    source = csv(
        root,
        "image,mean,spread,histogram,split",
        "photos/a.jpg,1,0.5,,train",
        "photos/b.jpg,4.5,,0 0 0 1 1,train",
        higher_is_worse=True,
    )
    first, second = read_source(source, root, "train")[0]
    assert (first.mean, first.spread) == (5.0, 0.5)
    assert (second.mean, second.spread, second.histogram) == (1.5, 0.5, [1, 1, 0, 0, 0])
    votes = csv(root, "image,mean,rater,split", "photos/a.jpg,1,anna,train", "photos/a.jpg,2,ben,train", higher_is_worse=True)
    record = read_source(votes, root, "train")[0][0]
    assert record.votes == [Vote("anna", 5.0), Vote("ben", 4.0)]
    assert (record.mean, record.spread) == (4.5, 0.5)


def test_mirrored_ratings_stay_in_a_range_that_rounding_would_leave(root: Path) -> None:
    source = csv(root, "image,mean", "photos/a.jpg,0.7", "photos/b.jpg,0.1", score_range=(0.1, 0.7), higher_is_worse=True)
    assert not [fault for record in everything(source, root) for fault in record.faults()]


def test_an_image_may_answer_two_questions(root: Path) -> None:
    source = csv(
        root, "image,mean,question", "photos/a.jpg,2,quality", "photos/a.jpg,4,aesthetic", "photos/a.jpg,3,", question="colour"
    )
    found = everything(source, root)
    assert [(record.question, record.mean) for record in found] == [("quality", 2.0), ("aesthetic", 4.0), ("colour", 3.0)]
    assert len({record.split for record in found}) == 1


def test_without_a_column_images_are_split_by_hash(root: Path) -> None:
    lines = [f"photos/{number}.jpg,3" for number in range(2000)]
    source = csv(root, "image,mean", *lines)
    names = {split: {record.image.name for record in source.read(root, split)} for split in source.splits}
    assert sum(map(len, names.values())) == len(set.union(*names.values())) == 2000
    assert [round(len(names[split]) / 2000, 1) for split in ("train", "validation", "test")] == [0.8, 0.1, 0.1]
    # neither the order of the rows nor how the path is written matters
    again = csv(root, "image,mean", *[f"{root}/./{line}" for line in reversed(lines)])
    assert names == {split: {record.image.name for record in again.read(root, split)} for split in source.splits}


def test_the_hash_is_the_same_on_all_machines() -> None:
    counts = Counter(hash_split(f"photo_{number}.jpg", 10, 10) for number in range(1, 25))
    assert counts == {"train": 18, "validation": 5, "test": 1}
    assert hash_split("photo_2.jpg", 10, 10) == "validation" and hash_split("photo_13.jpg", 10, 10) == "test"
    assert {hash_split(str(number), 0) for number in range(100)} == {"train"}


def test_missing_columns_are_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"mine.csv: no column 'mean' \(is it 'means'\?\); it has 'image', 'means'"):
        read_source(csv(root, "image,means", "photos/a.jpg,3"), root, "train")
    (root / "mine.jsonl").write_text('{"picture": "photos/a.jpg", "mean": 3}\n')
    with pytest.raises(DataError, match=r"mine.jsonl: no column 'image'"):
        read_source(own_source(root / "mine.jsonl", (1, 5)), root, "train")
    pandas.DataFrame({"image": ["photos/a.jpg"], "score": [3]}).to_parquet(root / "mine.parquet")
    with pytest.raises(DataError, match=r"mine.parquet: no column 'mean'.*it has 'image', 'score'"):
        read_source(own_source(root / "mine.parquet", (1, 5)), root, "train")


def test_columns_that_are_not_read_are_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        everything(csv(root, "image,mean,comments,iso", "photos/a.jpg,3,Fine.,100"), root)
    assert "columns that are not read: comments, iso" in caplog.text


def test_a_range_that_does_not_hold_the_values_names_the_first(root: Path) -> None:
    lines = [f"photos/{name}.jpg,{value}" for name, value in zip("abcdef", (5.5, 3, 0, 7, 8, 9), strict=True)]
    lines.append("photos/g.jpg,nan")
    told = r"6 values of mean lie outside of the range 1 to 5: 5.5 of a.jpg \(line 2\), 0 of c.jpg \(line 4\), .*9 of f.jpg"
    for split in ("train", "validation", "test"):
        with pytest.raises(DataError, match=told + r" \(line 7\), \.\.\.\.$"):
            read_source(csv(root, "image,mean", *lines), root, split)


def test_one_value_outside_the_range_is_one(root: Path) -> None:
    with pytest.raises(DataError, match="1 value of mean lies outside of the range 1 to 5: nan of a.jpg"):
        read_source(csv(root, "image,mean", "photos/a.jpg,nan"), root, "train")


def test_repeated_rows_are_named(root: Path) -> None:
    told = r"mine.csv, line 4: a second row of a.jpg, after line 2. If rows are votes, add a column 'rater'"
    with pytest.raises(DataError, match=told):
        read_source(csv(root, "image,mean", "photos/a.jpg,3", "photos/b.jpg,3", "./photos/a.jpg,4"), root, "train")
    with pytest.raises(DataError, match=r"mine.csv, line 3: a second vote of 'anna' for a.jpg, after line 2"):
        read_source(csv(root, "image,mean,rater", "photos/a.jpg,3,anna", "photos/a.jpg,4,anna"), root, "train")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("image,mean", "photos/a.jpg,good"), "line 2: mean is 'good', expected a number"),
        (("image,mean", "photos/a.jpg,"), "line 2: mean is '', expected a number"),
        (("image,mean", ",3"), "line 2: image is empty"),
        (("image,mean,rater", "photos/a.jpg,3,"), "line 2: rater is empty"),
        (("image,mean,spread", "photos/a.jpg,3,wide"), "line 2: spread is 'wide', expected a number"),
        (("image,mean,histogram", "photos/a.jpg,3,1 x 2"), "line 2: histogram is 'x', expected a number"),
        (("image,mean,histogram", "photos/a.jpg,3,0 0 0"), "line 2: a histogram .* has no votes"),
        (("image,mean,split", "photos/a.jpg,3,val"), "line 2: split is 'val', expected one of train, validation, test"),
        (
            ("image,mean,rater,split", "photos/a.jpg,3,anna,train", "photos/a.jpg,3,ben,test"),
            "line 3: split of a.jpg is 'test', but 'train' in line 2",
        ),
        (
            ("image,mean,question,category", "photos/a.jpg,3,quality,portrait", "photos/a.jpg,3,aesthetic,night"),
            "line 3: category of a.jpg is 'night', but 'portrait' in line 2",
        ),
        (("image,mean,rater,spread", "photos/a.jpg,3,anna,1"), r"a table of votes \(column 'rater'\) cannot have 'spread'"),
    ],
)
def test_a_wrong_cell_is_named(root: Path, lines: tuple[str, ...], told: str) -> None:
    with pytest.raises(DataError, match=f"mine.csv(, |: ){told}"):
        everything(csv(root, *lines), root)


def test_wrong_lines_of_other_forms_are_named(root: Path) -> None:
    source = own_source(root / "mine.jsonl", (1, 5))
    for text, told in (
        ("{no", "line 1: not JSON"),
        ("[1]", r"line 1: '\[1\]', expected an object"),
        ('{"image": "a.jpg", "mean": [3]}', r"line 1: mean is \[3\], expected one value"),
        ('{"image": "a.jpg", "mean": 3}\n{"image": "b.jpg"}', "line 2: mean is '', expected a number"),
    ):
        (root / "mine.jsonl").write_text(text)
        with pytest.raises(DataError, match=f"mine.jsonl, {told}"):
            read_source(source, root, "train")
    (root / "mine.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="mine.parquet: not a parquet table"):
        read_source(own_source(root / "mine.parquet", (1, 5)), root, "train")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_missing_or_empty_table_is_named(root: Path, suffix: str) -> None:
    table = root / f"mine{suffix}"
    with pytest.raises(DataError, match=f"mine{suffix}: cannot be read"):
        read_source(own_source(table, (1, 5)), root, "train")
    if suffix == ".parquet":
        pandas.DataFrame({"image": [], "mean": []}).to_parquet(table)
    else:
        table.write_text("image,mean\n" if suffix == ".csv" else "")
    with pytest.raises(DataError, match=f"no records .*mine{suffix} with columns image, mean"):
        read_source(own_source(table, (1, 5)), root, "train")


def test_wrong_arguments_are_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"the range is 5 to 1, expected \(low, high\)"):
        own_source(root / "mine.csv", (5, 1))
    with pytest.raises(DataError, match=r"mine.xlsx: cannot read .xlsx, expected .csv, .tsv, .jsonl, .parquet"):
        own_source(root / "mine.xlsx", (1, 5))
    with pytest.raises(DataError, match=r"the question is ' '"):
        own_source(root / "mine.csv", (1, 5), question=" ")


def test_columns_may_have_other_names(root: Path) -> None:
    """The table's own names are mapped to ours; a column that has one of ours by chance is not read."""
    lines = ("file_name,mos,mean,split", "photos/a.jpg,4,9,train", "photos/b.jpg,2,9,train")
    found = everything(csv(root, *lines, columns={"image": "file_name", "mean": "mos"}), root)
    assert [(record.image.name, record.mean) for record in found] == [("a.jpg", 4.0), ("b.jpg", 2.0)]
    with pytest.raises(DataError, match=r"no column 'mean'.*Other names can be given as columns"):
        everything(csv(root, *(line.replace("mean", "old") for line in lines), columns={"image": "file_name"}), root)
    with pytest.raises(DataError, match=r"no column 'moss' \(is it 'mos'\?\)"):
        everything(csv(root, *lines, columns={"image": "file_name", "mean": "moss"}), root)
    with pytest.raises(DataError, match=r"columns: 'imag' is none of .*did you mean 'image'\?"):
        csv(root, *lines, columns={"imag": "file_name"})
    with pytest.raises(DataError, match=r"columns: mean is 3, expected the name of a column"):
        csv(root, *lines, columns={"mean": 3})
