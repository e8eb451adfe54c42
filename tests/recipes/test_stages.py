"""The recipe's own stages fit together, take what the configuration gives them, and are listed and run by one command."""

import logging
from pathlib import Path

import pytest
import yaml

from recipes.nano import __main__ as command
from recipes.nano import stages as recipe
from recipes.nano.pipeline import StageError, check_stages
from recipes.nano.stages import CONFIGURATION, STAGES, read_configuration


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sets up logging for a process of its own."""
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)


def test_the_stages_fit_together() -> None:
    check_stages(STAGES)
    assert len(STAGES) <= 10 and all(stage.about and 0 < stage.minutes <= 60 for stage in STAGES)


def test_the_configuration_has_every_stages_settings() -> None:
    seed, settings = read_configuration(CONFIGURATION)
    assert seed == 0 and settings.keys() == {stage.name for stage in STAGES}


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        ("rating_heads", {"step": 3}, "wrong or missing: step"),
        ("alignment", {"epochs": None}, "wrong or missing: epochs"),
        ("heads", {}, "there is no stage heads; there are weights, features"),
    ],
)
def test_a_wrong_setting_is_named(stage: str, change: dict, message: str, tmp_path: Path) -> None:
    """One too many, one too few, a stage that does not exist."""
    found = yaml.safe_load(CONFIGURATION.read_text())
    part = found.setdefault(stage, {})
    for name, value in change.items():
        if value is None:
            del part[name]
        else:
            part[name] = value
    (tmp_path / "nano.yaml").write_text(yaml.safe_dump(found))
    with pytest.raises(StageError, match=message):
        read_configuration(tmp_path / "nano.yaml")


def test_a_file_that_is_no_configuration_is_named(tmp_path: Path) -> None:
    for text, message in (
        ("- 1", "needs a seed"),
        ("seed: true", "needs a seed"),
        ("a: [", "not a readable YAML file"),
        ("f\xfcr: 1", "not a readable YAML file"),
        ("seed: 0\nweights: [1]", "weights is no part with settings"),
        ("seed: 0\nweights: {1: 2}", "weights takes no settings; wrong or missing: 1"),
    ):
        (tmp_path / "nano.yaml").write_text(text, encoding="latin-1")
        with pytest.raises(StageError, match=message):
            read_configuration(tmp_path / "nano.yaml")


def test_the_command_lists_and_runs_and_names_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command.main(["--list", "--seed", "-1"]) == 2
    assert "The seed is -1; it has to be a number from 0 to 4294967295." in capsys.readouterr().err
    assert command.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert [line.split()[1] for line in listed.splitlines()[::2]] == [stage.name for stage in STAGES]

    fetched: list[str] = []
    monkeypatch.setattr(
        recipe, "fetch", lambda package, work: (fetched.append(package.name), (work / "packages").mkdir(exist_ok=True))
    )
    arguments = ["--data", str(tmp_path), "--work", str(tmp_path / "work"), "--to", "weights"]
    assert command.main(arguments) == 0 and command.main(arguments) == 0
    assert len(fetched) == 3  # the second time it was done already
    assert command.main(["--list", *arguments[:4]]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].endswith("[done]") and listed[2].endswith("[to do]")

    assert command.main([*arguments[:4], "--to", "features"]) == 2
    assert "features: needs" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main([])
    assert "--data: name the folder" in capsys.readouterr().err
