"""From the Hub: model, processor and side files come from the same revision, folder and cache, and all are pushed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from aesthetic_mllm import AestheticAssessor, AestheticMLLMProcessor
from aesthetic_mllm.processing.checkpoint_side_files import SIDE_FILE_FOLDER
from fake_hub import cached_repository, fake_hub
from judging_everything import carrying_assessor, everything, same, saved, tiny_photos
from published_checkpoints import documented

NAME = "me/model"
TOLD = ("ratings", "comments", "ridge")  # of each file of a checkpoint something
REVISIONS = {"old": "vit-qwen3", "main": "cnn-llama"}  # of different families, so that nothing of one fits the other
SUBFOLDERS = ["", "inner/most"]

# Pushes a checkpoint from a folder, and loads it again into an empty cache.
PUSH_AND_LOAD = """
import json, sys
from aesthetic_mllm import AestheticAssessor
from judging_everything import everything, tiny_photos
name, cache, token, *folders = sys.argv[1:]
for revision, folder in zip(("main", "old"), folders):
    assessor = AestheticAssessor.from_pretrained(folder, device="cpu")
    parts = [assessor.model, assessor.processor]
    for part in parts if revision == "main" else reversed(parts):
        part.push_to_hub(name, token=token, revision=revision)
assessor.model.push_to_hub(name, token=token, revision="tagged", tags=["photos"])
for options in ({}, {"revision": "old"}):
    loaded = AestheticAssessor.from_pretrained(name, cache_dir=cache, token=token, device="cpu", **options)
    print(json.dumps(everything(loaded, tiny_photos(), ("ratings", "comments", "ridge"))))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint for each revision."""
    place = tmp_path_factory.mktemp("checkpoints")
    return {branch: documented(saved(carrying_assessor(family), place / branch)) for branch, family in REVISIONS.items()}


@pytest.fixture(scope="module")
def said(folders: dict[str, Path]) -> dict[str, Any]:
    return {branch: judged(AestheticAssessor.from_pretrained(folder, device="cpu")) for branch, folder in folders.items()}


def judged(assessor: AestheticAssessor) -> dict[str, Any]:
    return everything(assessor, tiny_photos(), TOLD)


@pytest.fixture(params=SUBFOLDERS)
def options(request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path: Path) -> dict[str, Any]:
    """What says where the checkpoint is in an offline cache: at the top of a repository, or in a folder of it."""
    top = {branch: tmp_path / "repository" / branch for branch in folders}
    for branch, folder in folders.items():
        shutil.copytree(folder, top[branch] / request.param)
    cached_repository(tmp_path / "cache", NAME, top)
    return {"cache_dir": str(tmp_path / "cache"), "local_files_only": True, "subfolder": request.param}


def test_all_of_a_checkpoint_is_of_the_revision_that_was_asked_for(options: dict[str, Any], said: dict[str, Any]) -> None:
    """By the assessor, the Auto classes and the pipeline; ratings, percentiles, comments and personal ratings."""
    assert not same(said["old"], said["main"])
    for branch in REVISIONS:
        assert same(judged(AestheticAssessor.from_pretrained(NAME, revision=branch, device="cpu", **options)), said[branch])
    model = AutoModelForImageTextToText.from_pretrained(NAME, revision="old", **options)
    processor = AutoProcessor.from_pretrained(NAME, revision="old", **options)
    assert same(judged(AestheticAssessor(model, processor)), said["old"])
    places = {name: options[name] for name in ("cache_dir", "subfolder")}  # the process is offline, and it takes no more
    assess = pipeline("image-aesthetic-assessment", model=NAME, revision="old", device="cpu", model_kwargs=places)
    assert same(judged(assess.assessor), said["old"])


def test_a_side_file_that_is_missing_is_named(options: dict[str, Any], tmp_path: Path) -> None:
    """Where the network cannot be asked; the other revision, which has it, still loads."""
    (reference,) = (tmp_path / "cache").glob("*/refs/old")
    snapshot = reference.parents[1] / "snapshots" / reference.read_text() / options["subfolder"]
    (snapshot / SIDE_FILE_FOLDER / "rater_prior.safetensors").unlink()
    with pytest.raises(OSError, match=r"me/model has no side_files/rater_prior\.safetensors that can be read"):
        AestheticAssessor.from_pretrained(NAME, revision="old", **options)
    assert "rater_prior" in AestheticMLLMProcessor.from_pretrained(NAME, **options).side_files


def test_what_was_pushed_loads_as_it_was(folders: dict[str, Path], said: dict[str, Any], tmp_path: Path) -> None:
    """Two revisions, through a server: every file is pushed and asked for, with the token that was given.

    The model first or the processor: the files are those of the folder, and its card is not a stub; with tags it has them, too.
    """
    with fake_hub() as hub:
        helpers = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])  # the code it runs imports them
        environment = dict(os.environ, **hub.environment, HF_HOME=str(tmp_path / "home"), PYTHONPATH=helpers.rstrip(os.pathsep))
        words = [NAME, str(tmp_path / "cache"), "secret", str(folders["main"]), str(folders["old"])]
        done = subprocess.run(
            [sys.executable, "-c", PUSH_AND_LOAD, *words], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        loaded = [json.loads(line) for line in done.stdout.splitlines()[-2:]]
    assert same(loaded, [said["main"], said["old"]])
    for branch, folder in folders.items():
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert hub.files(NAME, branch).keys() == files
        for name in ("README.md", "LICENSE", "report.json", ".eval_results/benchmark.yaml"):
            assert hub.files(NAME, branch)[name] == (folder / name).read_bytes()
    assert ModelCard(hub.files(NAME, "tagged")["README.md"].decode()).data.tags == ["photos"]
    got = {each.path.partition("/resolve/")[2].partition("/")[2] for each in hub.requests if each.method == "GET"}
    carried = {f"{SIDE_FILE_FOLDER}/{name}.safetensors" for name in ("mean_visual_tokens", "rater_prior", "training_ngrams")}
    assert got >= {"config.json", "model.safetensors", "processor_config.json", "tokenizer.json", "chat_template.jinja", *carried}
    assert {each.token for each in hub.requests if "/resolve/" in each.path} == {"Bearer secret"}


def test_side_files_of_an_older_version_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    """Found at the top of a repository whose configuration names none; one without any loads."""
    name = "processor_config.json"
    for branch in ("old", "main"):
        shutil.copytree(folders["main"], tmp_path / branch)
        values = json.loads((tmp_path / branch / name).read_text())
        del values["side_files"]
        (tmp_path / branch / name).write_text(json.dumps(values))
    shutil.copy(tmp_path / "old" / SIDE_FILE_FOLDER / "rater_prior.safetensors", tmp_path / "old" / "tastes.safetensors")
    cached_repository(tmp_path / "cache", NAME, {branch: tmp_path / branch for branch in ("old", "main")})
    with pytest.raises(ValueError, match=r"tastes\.safetensors .*side_files/rater_prior\.safetensors.*convert_checkpoint\.py"):
        AestheticMLLMProcessor.from_pretrained(NAME, revision="old", cache_dir=tmp_path / "cache")
    assert AestheticMLLMProcessor.from_pretrained(NAME, cache_dir=tmp_path / "cache").side_files == {}
