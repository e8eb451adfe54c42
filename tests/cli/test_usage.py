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
