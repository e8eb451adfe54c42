"""The command: what it writes and prints, how it ends, and what it says of wrong usage."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm.cli import evaluate
from aesthetic_mllm.evaluation.suite import evaluate_checkpoint
from aesthetic_mllm.processing.rating_scale import RatingScaleError
from aesthetic_mllm.publishing.report import Report
from rated_table import ASKED, write_table

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate") / "own"
    write_table(folder)
    return folder


def test_the_report_is_written_and_its_key_figures_are_printed(run: Run, own: Path, tmp_path: Path) -> None:
    """And a second time nothing is asked again, and the same is printed."""
    arguments = ["evaluate", "--data", f"own={own / 'table.csv'}", "--range", "1,10", "--output", tmp_path / "out"]
    arguments += ["--tasks", "ratings", "attributes"]
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    heading, first, *_ = out.splitlines()
    assert heading.split()[:4] == ["task", "data", "subject", "figure"]
    report = Report.load(tmp_path / "out" / "report.json")
    (ratings,) = report.find(task="ratings", system=report.name, part="all")
    measure = ratings.measures["srcc"]
    assert first.split()[:4] == ["ratings", "own", "aesthetic", "SRCC"]
    assert f"{measure.value:.3f} (" in first and re.search(r"ridge -?\d\.\d{3}$", first)
    assert str(tmp_path / "out" / "predictions.jsonl") in out
    again = run(*arguments)
    assert again == (0, out, "")
    assert Report.load(tmp_path / "out" / "report.json").results == report.results


def test_failed_photos_are_named_and_end_with_1(run: Run, tmp_path: Path) -> None:
    write_table(tmp_path / "own")
    (tmp_path / "own" / "photo 30.jpg").write_bytes(b"no photo")
    code, out, err = run(
        "evaluate", "--data", f"own={tmp_path / 'own' / 'table.csv'}", "--range", "1,10", "--output", tmp_path / "out",
        "--tasks", "ratings", "--limit", ASKED,
    )  # fmt: skip
    assert code == 1 and (tmp_path / "out" / "report.json").is_file() and out
    assert f"1 of {ASKED} photos of own failed: 'photo 30.jpg' (" in err and "more than 1%" in err


def test_figures_on_photos_of_the_training_are_told_of(run: Run, own: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(evaluate_checkpoint, "seen_by_start", lambda folder, split, sets: {name: {"seen": 7} for name in sets})
    code, _, err = run(
        "evaluate", "--data", f"own={own / 'table.csv'}", "--range", "1,10", "--output", tmp_path, "--tasks", "ratings"
    )
    assert code == 0 and f"was trained on 7 of the {ASKED} photos of own" in err
    assert Report.load(tmp_path / "report.json").data["own"].seen == 7


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--data", "biq2021"], "write a data set and its folder, such as biq2021=photos/biq2021"),
        (["--data", "biq2020=photos"], "did you mean biq2021?"),
        (["--data", "biq2021=nowhere"], "no folder nowhere"),
        (["--data", "own=table.csv"], "such as --range 1,10"),
        (["--data", "own=table.csv", "--range", "ten"], "--range ten: expected two numbers"),
        (["--data", "own=table.csv", "--range", "1,10", "--columns", "image"], "such as image=file_name,mean=mos"),
        (["--data", "biq2021=photos", "--baseline", "{file}"], "cannot be loaded"),
        (["--data", "biq2021=photos", "--baseline", "nobody"], "--baseline nobody: there is no such folder"),
        (["--data", "biq2021=nowhere", "--baseline", "aesthetic-mllm:nano"], "no folder nowhere"),  # the baseline is known
        (["--data", "biq2021=photos", "--output", "{file}/below"], "cannot be made"),
    ],
)
def test_wrong_usage_is_told_with_its_remedy(run: Run, tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "file").write_text("")
    output = [] if "--output" in arguments else ["--output", str(tmp_path / "out")]
    code, out, err = run("evaluate", *(text.format(file=tmp_path / "file") for text in arguments), *output)
    assert code == 2 and not out and told in err


@pytest.mark.parametrize(
    "error, told", [(RatingScaleError("no rating"), "no rating"), (OSError(28, "No space left", "a/b"), "a/b: No space left")]
)
def test_what_stops_a_run_is_a_message(run: Run, own: Path, tmp_path: Path, monkeypatch: Any, error: Any, told: str) -> None:
    def stop(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(evaluate_checkpoint, "evaluate_checkpoint", stop)
    code, out, err = run("evaluate", "--data", f"own={own / 'table.csv'}", "--range", "1,10", "--output", tmp_path)
    assert code == 2 and not out and told in err


def test_a_missing_extra_is_told_before_anything_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aesthetic_mllm.cli.usage.find_spec", lambda name: None)
    code, _, err = run("evaluate", "--data", "biq2021=photos")
    assert code == 2 and "pip install 'aesthetic-mllm[train]'" in err


def test_an_entry_of_ones_own_table() -> None:
    class Options:
        range, columns, question, higher_is_worse = "0,5", "image=file_name, mean=mos", "quality", True

    assert evaluate.data_entry("own=a=b.csv", Options()) == {  # type: ignore[arg-type]
        "source": "own", "root": "a=b.csv", "range": [0.0, 5.0], "columns": {"image": "file_name", "mean": "mos"},
        "question": "quality", "higher_is_worse": True,
    }  # fmt: skip


def test_the_tasks_of_the_command_are_those_of_the_suite() -> None:
    assert set(evaluate.TASKS) == set(evaluate_checkpoint.TASK_NAMES)
