"""README's commands and code do what README says. (Its two installing commands are what CI itself runs.)"""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset
from PIL import Image

from aesthetic_mllm import ImageError
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.cli.main import main
from aesthetic_mllm.trainers.sft_recipe import check_entry
from photo_files import jpeg_bytes, scene
from tiny_checkpoints import save_language_model, save_llava, save_siglip

JUDGING = ("score", "assess", "comment", "suggest", "personalize", "rank", "compare")
ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", README, re.S | re.M)
    assert found, f"README.md has no section {title!r}"
    return found[1]


def code(title: str, language: str = "python") -> list[str]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", section(title), re.S | re.M)
    assert blocks, f"README's section {title!r} has no {language} block"
    return blocks


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that README's examples name."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "holiday").mkdir()
    for number, name in enumerate(("a.jpg", "b.jpg", "portrait.jpg", "holiday/1.jpg", "holiday/2.jpg")):
        (tmp_path / name).write_bytes(jpeg_bytes(scene(60 + 7 * number, 50)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """Tiny checkpoints in the place of those of the Hub that README names."""
    return {
        "google/siglip2-base-patch16-256": str(save_siglip(tmp_path / "siglip2")),
        "Qwen/Qwen3-0.6B": str(save_language_model(tmp_path / "qwen3", "qwen3")),
        "llava-hf/llava-1.5-7b-hf": str(save_llava(tmp_path / "llava", (True, True))),
    }


def test_python_of_a_users_first_hour(folder: Path) -> None:
    """The blocks from rating a photo to the Auto classes run one after the other, as a reader would type them."""
    names: dict[str, object] = {"paths": ["a.jpg", "missing.jpg"]}
    for title in (
        "Rate photos from Python",
        "Assess a photo: attributes, a comment, suggestions",
        "Rank, pick, compare",
        "In your eyes",
        "Photos that cannot be read",
        "Embeddings",
        "Through transformers' Auto classes",
        "Without this package: `trust_remote_code`",
    ):
        for block in code(title):
            exec(block, names)
    assert names["rating"].score_range == (1.0, 10.0)
    assert isinstance(names["results"][1], ImageError)
    assert names["features"].low.shape == (2, 576)
    assert names["outputs"].low_embeds.shape == (1, 576)
    assert [rating.mean for rating in names["ratings"]] == pytest.approx(
        [rating.mean for rating in names["assessor"].score(["a.jpg", "b.jpg"])], abs=1e-3
    )


def test_model_card_code_runs(folder: Path) -> None:
    """The model card's own example rates photos."""
    card = (ROOT / "model_card.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", card, re.S | re.M)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(block.replace("path/to/this/folder", str(embedded_checkpoint())), {})
    assert printed.getvalue().count("excellent") == 2


def test_commands_of_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of README that judges photos with the embedded checkpoint ends with 0 and tells of each photo."""
    lines = [line for block in re.findall(r"^```bash\n(.*?)^```", README, re.S | re.M) for line in block.splitlines()]
    judging = tuple(f"aesthetic-mllm {command} " for command in JUDGING)
    scores = [line for line in lines if line.startswith(judging) and "--model" not in line]
    (folder / "ratings.csv").write_text("image,rating\na.jpg,1\nb.jpg,4\nportrait.jpg,5\n")
    commands = [line.split("#")[0].split(">")[0] for line in scores]
    first = [step for line in lines for step in line.split(" && ") if step.startswith("aesthetic-mllm score examples")]
    assert {command.split()[1] for command in commands} == {prefix.split()[1] for prefix in judging} and first
    for command in commands + first:
        assert main(shlex.split(command)[1:]) == 0, command
        assert capsys.readouterr().out.count("\n") >= 2, command


def test_teaching_from_unlabelled_photos(folder: Path) -> None:
    """README's recipe and commands draw lessons and align a model; `--smoke-test` takes the place of the reader's model."""
    title = "Teach a model from unlabelled photos"
    (recipe,), (commands,) = code(title, "yaml"), code(title, "bash")
    (folder / "recipe.yaml").write_text(recipe)
    draw, train = [line.split("#")[0] for line in commands.splitlines()]
    assert main(shlex.split(draw)[1:]) == 0 and (folder / "lessons.png").stat().st_size > 10_000
    assert main([*shlex.split(train)[1:], "per_device_train_batch_size=2", "--smoke-test"]) == 0
    assert (folder / "build" / "align" / "aligned" / "model.safetensors").exists()


def test_tuning(folder: Path) -> None:
    """README's commands tune on a table of ratings, of preferences and by rewards; `--smoke-test` makes them short. The
    model that comes out rates, and is a reward."""
    for number in range(20):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    (folder / "ratings.csv").write_text("image,mean\n" + "".join(f"{number}.png,{1 + number % 10}\n" for number in range(20)))
    (folder / "preferences.csv").write_text("image,prompt,chosen,rejected\n" + "0.png,Comment.,Soft light.,Bad light.\n" * 4)
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    (sft,), (preferences,) = code("Tune it on your own ratings", "bash"), code("By preferences and rewards", "bash")
    train, score = sft.splitlines()
    for command in (train, *preferences.splitlines()):
        assert main([*shlex.split(command)[1:], "use_cpu=true", "bf16=false", "--smoke-test"]) == 0, command
    assert main(shlex.split(score)[1:]) == 0
    names: dict[str, object] = {}
    exec(code("By preferences and rewards")[0], names)
    assert len(names["rewards"]) == 2 and all(0 <= reward <= 1 for reward in names["rewards"])


def test_opening_a_public_data_set(folder: Path) -> None:
    """README's block reads AVA's layout and keeps it as parquet; its recipe's entries are what a recipe takes."""
    root = folder / "AVA"
    (root / "aesthetics_image_lists").mkdir(parents=True)
    (root / "images").mkdir()
    (root / "aesthetics_image_lists" / "generic_ls_train.jpgl").write_text("1.jpg\n2.jpg\n")
    (root / "AVA.txt").write_text("1 1 0 1 5 17 38 36 15 6 5 1 1 22 1396\n2 2 0 1 5 17 38 36 15 6 5 1 1 22 1396\n")
    shutil.copy(folder / "a.jpg", root / "images" / "2.jpg")
    (block,), (entries,) = code("On public data sets"), code("On public data sets", "yaml")
    exec(block.replace("/data/AVA", str(root)), {})
    assert len(Dataset.from_parquet("ava.parquet")) == 1
    for number, entry in enumerate(yaml.safe_load(entries)["data"]):
        check_entry(entry, f"data[{number}]")


@pytest.mark.parametrize("title", ["Build your own model", "From a LLaVA"])
def test_growing_a_model(title: str, folder: Path, stand_ins: dict[str, str]) -> None:
    """The blocks that grow a model run; checkpoints of the Hub are stood in for by tiny ones."""
    (block,) = code(title)
    for hub_id, local in stand_ins.items():
        block = block.replace(hub_id, local)
    names: dict[str, object] = {}
    exec("from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor\n" + block, names)
    with torch.inference_mode():
        logits = names["model"](**names["processor"].rating_inputs("a.jpg")).logits
    assert len(names["processor"].decode_ratings(logits)) == 1
