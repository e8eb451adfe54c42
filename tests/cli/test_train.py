"""`aesthetic-mllm train`: three steps of a tiny model, resuming, and errors before any model is loaded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.cli.main import main
from aesthetic_mllm.trainers import recipes
from synthetic_photos import scene_photo

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*/align.yaml"))
# Files and places of a project's recipe that a trial run elsewhere lacks.
ABSENT = ["exclude=null", "statistics=null", "contents=null"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A folder of six photos and a file that is none."""
    folder = tmp_path / "pool"
    folder.mkdir()
    for number in range(6):
        scene_photo(72 + 4 * number, 64).save(folder / f"{number}.png")
    (folder / "0broken.png").write_bytes(b"no photo")
    return folder


@pytest.fixture
def recipe(tmp_path: Path, pool: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    values = {"model": "no/such/model", "data": [str(pool)], "output_dir": str(tmp_path / "out"), "save_steps": 2}
    path.write_text(yaml.safe_dump(values | {"use_cpu": True, "bf16": False, "disable_tqdm": True}))
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(recipe: Path, *arguments: object) -> tuple[int, str, str]:
        code = main(["train", "align", "--config", str(recipe), *map(str, arguments)])
        output = capsys.readouterr()
        return code, output.out, output.err

    return command


def test_a_tiny_run_leaves_a_checkpoint_and_an_account(
    run: Run, recipe: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Three steps; the checkpoint loads, the recipe holds the overrides, the broken file is named; then the run goes on."""
    out = tmp_path / "out"
    code, printed, err = run(recipe, "seed=3", "--smoke-test")
    assert code == 0, err
    assert printed.splitlines()[-1] == str(out / "aligned")
    AestheticMLLMForConditionalGeneration.from_pretrained(out / "aligned")
    AestheticMLLMProcessor.from_pretrained(out / "aligned")
    assert yaml.safe_load((out / "recipe.yaml").read_text())["seed"] == 3
    assert (out / "unreadable.txt").read_text() == "pool/0broken.png\n"
    assert "1 photo could not be read" in caplog.text and "pool/0broken.png" in caplog.text
    assert "cuts" in json.loads((out / "statistics.json").read_text())
    history = json.loads((out / "trainer_state.json").read_text())["log_history"]
    assert [log["step"] for log in history if "loss" in log] == [1, 2, 3]

    code, _, err = run(recipe, "seed=3", "max_steps=5", "--smoke-test", "--resume")
    assert code == 0, err
    resumed = json.loads((out / "trainer_state.json").read_text())["log_history"]
    assert [log["step"] for log in resumed if "loss" in log] == [1, 2, 3, 4, 5]
    assert resumed[:3] == history[:3]


def test_a_run_with_a_cache_names_what_it_could_not_read(run: Run, recipe: Path, tmp_path: Path) -> None:
    """The tower sees the pretext samples once; a second run finds them there, another recipe's pretext samples are refused."""
    cache = tmp_path / "cache"
    code, _, err = run(recipe, f"feature_cache={cache}", "--smoke-test")
    assert code == 0, err
    assert (tmp_path / "out" / "unreadable.txt").read_text() == "pool/0broken.png\n"
    times = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(times) > 1
    code, _, err = run(recipe, f"feature_cache={cache}", "--smoke-test")
    assert code == 0, err
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == times
    code, _, err = run(recipe, f"feature_cache={cache}", "seed=9", "--smoke-test")
    assert code == 2 and "feature_cache" in err and "seed" in err


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_every_recipe_runs(run: Run, path: Path, pool: Path, tmp_path: Path) -> None:
    overrides = [f"data={pool}", f"output_dir={tmp_path / 'out'}", "use_cpu=true", "bf16=false", "disable_tqdm=true", *ABSENT]
    code, _, err = run(path, "--smoke-test", *overrides)
    assert code == 0, err
    assert (tmp_path / "out" / "aligned" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["batchsize=3"], "batchsize: no such key; did you mean"),
        (["data=nowhere"], "nowhere: no such file or folder"),
        (["data={tmp_path}/empty"], "no photos"),
        (["data={tmp_path}/broken"], "The pool's only photo, broken/a.png, cannot be read; check the file."),
        (["--resume"], "holds no checkpoint to go on from"),
        ([], "data: 7 photos, fewer than one batch of 8"),
    ],
)
def test_errors_come_before_any_model(
    run: Run, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], message: str
) -> None:
    """Wrong recipes and data end with 2 and a message; nothing was loaded, and nothing written."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no photo")

    def loaded(*_: Any) -> None:
        pytest.fail("a model was loaded")

    monkeypatch.setattr(recipes, "load_model", loaded)
    code, printed, err = run(recipe, *(text.format(tmp_path=tmp_path) for text in overrides))
    assert (code, printed) == (2, "")
    told = err.splitlines()[-1]  # after what datasets says of its progress
    assert told.startswith("aesthetic-mllm train align: ") and message in told
    assert not (tmp_path / "out").exists()


def test_bad_data_are_reported_before_a_bad_model(run: Run, recipe: Path) -> None:
    code, _, err = run(recipe, "data=nowhere")
    assert code == 2 and "nowhere" in err and "no/such/model" not in err
    code, _, err = run(recipe, "per_device_train_batch_size=2")
    assert code == 2 and "model: no/such/model: cannot be loaded" in err


def test_wrong_usage_is_code_two() -> None:
    """No recipe, an unknown kind of training, an unknown option."""
    for arguments in ([], ["align"], ["align", "--config", "a", "--larger"], ["draw", "--config", "a"]):
        with pytest.raises(SystemExit) as caught:
            main(["train", *arguments])
        assert caught.value.code == 2
