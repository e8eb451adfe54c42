"""The pages of a report: whole HTML that loads nothing, says everything that the report says, and takes no name for markup."""

import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

from aesthetic_mllm.publishing.report import Report, ReportError
from aesthetic_mllm.publishing.report_pages import write_pages
from aesthetic_mllm.publishing.report_tables import key_figures, task_sections
from aesthetic_mllm.publishing.thumbnails import make_thumbnail
from photo_files import scene
from sample_report import HOSTILE, make_report, rating, write_predictions

VOID = {"meta", "img", "br", "link", "input", "hr"}
NAMES = [f"{number}.jpg" for number in range(20)]


class Page(HTMLParser):
    """Reads a page; whether all elements are closed in order, and what they load."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for found, attributes in self.elements if found == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of the sample report, with twenty photos of which one has a hostile name and one is gone."""
    folder = tmp_path_factory.mktemp("pages")
    for number, name in enumerate(NAMES[1:]):
        scene(96 + number, 64).save(folder / name)
    write_predictions(folder / "predictions.jsonl", [HOSTILE, *NAMES])
    write_pages(make_report(), folder / "predictions.jsonl", {"biq2021": folder}, folder / "out")
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "out" / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_whole(page: Page) -> None:
    assert page.faults == [] and page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = {attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes}
    assert named and named <= set(ids)


def test_nothing_is_loaded_from_anywhere(folder: Path, page: Page) -> None:
    """Pictures are in the page; links are to be clicked, and none of them runs a script."""
    text = (folder / "out" / "report.html").read_text(encoding="utf-8")
    sources = [
        attributes[name] for _, attributes in page.elements for name in ("src", "srcset", "data", "poster") if name in attributes
    ]
    assert sources and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not page.of("script") and not page.of("link") and not page.of("iframe")
    assert "url(" not in text and "@import" not in text
    assert [link["href"] for link in page.of("a")] == ["https://example.org/biq"]
    assert str(folder) not in text


def test_names_are_no_markup(folder: Path, page: Page) -> None:
    """In HTML they are text, in Markdown they stay on their line and form nothing."""
    assert HOSTILE in page.words
    text = (folder / "out" / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in text and "terms of \\<it\\>" in text
    assert r'\<script\>alert("x")\</script\>\|\`a\`\[b\](http://c.d).jpg: not an image' in text


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_pages_say_what_the_report_says(folder: Path, name: str) -> None:
    text = (folder / "out" / name).read_text(encoding="utf-8")
    words = Page(text).words if name.endswith("html") else text
    for said in (
        "Evaluation of mine", "2026-11-30 12:00 UTC", "2.0 minutes (ratings 1.5, personal ratings 0.5)", "Linux x86_64, 2 cores",
        "0.838", "0.788 to 0.888", "+0.024", "+0.014 to +0.034", "0.814", "k=100", "0.600", "not known", "drops a minute",
        "3.000", "Juggling", "Spearman's rank correlation",
    ):  # fmt: skip
        assert said in words, said


def test_markdown_tables_have_as_many_cells_in_every_row(folder: Path) -> None:
    lines = (folder / "out" / "report.md").read_text(encoding="utf-8").splitlines()
    widths = [[len(re.findall(r"(?<!\\)\|", line)) for line in block] for block in _blocks(lines)]
    assert len(widths) >= 6 and all(len(set(block)) == 1 for block in widths)


def _blocks(lines: list[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("|"):
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def test_charts_are_svg_with_words_for_those_who_do_not_see_them(folder: Path, page: Page) -> None:
    text = (folder / "out" / "report.html").read_text(encoding="utf-8")
    charts = [ElementTree.fromstring(chart) for chart in re.findall(r"<svg.*?</svg>", text, re.S)]
    assert [chart.find("title").text for chart in charts] == [
        "Ratings and people's means: quality, biq2021", "Calibration: quality, biq2021", "SRCC by part: quality, biq2021",
    ]  # fmt: skip
    assert all(chart.get("role") == "img" and chart.get("aria-label") for chart in charts)
    for chart in charts:
        _, _, width, height = map(float, chart.get("viewBox").split())
        places = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in chart.iter("circle")]
        assert places and all(0 <= x <= width and 0 <= y <= height for x, y in places)
    assert len(list(charts[0].iter("circle"))) == 21 + 4  # a dot a photo, and of four stretches their medians


def test_photos_are_shown_with_both_ratings(page: Page) -> None:
    """The photo of the hostile name is missed the most, and is nowhere on disk."""
    pictures = page.of("img")
    assert len(pictures) == 16 and all(picture["alt"] for picture in pictures)
    assert "photo not found" in page.words and "0.99 rated" in page.words
    alt = next(picture["alt"] for picture in pictures if picture["alt"].startswith("19.jpg"))
    assert alt == "19.jpg: rated 0.96, people's mean 0.95"


def test_a_photo_outside_its_folder_is_not_shown(tmp_path: Path) -> None:
    scene().save(tmp_path / "secret.jpg")
    (tmp_path / "photos").mkdir()
    scene().save(tmp_path / "photos" / "fine.jpg")
    assert make_thumbnail(tmp_path / "photos", "../secret.jpg") is None
    assert make_thumbnail(None, "fine.jpg") is None
    assert str(make_thumbnail(tmp_path / "photos", "fine.jpg")).startswith("data:image/jpeg;base64,")


def test_a_report_without_predictions_has_its_tables(tmp_path: Path) -> None:
    paths = write_pages(make_report(), tmp_path / "predictions.jsonl", {}, tmp_path)
    page = Page(paths[1].read_text(encoding="utf-8"))
    assert page.faults == [] and not page.of("img") and "Rated too high" not in page.words and "0.838" in page.words


def test_a_report_of_nothing_is_a_page(tmp_path: Path) -> None:
    """No placeholder stands where facts are missing."""
    empty = Report({"name": "mine"}, {}, "", "", {}, {}, ())
    for path in write_pages(empty, tmp_path / "none", {}, tmp_path):
        assert not re.search(r"None|unknown|undefined|\{\{", path.read_text(encoding="utf-8"))


def test_a_line_that_is_no_prediction_is_named(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, ["1.jpg"])
    path.write_text(path.read_text() + json.dumps({"data": "biq2021"}) + "\n")
    with pytest.raises(ReportError, match=r"predictions.jsonl, line 2: not a prediction"):
        write_pages(make_report(), path, {}, tmp_path)


def test_differences_stand_beside_the_figures() -> None:
    """In the same rows where they are few, in a table of their own where they are many."""
    (whole, parts), *_ = [section.tables for section in task_sections(make_report())]
    assert whole.heads == ("SRCC", "PLCC", "pairs in order", "SRCC less ridge's") and whole.note == "quality, 40 photos"
    assert [str(row.cells[-1]) for row in whole.rows] == ["+0.024 (+0.014 to +0.034)", ""]
    assert parts.label_heads == ("part", "system", "photos") and [row.of_checkpoint for row in parts.rows] == [True, False, True]
    many = rating("all", "mine", 0.8, a=0.1, b=0.2, c=0.3, d=0.4)
    tables = task_sections(Report({"name": "mine"}, {}, "", "", {}, {}, (many,)))[0].tables
    assert [table.title for table in tables] == ["biq2021", "biq2021: beside the baselines"]
    assert [row.labels for row in tables[1].rows] == [("less a",), ("less b",), ("less c",), ("less d",)]


def test_key_figures_are_the_checkpoints_own() -> None:
    first, second = key_figures(make_report())
    assert (first.label, first.measure, str(first.cell)) == ("quality, biq2021", "SRCC", "0.838 (0.788 to 0.888)")
    assert [(name, cell.value, str(difference)) for name, cell, difference in first.baselines] == [
        ("ridge", "0.814", "+0.024 (+0.014 to +0.034)")
    ]
    assert second.label == "Juggling: clubs, biq2021"
