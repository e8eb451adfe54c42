"""A report is the same after it was written and read, and whatever is no report is an error that names the file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm.publishing.measures import MEASURES
from aesthetic_mllm.publishing.report import DataSummary, Measure, Report, ReportError, Result

REPORT = Report(
    checkpoint={"name": "nano", "digest": "d97a", "parameters": 1, "questions": ["aesthetic"]},
    versions={"aesthetic_mllm": "0.1.0"},
    machine="Linux x86_64, 2 cores",
    made="2026-11-30T12:00:00+00:00",
    seconds={"ratings": 12.5},
    data={"biq2021": DataSummary("validation", 1000, {"broken.webp": "not an image"}, 0)},
    results=(
        Result("ratings", "biq2021", "quality", "all", "nano", 1000, "photos", {"srcc": Measure(0.838, (0.82, 0.853))},
               {"ridge": {"srcc": Measure(0.024, (0.009, 0.04))}}),
        Result("ratings", "biq2021", "quality", "all", "ridge", 1000, "photos", {"srcc": Measure(0.814)}),
    ),
)  # fmt: skip


def test_written_and_read_it_is_the_same(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == REPORT


def test_results_are_found_by_their_fields() -> None:
    assert [result.system for result in REPORT.find(task="ratings", part="all")] == ["nano", "ridge"]
    assert REPORT.find(system="ridge", subject="aesthetic") == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "results": [{}]}', '{"format": 0, "results": []}'])
def test_what_is_no_report_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ReportError, match="other.json"):
        Report.load(path)


def _changed(**values: Any) -> str:
    return json.dumps({"format": 1, **asdict(REPORT), **values})


def _measured(text: str) -> str:
    return _changed().replace("[0.82, 0.853]", text)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_changed(checkpoint={}), "checkpoint.name"),
        (_changed(versions=["0.1.0"]), "versions"),
        (_changed(data={"own": {"split": "test", "photos": "many"}}), "photos is 'many'"),
        (_changed(seconds={"ratings": float("nan")}), "NaN is no finite number"),
        (_measured("[0.82]"), "not enough values"),
        (_measured("[0.82, 1e999]"), "inf is no finite number"),
        (_measured('["low", "high"]'), "'low' is no finite number"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_what_a_field_may_not_hold_is_told(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ReportError, match=told):
        Report.load(tmp_path / "report.json")


def test_a_figure_that_is_not_a_number_is_not_written(tmp_path: Path) -> None:
    broken = Report(**{**REPORT.__dict__, "seconds": {"ratings": float("nan")}})
    with pytest.raises(ValueError):
        broken.save(tmp_path / "report.json")


def test_figures_are_written_with_their_intervals() -> None:
    assert MEASURES["srcc"].write(Measure(0.8379, (0.82, 0.8534))) == "0.838 (0.820 to 0.853)"
    assert MEASURES["srcc"].write(Measure(0.024), signed=True) == "+0.024"
    assert MEASURES["accuracy"].write(Measure(0.5, (0.4, 0.6))) == "50.0% (40.0 to 60.0)"


def test_the_file_holds_no_path(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "report.json")
    assert str(tmp_path) not in json.dumps(json.loads((tmp_path / "report.json").read_text()))
