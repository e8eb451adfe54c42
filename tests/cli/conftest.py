"""What the commands' tests share: a checkpoint that answers everything, and a way to run a command."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.cli.main import main
from lively_assessor import lively_assessor
from photo_files import jpeg_bytes, scene

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def assessor() -> AestheticAssessor:
    """A tiny random one that rates attributes and flaws; tests do not change it."""
    return lively_assessor(attributes=True, flaws=True)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], assessor: AestheticAssessor, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command, with that assessor in the place of any checkpoint: exit code, standard output and error stream."""
    monkeypatch.setattr(AestheticAssessor, "from_pretrained", lambda *args, **kwargs: assessor)

    def run_command(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run_command


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with four photos in it and below."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(("1.jpg", "2.jpg", "3.jpg", "more/4.jpg")):
        (folder / name).write_bytes(jpeg_bytes(scene(60 + 20 * number, 50)))
    return folder
