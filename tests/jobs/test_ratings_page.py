"""The page about a table: what it says of the ratings, which photos it shows, and that it asks nobody for anything."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from aesthetic_mllm.cli.main import main
from aesthetic_mllm.jobs.job_error import JobError
from aesthetic_mllm.jobs.ratings_page import CAPTION, caption, render_page, round_values
from aesthetic_mllm.jobs.ratings_summary import SHEET, SHOWN, RatedRow, folder_of, summarize
from aesthetic_mllm.jobs.reading import date_taken
from aesthetic_mllm.jobs.shards import Failure
from aesthetic_mllm.jobs.table import SCORE_RANGE
from jobs_archive import write_archive
from photo_files import jpeg_bytes, scene

Write = Callable[..., Path]


class Page(HTMLParser):
    """Addresses that a page names, and how many elements of each kind it has."""

    def __init__(self, page: str):
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a table as a job does."""

    def write_table(
        paths: list[str],
        means: list[float | None],
        taken: list[datetime | None] | None = None,
        sha256: list[str] | None = None,
    ) -> Path:
        count = len(paths)
        table = pa.table({
            "path": paths, "path_bytes": pa.array([None] * count, pa.binary()), "name": pa.array([None] * count, pa.string()),
            "taken": pa.array(taken or [None] * count, pa.timestamp("ms")), "aesthetic_mean": pa.array(means, pa.float32()),
            "sha256": sha256 or [f"{number:064}" for number in range(count)],
            "error": [None if mean is not None else "empty." for mean in means],
            "checkpoint": ["abc"] * count, "version": ["1"] * count,
        })  # fmt: skip
        pyarrow.parquet.write_table(table.replace_schema_metadata({SCORE_RANGE: "1,10"}), tmp_path / "t.parquet")
        return tmp_path / "t.parquet"

    return write_table


def test_what_is_told(write: Write) -> None:
    """Counts, mean, folders, months and order are those of the rows; rows without a rating are counted by their errors."""
    means = [float(value) for value in np.random.default_rng(0).uniform(1, 10, 500)]
    paths = [f"a/{number % 3}/{number}.jpg" for number in range(500)]
    months = [datetime(2024, 1 + number % 2, 3, minute=number // 10) if number % 5 == 0 else None for number in range(500)]
    found = summarize(write([*paths, "a/x.jpg"], [*means, None], [*months, None]))
    assert found.rated == 500 and sum(found.histogram) == 500 and found.errors == (("empty.", 1),)
    assert found.failed == 1 and found.failures == (Failure("a/x.jpg", "empty."),)
    assert found.mean == pytest.approx(np.mean(means), abs=1e-4) and found.quantiles[2] == pytest.approx(
        np.median(means), abs=1e-4
    )
    assert [group.name for group in found.folders] == ["a/0", "a/1", "a/2"]
    assert found.folders[1].mean == pytest.approx(np.mean(means[1::3]), abs=1e-4) and found.folders[1].count == len(means[1::3])
    assert [(group.name, group.count) for group in found.months] == [("2024-01", 50), ("2024-02", 50)] and found.dated == 100
    order = [paths[place] for place in np.argsort(means)[::-1]]
    assert [row.path for row in found.best] == order[:SHOWN]
    assert [row.path for row in found.worst] == order[::-1][:SHOWN]
    sheet = [order.index(row.path) for row in found.sheet]
    assert len(sheet) == SHEET and sheet[0] == 0 and sheet[-1] == 499 and set(np.diff(sheet)) <= {5, 6}


def test_the_page_needs_no_network_and_takes_no_name_for_markup(write: Write, tmp_path: Path) -> None:
    """All elements are closed, all addresses are data; a photo with an unpleasant name is shown by that name."""
    names = ["<img src=http:x>.jpg", "b&'\".jpg", "c.jpg", "gone.jpg"]
    for number, name in enumerate(names[:3]):
        (tmp_path / name).write_bytes(jpeg_bytes(scene(400 + number, 300)))
    table = write([*(str(tmp_path / name) for name in names)], [3.0, 4.0, 5.0, 6.0])
    page = render_page(summarize(table), "<t>", tmp_path)
    assert page.startswith("<!DOCTYPE html>")
    read = Page(page)
    assert read.open == []
    assert read.addresses and all(address.startswith("data:image/jpeg;base64,") for address in read.addresses)
    assert not re.search(r"url\(|@import|<script|https?://(?!www\.w3\.org)", page.replace("http:x", ""))
    assert "&lt;img src=http:x&gt;.jpg" in page and "<title>Ratings: &lt;t&gt;</title>" in page
    assert page.count("photo not found") == 1 and "gone.jpg" in page
    assert "prefers-color-scheme: dark" in page and 'name="viewport"' in page


def test_photos_are_found_in_archives_and_beside_the_table(write: Write, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "x.tar", [("a.jpg", jpeg_bytes(scene()))])
    (tmp_path / "b.jpg").write_bytes(jpeg_bytes(scene()))
    page = render_page(summarize(write([f"{archive}#a.jpg", "b.jpg"], [2.0, 3.0])), "t", tmp_path)
    assert "photo not found" not in page and page.count("data:image/jpeg") == 4


def test_best_and_worst_are_different_photos(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of equal bytes one, also across both; of a burst its best, but all of it where there is nothing else."""
    monkeypatch.setattr("aesthetic_mllm.jobs.ratings_summary.SHOWN", 3)
    paths = [f"{folder}/{number}.jpg" for number in range(6) for folder in "ab"]
    copies = [f"{number:064}" for number in range(6) for _ in "ab"]
    found = summarize(write(paths, [float(9 - number) for number in range(6) for _ in "ab"], None, copies))
    assert [row.path for row in found.best] == ["a/0.jpg", "a/1.jpg", "a/2.jpg"]
    assert [row.path for row in found.worst] == ["b/5.jpg", "b/4.jpg", "b/3.jpg"]
    times = [datetime(2024, 1, 1, 12, 0, second) for second in (0, 1, 2, 9, 30, 31, 32, 33)]
    names = [f"a/{number}.jpg" for number in range(8)]
    found = summarize(write(names, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0], times))
    assert [row.path for row in found.best] == ["a/0.jpg", "a/1.jpg", "a/3.jpg"]
    assert [row.path for row in found.worst] == ["a/7.jpg", "a/6.jpg", "a/4.jpg"]
    same = summarize(write(["a/0.jpg", "b/0.jpg"], [5.0, 5.0], None, ["0" * 64] * 2))
    assert (len(same.best), len(same.worst)) == (1, 0)


def test_failed_photos_are_listed(write: Write, tmp_path: Path) -> None:
    """The first ones by name and reason; where there are more, how often each reason is there."""
    few = render_page(summarize(write(["a.jpg", "<b>.jpg"], [5.0, None])), "t", tmp_path)
    assert '<th scope="row" class="path">&lt;b&gt;.jpg</th><td class="path">empty.</td>' in few and "By reason" not in few
    names = [f"bad {number}.jpg" for number in range(30)]
    many = render_page(summarize(write(["a.jpg", *names], [5.0, *[None] * 30])), "t", tmp_path)
    assert "bad 19.jpg" in many and "bad 20.jpg" not in many
    assert "The first 20 of 30. By reason:" in many and "<li>30: empty.</li>" in many


@pytest.mark.parametrize(
    ("low", "high", "most", "values"),
    [(1, 10, 10, range(1, 11)), (0, 1, 10, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]), (0, 37, 4, [0, 10, 20, 30]),
     (0, 100, 10, range(0, 101, 10)), (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]), (0, 1234, 4, [0, 500, 1000]), (0, 3, 4, [0, 1, 2, 3])],
)  # fmt: skip
def test_axes_have_round_values(low: float, high: float, most: int, values: Sequence[float]) -> None:
    assert round_values(low, high, most) == list(values)


def test_captions() -> None:
    """The file's own name, or that in its container; the beginning and the end of long ones."""
    row = RatedRow("a/b/c.jpg", "a/b/c.jpg", None, 5.0, None, None)
    assert caption(row) == "c"
    assert caption(replace(row, path="x.parquet#3", name="photos/d.jpg")) == "d"
    short = caption(replace(row, path="a/DSC_0123_edited_final_4567.jpg"))
    assert short == "DSC_01…l_4567" and len(short) == CAPTION


@pytest.mark.parametrize(
    ("path", "folder"),
    [("a/b/c.jpg", "a/b"), ("c.jpg", "."), ("a/#1.jpg", "a"), ("a/x.tar#d/c.jpg", "a/x.tar"),
     ("a/x.TAR.gz#d/c.jpg", "a/x.TAR.gz"), ("a/t.parquet#12", "a/t.parquet"),
     ("hf://datasets/me/photos/train#3", "hf://datasets/me/photos/train"), ("a/saved#7", "a/saved")],
)  # fmt: skip
def test_folders(path: str, folder: str) -> None:
    assert folder_of(path) == folder


@pytest.mark.parametrize("lost", ["error", "checkpoint", "path_bytes", "taken"])
def test_a_table_without_a_column_of_a_jobs_is_told(write: Write, tmp_path: Path, lost: str) -> None:
    table = pyarrow.parquet.read_table(write(["a.jpg"], [5.0]))
    pyarrow.parquet.write_table(table.drop_columns([lost]), tmp_path / "less.parquet")
    with pytest.raises(JobError, match=f"it lacks {lost}; its columns are"):
        summarize(tmp_path / "less.parquet")


def test_dates(tmp_path: Path) -> None:
    """The original's date before the file's; what is none is none."""
    exif = Image.Exif()
    exif[306] = "2023:02:03 04:05:06"
    assert date_taken(jpeg_bytes(scene(), exif=exif)) == datetime(2023, 2, 3, 4, 5, 6)
    exif.get_ifd(34665)[36867] = "2022:01:02 03:04:05"
    assert date_taken(jpeg_bytes(scene(), exif=exif)) == datetime(2022, 1, 2, 3, 4, 5)
    exif.get_ifd(34665)[36867] = "0000:00:00 00:00:00"
    assert date_taken(jpeg_bytes(scene(), exif=exif)) is None
    assert date_taken(jpeg_bytes(scene())) is None and date_taken(b"junk") is None


def test_the_command(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page beside the table; what is no table, or has nothing to show, is a message."""
    table = write(["a.jpg"], [5.0])
    assert main(["report", str(table)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 't.html'}\n" and (tmp_path / "t.html").stat().st_size > 1000
    for arguments, message in (
        ([str(table), "--question", "humour"], "no ratings of 'humour'"),
        ([str(table), "--output", str(table)], "must be a file of its own"),
        ([str(tmp_path / "none.parquet")], "no such file"),
    ):
        assert main(["report", *arguments]) == 2
        assert message in capsys.readouterr().err
    parts = tmp_path / "my ratings.parquet.parts"
    parts.mkdir()
    assert main(["report", str(tmp_path / "my ratings.parquet")]) == 2 and "no such file" in capsys.readouterr().err
    table.rename(parts / "part-000000.parquet")
    assert main(["report", str(tmp_path / "my ratings.parquet")]) == 2
    assert f"is not finished. Run the same command again, or report what it has done so far: aesthetic-mllm report '{parts}'" in (
        capsys.readouterr().err
    )
    assert main(["report", str(parts)]) == 0
    pyarrow.parquet.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(JobError, match="its columns are x"):
        summarize(tmp_path / "x.parquet")
    with pytest.raises(JobError, match="no photo in it has a rating"):
        summarize(write(["a.jpg"], [None]))
