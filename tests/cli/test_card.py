"""`aesthetic-mllm card`: README.md and what goes with it from a report; what is wrong is told with its remedy."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from aesthetic_mllm.modeling.checkpoint_documents import CARD_FACTS
from sample_report import checkpoint_folder, make_report

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint, and beside it the report of its evaluation."""
    make_report(checkpoint_folder(tmp_path / "mine")).save(tmp_path / "evaluation" / "report.json")
    return tmp_path / "mine"


def report_of(folder: Path) -> Path:
    return folder.parent / "evaluation" / "report.json"


def test_card_and_report_are_written_into_the_folder(run: Run, folder: Path) -> None:
    code, printed, err = run("card", "--report", report_of(folder), "--output", folder)
    assert code == 0, err
    assert printed.splitlines() == [str(folder / "README.md"), str(folder / "report.json")]
    assert "0.838 (0.788 to 0.888)" in (folder / "README.md").read_text()
    assert (folder / "report.json").read_bytes() == report_of(folder).read_bytes()


def test_a_report_inside_a_checkpoint_needs_no_folder(run: Run, folder: Path) -> None:
    report_of(folder).rename(folder / "report.json")
    assert run("card", "--report", folder / "report.json")[0] == 0 and (folder / "README.md").is_file()


def test_a_folder_needs_no_report(run: Run, folder: Path) -> None:
    """Its own is taken, and without one the card says that nothing was measured."""
    assert run("card", "--output", folder)[0] == 0
    assert "Nothing was measured" in (folder / "README.md").read_text() and not (folder / "report.json").exists()
    report_of(folder).rename(folder / "report.json")
    assert run("card", "--output", folder)[0] == 0 and "0.838 (0.788 to 0.888)" in (folder / "README.md").read_text()


def test_facts_template_repository_and_benchmark(run: Run, folder: Path, tmp_path: Path) -> None:
    (folder / CARD_FACTS).write_text("title: Of the folder\n")
    (tmp_path / "facts.yaml").write_text("title: Of another file\n")
    (tmp_path / "mine.md.j2").write_text('{% extends "model_card.md.j2" %}{% block limits %}Few limits.{% endblock %}')
    options = ["--report", report_of(folder), "--output", folder]
    assert run("card", *options)[0] == 0 and "# Of the folder\n" in (folder / "README.md").read_text()
    code, printed, err = run(
        "card", *options, "--facts", tmp_path / "facts.yaml", "--template", tmp_path / "mine.md.j2", "--repo", "me/mine",
        "--benchmark", "biq2021=owner/biq:quality",
    )  # fmt: skip
    assert code == 0, err
    text = (folder / "README.md").read_text()
    assert "# Of another file\n" in text and "Few limits." in text and 'from_pretrained("me/mine")' in text
    (entry,) = yaml.safe_load((folder / ".eval_results" / "biq2021.yaml").read_text())
    assert entry["dataset"] == {"id": "owner/biq", "task_id": "quality"} and str(folder / ".eval_results") in printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "Name a checkpoint's folder with --output, or a report with --report."),
        (["--output", "mine", "--benchmark", "ava=a/b:c"], "--benchmark ava: the report is about nothing"),
        (["--report", "mine/gone.json"], "gone.json: cannot be read"),
        (
            ["--report", "evaluation/report.json"],
            "holds no checkpoint (config.json is missing); name the checkpoint's folder with",
        ),
        (["--report", "evaluation/report.json", "--output", "mine", "--facts", "gone.yaml"], "gone.yaml: cannot be read"),
        (["--report", "evaluation/report.json", "--output", "mine", "--template", "gone.md"], "gone.md: cannot be read"),
        (
            ["--report", "evaluation/report.json", "--output", "mine", "--benchmark", "ava=a/b:c"],
            "--benchmark ava: the report is",
        ),
        (["--report", "other.json", "--output", "mine"], "the report is about other weights"),
    ],
)
def test_what_is_wrong_is_told(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str) -> None:
    monkeypatch.chdir(folder.parent)
    other = json.loads(report_of(folder).read_text())
    other["checkpoint"]["digest"] = "f" * 64
    Path("other.json").write_text(json.dumps(other))
    code, printed, err = run("card", *options)
    assert code == 2 and said in err and not printed and not (folder / "README.md").exists()


@pytest.mark.parametrize("name", ["../x", "a b/c", "a/b/c"])
def test_a_repository_has_a_name(run: Run, folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with pytest.raises(SystemExit):
        run("card", "--report", report_of(folder), "--output", folder, "--repo", name)
    assert "is no id on the Hub" in capsys.readouterr().err and not (folder / "README.md").exists()


def test_a_benchmark_has_a_form(run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("card", "--report", report_of(folder), "--benchmark", "biq2021")
    assert "is not of the form biq2021=owner/dataset:task" in capsys.readouterr().err
