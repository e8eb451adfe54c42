"""What is missing is told before anything long begins."""

import sys
from pathlib import Path

import pytest

from aesthetic_mllm.cli.main import main
from aesthetic_mllm.cli.usage import WRONG_USAGE


@pytest.mark.parametrize("kind", ["pretext", "align", "sft", "dpo", "grpo"])
def test_without_the_extra_nothing_begins(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The packages are named with the remedy, before recipe, photos or model are looked at."""
    for name in ("skimage", "peft"):
        monkeypatch.setitem(sys.modules, name, None)
    absent = str(tmp_path / "absent")
    command = (
        ["pretext", absent, "--output", str(tmp_path / "l.png")] if kind == "pretext" else ["train", kind, "--config", absent]
    )
    assert main(command) == WRONG_USAGE
    assert "not installed: peft, skimage; install them with pip install 'aesthetic-mllm[train]'" in capsys.readouterr().err


def test_an_unknown_option_shows_the_usage_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["score", "photo.jpg", "--fromat", "csv"])
    told = capsys.readouterr().err
    assert ended.value.code == WRONG_USAGE
    assert told.startswith("usage: aesthetic-mllm score ") and "unrecognized arguments: --fromat csv" in told


def test_overrides_may_stand_on_both_sides_of_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """argparse fills `nargs="*"` once, and would refuse those after the option."""
    seen: list[list[str]] = []
    monkeypatch.setattr("aesthetic_mllm.cli.train._run", lambda kind, run, options: seen.append(options.overrides) or 0)
    assert main(["train", "sft", "--config", "recipe.yaml", "seed=1", "--smoke-test", "bf16=false"]) == 0
    assert seen == [["seed=1", "bf16=false"]]
