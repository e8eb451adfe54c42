"""`aesthetic-mllm train sft`, `dpo` and `grpo`: every recipe of the project in three tiny steps, and errors by name."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.cli.main import main
from aesthetic_mllm.publishing.report import Report
from aesthetic_mllm.trainers import tuning
from aesthetic_mllm.trainers.aesthetic_sft_trainer import AestheticSFTTrainer

RECIPES = Path(__file__).parents[2] / "recipes"
# What a run elsewhere than on this machine's CPU would not need.
PLAIN = ["use_cpu=true", "bf16=false", "disable_tqdm=true", "dataloader_num_workers=0"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Ratings from 1 to 7 of twenty photos that look unlike each other, two of them tested and two validated on."""
    rows = ["image,mean,split"]
    for number in range(20):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save(tmp_path / f"{number}.png")
        split = {0: "test", 1: "test", 2: "validation", 3: "validation"}.get(number, "train")
        rows.append(f"{number}.png,{1 + number % 7},{split}")
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(kind: str, recipe: Path, *arguments: object) -> tuple[int, str, str]:
        code = main(["train", kind, "--config", str(recipe), *map(str, arguments)])
        output = capsys.readouterr()
        return code, output.out, output.err

    return command


def own(table: Path, tasks: str = "[score]") -> str:
    return f"data=[{{source: own, root: {table}, range: [1, 7], tasks: {tasks}}}]"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*/sft.yaml")), ids=lambda path: path.parent.name)
def test_every_sft_recipe_runs(run: Run, path: Path, table: Path, tmp_path: Path) -> None:
    """A checkpoint that rates, the recipe with its overrides, and a report of held-out photos before and after."""
    out = tmp_path / "out"
    code, printed, err = run("sft", path, "--smoke-test", own(table, "[score, decimal, compare]"), f"output_dir={out}", *PLAIN)
    assert code == 0, err
    assert printed.splitlines()[-1] == str(out / "tuned")
    report = json.loads((out / "report.json").read_text())
    for when in ("before", "after"):
        assert report[when]["own"].keys() == {"n", "srcc", "srcc_interval", "plcc", "plcc_interval"}
        assert report[when]["own"]["n"] == 2
    assert report["seen_by_start"] == {"own": {"photos": 2, "seen": None}}
    assert report["evaluated_on"] == "test" and report["rows"]["validation"] == {"own": 2} and report["steps"] == 3
    ratings = [log["level_loss"] for log in report["losses"] if "level_loss" in log]
    assert ratings and min(ratings) > 0
    assert report["data"][0].startswith("own: ") and "from 16 records" in report["data"][0]
    assert yaml.safe_load((out / "recipe.yaml").read_text())["output_dir"] == str(out)
    rating = AestheticAssessor.from_pretrained(str(out / "tuned"), device="cpu").score(table.parent / "0.png")
    assert 1 <= rating.mean <= 10
    assert (out / "adapter" / "adapter_model.safetensors").is_file() == ("llava" in path.parts)
    card = (out / "tuned" / "README.md").read_text()
    assert "### Ratings" in card and "own table, ratings.csv" in card and "This is a smoke test" in card
    assert str(tmp_path) not in card + (out / "tuned" / "report.json").read_text()
    assert Report.load(out / "tuned" / "report.json").find(task="ratings", system="out")[0].subject == "aesthetic"
    assert report["references"] == {"photos": 18, "percentiles": [], "operating_points": []}


@pytest.mark.parametrize(("override", "rate"), [("lora_r=4", 5e-4), ("lora_r=0", 5e-5)])
def test_a_rank_is_all_that_adapters_need(run: Run, table: Path, tmp_path: Path, override: str, rate: float) -> None:
    """The recipe names no learning rate, so that adapters get theirs."""
    settings = ["--smoke-test", own(table), f"output_dir={tmp_path}", "lr_scheduler_type=constant", "warmup_steps=0", *PLAIN]
    code, _, err = run("sft", RECIPES / "own_data/sft.yaml", *settings, override)
    assert code == 0, err
    history = json.loads((tmp_path / "trainer_state.json").read_text())["log_history"]
    assert {log["learning_rate"] for log in history if "learning_rate" in log} == {rate}


def check_tuned(out: Path, table: Path) -> None:
    """The checkpoint still rates by level words, what it says of itself is told, and its card is not TRL's."""
    assessor = AestheticAssessor.from_pretrained(str(out / "tuned"), device="cpu")
    rating = assessor.score(table.parent / "0.png")
    assert 1 <= rating.mean <= 10 and sum(rating.distribution.values()) == pytest.approx(1)
    assert list(rating.distribution) == [word.strip() for word in assessor.processor.rating_scale.level_words]
    assert json.loads((out / "report.json").read_text())["references"]["percentiles"] == []
    assert "AestheticAssessor.from_pretrained" in (out / "README.md").read_text()


def test_the_dpo_recipe_runs_on_pretext_samples_and_on_a_table(run: Run, table: Path, tmp_path: Path) -> None:
    preferences = tmp_path / "preferences.csv"
    rows = [f"{number}.png,Comment on this photo.,Fine soft light.,A bad photo of nothing." for number in range(4)]
    preferences.write_text("\n".join(["image,prompt,chosen,rejected", *rows]) + "\n")
    pool = tmp_path / "pool"
    pool.mkdir()
    for number in range(4, 8):
        (tmp_path / f"{number}.png").rename(pool / f"{number}.png")
    out = tmp_path / "out"
    code, printed, err = run(
        "dpo",
        RECIPES / "nano/dpo.yaml",
        "--smoke-test",
        f"data=[{pool},{preferences}]",
        f"output_dir={out}",
        "save_strategy=steps",
        "save_steps=3",
        *PLAIN,
    )
    assert code == 0, err
    assert printed.splitlines()[-1] == str(out / "tuned") and (out / "tuned" / "model.safetensors").is_file()
    history = json.loads((out / "trainer_state.json").read_text())["log_history"]
    assert any("rewards/margins" in log for log in history)
    check_tuned(out, table)


def test_the_grpo_recipe_runs(run: Run, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, err = run(
        "grpo", RECIPES / "nano/grpo.yaml", "--smoke-test", own(table), f"output_dir={out}", "save_strategy=steps",
        "save_steps=3", *PLAIN
    )  # fmt: skip
    assert code == 0, err
    assert printed.splitlines()[-1] == str(out / "tuned") and (out / "tuned" / "model.safetensors").is_file()
    history = json.loads((out / "trainer_state.json").read_text())["log_history"]
    for name in ("ScoreClosenessReward", "RankReward", "FormatReward"):
        assert any(f"rewards/{name}/mean" in log for log in history), name
    check_tuned(out, table)


@pytest.mark.parametrize(
    ("kind", "overrides", "message"),
    [
        ("sft", ["learning_rat=1"], "learning_rat: no such key; did you mean learning_rate?"),
        ("sft", ["data=[{source: own, root: a.csv, rang: [1, 7]}]"], r"data[0].rang: no such key; did you mean range?"),
        ("sft", ["data=[{source: own}]"], "data[0]: no root; write for example"),
        ("sft", ["data=[{source: own, root: a.csv, weight: much}]"], "data[0].weight: 'much', expected a number"),
        ("sft", ["data=[{source: owm, root: a.csv, range: [1, 7]}]"], "owm: no such data set; did you mean own?"),
        ("sft", ["data=[ratings.csv]"], "data: ['ratings.csv'], expected a list of mappings such as [{source: own,"),
        ("sft", ["lora_rank=16"], "lora_rank: no such key; did you mean lora_r?"),
        (
            "sft",
            ["model=no/such/folder"],
            "model: no/such/folder: cannot be loaded; give a checkpoint's folder or its Hub id. There",
        ),
        ("sft", ["data=[{source: avva, root: a}]"], "avva: no such data set; did you mean ava?"),
        ("sft", ["data=[{source: ava, root: nowhere}]"], "ava: no folder nowhere; expected there: AVA.txt"),
        ("sft", ["data=[]"], "data: an empty list"),
        ("sft", ["llava=a", "vision=b", "text=c"], "llava: cannot be given together with vision"),
        ("sft", ["vision=b"], "vision, text: need each other"),
        ("sft", ["load_in_4bit=true"], "load_in_4bit: true without lora_r"),
        (
            "sft",
            ["data=[{source: own, root: a.csv, range: [low, 7]}]"],
            "data[0].range: ['low', 7], expected a list of numbers",
        ),
        ("sft", ["data=[{source: own, root: a.csv, tasks: {a: b}}]"], "data[0].tasks: {'a': 'b'}, expected a list of texts"),
        ("sft", ["learning_rate=-1"], "learning_rate: -1.0; give a number that is at least 0"),
        ("sft", ["learning_rate=nan"], "learning_rate: nan; give a number that is at least 0"),
        ("sft", ["seed=-1"], "seed: -1; give a number that is at least 0"),
        ("dpo", ["per_device_train_batch_size=0"], "per_device_train_batch_size: 0; give a number that is at least 1"),
        ("grpo", ["gradient_accumulation_steps=0"], "gradient_accumulation_steps: 0; give a number that is at least 1"),
        ("sft", ["evaluation_photos=1"], "evaluation_photos: 1; a correlation needs 2 or more"),
        ("sft", ["load_best_model_at_end=false"], "early_stopping: 2 needs load_best_model_at_end: true"),
        ("dpo", ["data=[]"], "data: an empty list; name tables of preferences"),
        ("dpo", ["data=[nowhere]"], "nowhere: no such file or folder"),
        ("grpo", ["rewards={closenes: 1}"], "rewards.closenes: 1; give a number to each of closeness, rank, format, length"),
        ("grpo", ["num_generation=4"], "num_generation: no such key; did you mean num_generations?"),
    ],
)
def test_a_wrong_recipe_is_told_before_any_model_loads(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str, overrides: list[str], message: str
) -> None:
    monkeypatch.chdir(RECIPES)
    folder = "own_data" if kind == "sft" else "nano"
    code, _, err = run(kind, RECIPES / folder / f"{kind}.yaml", *PLAIN, *overrides)
    assert code == 2 and message in err


def test_what_leaks_is_left_out_and_told(run: Run, table: Path, tmp_path: Path) -> None:
    """A training photo that is a scaled copy of a test photo is not trained on, and the report names it."""
    Image.open(tmp_path / "0.png").resize((48, 36)).save(tmp_path / "copy.png")
    table.write_text(table.read_text() + "copy.png,3,train\n")
    out = tmp_path / "out"
    code, _, err = run("sft", RECIPES / "own_data/sft.yaml", "--smoke-test", own(table), f"output_dir={out}", *PLAIN)
    assert code == 0, err
    told = json.loads((out / "report.json").read_text())["data"]
    assert "own: 1 training photo left out, because also evaluated on: copy.png is 0.png" in told


def test_missing_images_are_an_error_or_are_left_out(run: Run, table: Path, tmp_path: Path) -> None:
    """The error counts and names them and says how to go on; with `--skip-missing` the report does."""
    (tmp_path / "5.png").unlink()
    out = tmp_path / "out"
    settings = ["--smoke-test", own(table), f"output_dir={out}", *PLAIN]
    code, _, err = run("sft", RECIPES / "own_data/sft.yaml", *settings)
    assert code == 2 and "1 image is missing: 5.png" in err and "--skip-missing" in err
    code, _, err = run("sft", RECIPES / "own_data/sft.yaml", "--skip-missing", *settings)
    assert code == 0, err
    assert "own, train: 1 image is missing: 5.png" in json.loads((out / "report.json").read_text())["data"]


def test_a_split_that_cannot_be_evaluated_on_is_told(run: Run, table: Path, tmp_path: Path) -> None:
    """A missing test photo does not stop training, but the report says that the split was left out, and why."""
    (tmp_path / "0.png").unlink()
    out = tmp_path / "out"
    code, _, err = run("sft", RECIPES / "own_data/sft.yaml", "--smoke-test", own(table), f"output_dir={out}", *PLAIN)
    assert code == 0, err
    told = json.loads((out / "report.json").read_text())["data"]
    assert any(line.startswith("own: not evaluated on its test photos (own, test: 1 image is missing: 0.png") for line in told)


@pytest.mark.parametrize("kind", ["sft", "dpo", "grpo"])
def test_data_are_read_before_the_model(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A table that is wrong ends the run in seconds, without the model and without anything written."""
    monkeypatch.setattr(tuning, "load_model", lambda *_: pytest.fail("the model was loaded"))
    table.write_text(table.read_text().replace("7.png,1,", "7.png,many,"))
    preferences = tmp_path / "preferences.csv"
    preferences.write_text("image,prompt,chosen\n0.png,Comment on this photo.,Fine.\n")
    recipe = RECIPES / ("own_data/sft.yaml" if kind == "sft" else f"nano/{kind}.yaml")
    out = tmp_path / "out"
    data, told = (f"data=[{preferences}]", "rejected") if kind == "dpo" else (own(table), "line 9: mean is 'many'")
    code, _, err = run(kind, recipe, data, f"output_dir={out}", *PLAIN)
    assert code == 2 and told in err and not out.exists()


def test_without_validation_photos_nothing_is_trained(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small table may have none: it is told with the way out, before the model; and that way is one."""
    table.write_text(table.read_text().replace("validation", "train"))
    settings = ["--smoke-test", own(table), f"output_dir={tmp_path / 'out'}", *PLAIN]
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "start_model", lambda *_: pytest.fail("the model was loaded"))
        code, _, err = run("sft", RECIPES / "own_data/sft.yaml", *settings)
    assert code == 2 and "no rated validation photos" in err
    way_out = err.strip().rpartition("train without: ")[2].rstrip(".").split()
    code, _, err = run("sft", RECIPES / "own_data/sft.yaml", *settings, *way_out)
    assert code == 0, err


@pytest.mark.parametrize("kind", ["sft", "dpo", "grpo"])
def test_a_photo_that_cannot_be_read_is_a_message(run: Run, table: Path, tmp_path: Path, kind: str) -> None:
    """Code 2 with its name and what to do, whichever library meets it: TRL's data sets decode photos themselves."""
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(b"no photo")
    preferences = tmp_path / "preferences.csv"
    preferences.write_text("image,prompt,chosen,rejected\n1.png,Comment on this photo.,Fine soft light.,A bad photo.\n")
    recipe = RECIPES / ("own_data/sft.yaml" if kind == "sft" else f"nano/{kind}.yaml")
    data = f"data=[{preferences}]" if kind == "dpo" else own(table)
    code, _, err = run(kind, recipe, "--smoke-test", data, f"output_dir={tmp_path / 'out'}", *PLAIN)
    told = err.rstrip().splitlines()[-1]
    remedy = "Mend them, or leave them out with --skip-missing." if kind == "sft" else ". Mend the photo, or take its row out."
    assert code == 2 and re.search(r"\d+\.png", told) and told.endswith(remedy)


def test_photos_that_cannot_be_read_are_left_out_where_that_is_wanted(run: Run, table: Path, tmp_path: Path) -> None:
    """They are told before the model loads, all at once, and a run without them begins."""
    (tmp_path / "3.png").write_bytes(b"no photo")
    recipe = RECIPES / "own_data/sft.yaml"
    options = ["--smoke-test", own(table), f"output_dir={tmp_path / 'out'}", *PLAIN]
    code, _, err = run("sft", recipe, *options)
    assert code == 2 and "1 photo cannot be read" in err and "3.png" in err
    code, _, err = run("sft", recipe, "--skip-missing", *options)
    assert code == 0, err
    assert any(
        "1 photo cannot be read, left out" in line for line in json.loads((tmp_path / "out" / "report.json").read_text())["data"]
    )


def test_the_report_has_intervals(run: Run, table: Path, tmp_path: Path) -> None:
    """Of SRCC and PLCC, before and after, around the figure itself; printed too. The number of photos stands beside them."""
    rows = table.read_text()
    for number in range(4, 8):
        rows = re.sub(rf"^({number}\.png,\d),train$", r"\1,test", rows, flags=re.M)
    table.write_text(rows)
    out = tmp_path / "out"
    code, printed, err = run(
        "sft", RECIPES / "own_data/sft.yaml", "--smoke-test", own(table), f"output_dir={out}", "evaluation_photos=6", *PLAIN
    )
    assert code == 0, err
    report = json.loads((out / "report.json").read_text())
    for found in (report["before"]["own"], report["after"]["own"]):
        assert found["n"] == 6
        for measure in ("srcc", "plcc"):
            low, high = found[f"{measure}_interval"]
            assert -1 <= low < high <= 1 and low <= found[measure] <= high
    low, high = report["after"]["own"]["srcc_interval"]
    assert f"({low:.3f} to {high:.3f}) after, on 6 test photos" in printed
    assert "missing keys" not in err  # tied weights, which are saved once


def test_an_interrupted_run_says_how_to_go_on(run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C: code 130, the last checkpoint's step and a command; that command goes on from there, and says so."""
    out = tmp_path / "my runs" / "out"
    settings = ["--smoke-test", own(table), f"output_dir={out}", "eval_strategy=steps", "save_strategy=steps", "eval_steps=1"]
    settings += ["save_steps=1", *PLAIN]

    def interrupted_at(step: int) -> tuple[int, str, str]:
        real = AestheticSFTTrainer.compute_loss

        def compute_loss(self: AestheticSFTTrainer, *arguments: Any, **options: Any) -> Any:
            if self.state.global_step == step:
                raise KeyboardInterrupt
            return real(self, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(AestheticSFTTrainer, "compute_loss", compute_loss)
            return run("sft", RECIPES / "own_data/sft.yaml", *settings)

    code, _, err = interrupted_at(0)
    assert code == 130 and f"Interrupted. {out} holds no checkpoint yet, so the same command starts anew." in err
    code, _, err = interrupted_at(2)
    told, command = err.rstrip().splitlines()[-2:]
    assert code == 130 and told == "Interrupted. The last checkpoint is that of step 2; go on from it with:"
    words = shlex.split(command)
    assert words[:5] == ["aesthetic-mllm", "train", "sft", "--config", str(RECIPES / "own_data/sft.yaml")]
    assert words[-1] == "--resume" and "--smoke-test" in words and f"output_dir={out}" in words
    code, _, err = run("sft", RECIPES / "own_data/sft.yaml", *words[5:])
    assert code == 0, err
    assert f"Going on from step 2 ({out / 'checkpoint-2'})." in err
    report = json.loads((out / "report.json").read_text())
    assert report["resumed_from"] == str(out / "checkpoint-2") and report["steps"] == 3
    code, _, err = run("sft", RECIPES / "own_data/sft.yaml", "--resume", own(table), f"output_dir={tmp_path / 'new'}", *PLAIN)
    assert code == 2 and "holds no checkpoint to go on from" in err
