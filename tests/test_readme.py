"""Commands and code of README and of docs/ do what the pages say. (README's two installing commands are what CI runs.)"""

import base64
import contextlib
import functools
import importlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset
from PIL import Image

from aesthetic_mllm import AestheticAssessor, ImageError
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.cli.evaluate import data_entry
from aesthetic_mllm.cli.main import build_parser, main
from aesthetic_mllm.data.catalogue import OWN, PUBLIC
from aesthetic_mllm.trainers.tuning_recipe import check_entries
from fake_chat_server import FakeChatServer, running
from photo_files import jpeg_bytes, scene
from rated_table import write_table
from tiny_checkpoints import save_language_model, save_llava, save_siglip

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
USING = (
    "README.md",
    *(f"docs/{name}.md" for name in ("rate", "assess", "suggest", "rank", "cull", "personalize", "checkpoints")),
)
JOBS = "docs/jobs.md"
TRAINING = ("docs/tune.md", "docs/align.md", "docs/build_your_own.md")
EVALUATING = ("docs/evaluate.md",)
PUBLISHING = "docs/publish.md"  # tests/test_push.py and tests/test_published_training.py do what it tells
# Its commands and code are run by tests/publishing/test_onnx_export.py, tests/metrics and tests/integrations.
ELSEWHERE = ("docs/export.md",)
JUDGING = ("score", "assess", "comment", "suggest", "personalize", "rank", "cull", "compare")
SERVING = ("docs/serve.md", "docs/scale.md")
SHORT = ["use_cpu=true", "bf16=false", "--smoke-test"]


def read(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def code(page: str, language: str = "python", title: str = "") -> list[str]:
    """The blocks of a page, or of one of its sections, in a language."""
    text = read(page)
    if title:
        found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", text, re.S | re.M)
        assert found, f"{page} has no section {title!r}"
        text = found[1]
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)
    assert blocks or not title, f"{page}, section {title!r}, has no {language} block"
    return blocks


def commands(page: str) -> list[list[str]]:
    """The arguments of each line that runs aesthetic-mllm, without comments and redirections."""
    lines = [line for block in code(page, "bash") for line in block.splitlines() if line.startswith("aesthetic-mllm ")]
    return [shlex.split(re.split(r" +#| > ", line)[0])[1:] for line in lines]


@pytest.fixture(scope="module")
def refresher() -> ModuleType:
    """docs/refresh_outputs.py."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return importlib.import_module("refresh_outputs")
    finally:
        sys.path.remove(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def one_model() -> Iterator[None]:
    """The embedded checkpoint is loaded once, and not for each command and block."""
    load = AestheticAssessor.from_pretrained
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AestheticAssessor, "from_pretrained", functools.cache(load))
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the pages name."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "holiday").mkdir()
    for number, name in enumerate(("a.jpg", "b.jpg", "portrait.jpg", "holiday/1.jpg", "holiday/2.jpg")):
        (tmp_path / name).write_bytes(jpeg_bytes(scene(60 + 7 * number, 50)))
    (tmp_path / "ratings.csv").write_text("image,rating\na.jpg,1\nb.jpg,4\nportrait.jpg,5\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """Tiny checkpoints in the place of those of the Hub that the pages name."""
    return {
        "google/siglip2-base-patch16-256": str(save_siglip(tmp_path / "siglip2")),
        "Qwen/Qwen3-0.6B": str(save_language_model(tmp_path / "qwen3", "qwen3")),
        "llava-hf/llava-1.5-7b-hf": str(save_llava(tmp_path / "llava", (True, True))),
    }


def test_every_page_is_tested_and_listed() -> None:
    """A page with code is run by a test of this file; docs/README.md and README link each page."""
    with_code = {page for page in PAGES if any(code(page, language) for language in ("python", "bash", "text", "yaml"))}
    assert with_code <= {*USING, *TRAINING, *EVALUATING, *ELSEWHERE, *SERVING, PUBLISHING, JOBS}
    for page in USING[1:]:
        lines = [line for block in code(page, "bash") for line in block.splitlines()]
        assert all(line.startswith("aesthetic-mllm ") for line in lines), page
    for page in {*PAGES} - {"README.md", "docs/README.md"}:
        name = page.removeprefix("docs/")
        assert f"]({name})" in read("docs/README.md") and f"](docs/{name})" in read("README.md"), page


def test_publishing_names_commands_messages_and_code_that_there_are() -> None:
    """Its commands are understood, what it says of errors is what the commands say, its code compiles."""
    for arguments in commands(PUBLISHING):
        if arguments[0] != "evaluate":  # of docs/evaluate.md
            build_parser().parse_args(arguments)
    for block in code(PUBLISHING):
        compile(block, PUBLISHING, "exec")
    said = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/aesthetic_mllm").glob("*/[hp]u*.py"))
    for message in re.findall(r"^\| (?!message|---|`)(.+?) \| [12] \|", read(PUBLISHING), re.M):
        for part in re.split(r"\.\.\.|FOLDER|me/mine|\bme\b|503|other/mine|\bother\b", message):
            assert part.strip(" ,") in said, message


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Files that a page links exist, and so do the sections."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", read(page)):
        file, _, anchor = target.partition("#")
        path = (PAGES[page].parent / file).resolve() if file else PAGES[page]
        assert path.exists(), f"{page} links {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles], (
                f"{page} links {target}"
            )


def test_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 180


def run_blocks(page: str) -> dict[str, Any]:
    """The page's Python blocks one after the other, as a reader would type them; the names they leave."""
    names: dict[str, Any] = {}
    for block in code(page):
        exec(block, names)
    return names


@pytest.mark.parametrize("page", USING)
def test_python_of_using_it(page: str, folder: Path, one_model: None) -> None:
    """Every block runs, and what the pages say of shapes, ranges and errors holds."""
    names = run_blocks(page)
    if page == "docs/rate.md":
        assert names["rating"].score_range == (1.0, 10.0) and 0 <= names["rating"].percentile <= 100
        assert isinstance(names["results"][1], ImageError)
        assert names["features"].low.shape == (2, 576)
    if page == "docs/checkpoints.md":
        assert names["outputs"].low_embeds.shape == (1, 576)
        expected = AestheticAssessor.from_pretrained().score(["a.jpg", "b.jpg"])
        assert [each.mean for each in names["ratings"]] == pytest.approx([each.mean for each in expected], abs=1e-3)


def test_model_card_code_runs(folder: Path) -> None:
    """The model card's own examples rate photos, with the package one, with transformers alone two."""
    card = (ROOT / "model_card.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", card, re.S | re.M)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in blocks:
            exec(block.replace("path/to/this/folder", str(embedded_checkpoint())).replace("photo.jpg", "a.jpg"), {})
    assert len(blocks) == 2 and printed.getvalue().count("excellent") == 3


@pytest.mark.parametrize("page", [page for page in USING if commands(page)])
def test_commands_of_using_it(page: str, folder: Path, one_model: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line that judges photos ends with 0 and says something of them."""
    for arguments in commands(page):
        assert arguments[0] in JUDGING
        assert main(arguments) == 0, arguments
        assert capsys.readouterr().out.count("\n") >= (1 if "json" in arguments else 2), arguments


def test_evaluating_as_the_page_says(folder: Path, one_model: None, capsys: pytest.CaptureFixture[str]) -> None:
    """The command and the block about one's own table run; the data sets and options of the other commands exist."""
    write_table(folder / "mine")
    for arguments in commands("docs/evaluate.md"):
        options = build_parser().parse_args(arguments)
        entries = [data_entry(text, options) for text in options.data]
        assert {entry["source"] for entry in entries} <= {*PUBLIC, OWN}
    (short,) = [arguments for arguments in commands("docs/evaluate.md") if "--limit" in arguments]
    assert main(short) == 0
    assert "ratings" in capsys.readouterr().out
    assert run_blocks("docs/evaluate.md")["found"].count == 8


def test_jobs(folder: Path, one_model: None) -> None:
    """The commands write the files that the page names, what is read from them is there, and the code goes on with them."""
    (folder / "holiday").rename(folder / "photos")
    for arguments in commands(JOBS):
        assert main(arguments) == 0, arguments
    assert {path.name for path in folder.iterdir()} >= {"ratings.parquet", "ratings.parquet.parts", "ratings", "ratings.html"}
    before = (folder / "ratings.parquet").read_bytes()
    names: dict[str, Any] = {}
    exec(code(JOBS, title="Columns")[0], names)
    assert sorted(names["best"]) == ["photos/1.jpg", "photos/2.jpg"]
    exec(code(JOBS, title="From Python")[0], names)
    assert (folder / "ratings.parquet").read_bytes() == before


@pytest.mark.parametrize("page", [page for page in PAGES if "$ aesthetic-mllm " in read(page)])
def test_outputs_are_what_the_commands_print(
    page: str, folder: Path, refresher: ModuleType, one_model: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To be refreshed with `python docs/refresh_outputs.py`. Numbers may differ a little from one processor to another."""
    monkeypatch.setenv("COLUMNS", str(refresher.WIDTH))
    refresher.prepare(folder, read(page))
    shown, printed = (comparable(text) for text in (read(page), refresher.refreshed(read(page), refresher.run_here)))
    assert shown[0] == printed[0]
    assert shown[1] == pytest.approx(printed[1], abs=0.11, rel=0.02)


def comparable(text: str) -> tuple[str, list[float]]:
    """Words without bars, and numbers."""
    words = re.sub(r"[▁▂▃▄▅▆▇█·▏▎▍▌▋▊▉]+| {2,}", " ", text)
    return re.sub(r"\d+(\.\d+)?", "0", re.sub(r"\s+", " ", words)), [float(each) for each in re.findall(r"\d+(?:\.\d+)?", text)]


def test_alignment(folder: Path) -> None:
    """The recipe and the commands draw pretext tasks and align a model; a tiny one takes the place of the reader's."""
    page = "docs/align.md"
    (recipe,) = code(page, "yaml")
    (folder / "recipe.yaml").write_text(recipe)
    for arguments in commands(page):
        short = ["per_device_train_batch_size=2", *SHORT[2:]] if arguments[0] == "train" else []
        assert main([*arguments, *short]) == 0, arguments
    assert (folder / "pretext_samples.png").stat().st_size > 10_000
    assert (folder / "build" / "align" / "aligned" / "model.safetensors").exists()


def test_tuning(folder: Path) -> None:
    """The commands tune on a table of ratings, of preferences and by rewards, on a tiny model. The one that comes out rates, and
    is a reward."""
    for number in range(20):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    (folder / "ratings.csv").write_text("image,mean\n" + "".join(f"{number}.png,{1 + number % 10}\n" for number in range(20)))
    (folder / "preferences.csv").write_text("image,prompt,chosen,rejected\n" + "0.png,Comment.,Soft light.,Bad light.\n" * 4)
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    ran = []
    for arguments in commands("docs/tune.md"):
        ran.append(" ".join(arguments[:2]) if arguments[0] == "train" else arguments[0])
        assert main([*arguments, *(SHORT if arguments[0] == "train" else [])]) == 0, arguments
    assert {"train sft", "score", "train dpo", "train grpo"} <= set(ran)
    names: dict[str, Any] = {}
    exec(code("docs/tune.md", title="By preferences and rewards")[0], names)
    assert len(names["rewards"]) == 2 and all(0 <= reward <= 1 for reward in names["rewards"])


def test_opening_a_public_data_set(folder: Path) -> None:
    """The block reads AVA's layout and keeps it as parquet; the recipe's entries are what a recipe takes."""
    root = folder / "AVA"
    (root / "aesthetics_image_lists").mkdir(parents=True)
    (root / "images").mkdir()
    (root / "aesthetics_image_lists" / "generic_ls_train.jpgl").write_text("1.jpg\n2.jpg\n")
    (root / "AVA.txt").write_text("1 1 0 1 5 17 38 36 15 6 5 1 1 22 1396\n2 2 0 1 5 17 38 36 15 6 5 1 1 22 1396\n")
    shutil.copy(folder / "a.jpg", root / "images" / "2.jpg")
    page, title = "docs/tune.md", "On public data sets"
    (block,) = code(page, title=title)
    exec(block.replace("/data/AVA", str(root)), {})
    assert len(Dataset.from_parquet("ava.parquet")) == 1
    entries = [entry for recipe in code(page, "yaml") for entry in yaml.safe_load(recipe)["data"]]
    assert len(entries) == 3
    assert check_entries(entries) == entries


def test_serving(folder: Path, one_model: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's assessor and the bare client do what the page says, and the command is one. tests/test_vllm.py runs vLLM's."""
    page = "docs/serve.md"
    (block,) = code(page, title="The assessor of a server")
    shutil.copy("a.jpg", "photo.jpg")
    local = AestheticAssessor.from_pretrained()
    with running(FakeChatServer(local)) as server:
        names: dict[str, Any] = {"paths": ["a.jpg", "missing.jpg"]}
        exec(block.replace("http://127.0.0.1:8000", server.address), names)
        assert names["assessor"].score("a.jpg").mean == pytest.approx(local.score("a.jpg").mean, abs=1e-4)
        assert isinstance(names["rating"], ImageError)
        assert len(server.bodies) == 2 + 2 * len(local.processor.rating_scale.attributes) + 1
        (bare,) = code(page, title="Asking vLLM without our client")
        names = {}
        exec(bare.replace("http://127.0.0.1:8000", server.address), names)
        assert names["level_ids"] == local.processor.level_ids
        assert server.bodies[-1]["messages"][0]["content"][1]["text"] == local.processor.rating_scale.question("aesthetic").prompt
        assert names["mean"] == pytest.approx(local.score("a.jpg").mean, abs=1e-4)
        assert names["comment"].strip()
    served: list[tuple[str, list[str]]] = []
    monkeypatch.setattr("aesthetic_mllm.serving.transformers_serve.serve", lambda model, options: served.append((model, options)))
    (arguments,) = commands(page)
    assert main(arguments) == 0 and served == [(str(embedded_checkpoint()), ["--port", "8000"])]


def test_a_rating_of_transformers_serve(folder: Path, one_model: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of the shell send what the decision pipeline rates as the assessor does, of a photo too long for an argument."""
    decision = pytest.importorskip("transformers.decision", reason="this version of transformers has no decision pipeline")
    from transformers.pipelines import DecisionPipeline

    from aesthetic_mllm.serving.transformers_serve import decision_config

    Image.effect_noise((700, 500), 90).convert("RGB").save("photo.jpg", quality=95)
    assert Path("photo.jpg").stat().st_size > 128 * 1024
    for name, does in (("curl", "cat > sent.json"), ("python", f'exec "{sys.executable}" "$@"')):
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    (lines,) = (block for block in code("docs/serve.md", "bash") if "/v1/systemone" in block)
    subprocess.run(["bash", "-euo", "pipefail", "-c", lines], check=True)
    body = json.loads(Path("sent.json").read_text())
    assert body.pop("model") == str(embedded_checkpoint())
    photo = Image.open(io.BytesIO(base64.b64decode(body["assets"]["<photo>"]["data_base64"])))
    local = AestheticAssessor.from_pretrained()
    decide = DecisionPipeline(
        model=local.model,
        tokenizer=local.processor.tokenizer,
        processor=local.processor,
        decision_config=decision.DecisionConfig(**decision_config(local.processor)),
    )
    answer = decide(body | {"assets": {"<photo>": photo}})["beauty"]
    assert 1 + 9 * answer["score"] / 4 == pytest.approx(local.score("photo.jpg").mean, abs=1e-3)


@pytest.mark.parametrize("title", ["Building a model", "From a LLaVA"])
def test_building_a_model(title: str, folder: Path, stand_ins: dict[str, str]) -> None:
    """The blocks run; checkpoints of the Hub are stood in for by tiny ones."""
    (block,) = code("docs/build_your_own.md", title=title)
    for hub_id, local in stand_ins.items():
        block = block.replace(hub_id, local)
    names: dict[str, Any] = {}
    exec(block, names)
    with torch.inference_mode():
        logits = names["model"](**names["processor"].rating_inputs("a.jpg")).logits
    assert len(names["processor"].decode_ratings(logits)) == 1
