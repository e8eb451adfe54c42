"""Card, report and licence travel with the weights that they speak of; tuned weights keep the licence alone."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints.names import weights_digest
from aesthetic_mllm.modeling.checkpoint_documents import files_digest
from aesthetic_mllm.publishing.card import check_digest
from aesthetic_mllm.publishing.checkpoint_facts import CheckpointFacts
from aesthetic_mllm.publishing.folder_check import check_folder
from aesthetic_mllm.publishing.report import Report
from fake_hub import cached_repository
from published_checkpoints import documented, files_of, report

STATEMENTS = {"README.md", "report.json", "card_facts.yaml", ".eval_results/benchmark.yaml"}


@pytest.fixture
def start(checkpoint: Path, tmp_path: Path) -> Path:
    return documented(Path(shutil.copytree(checkpoint, tmp_path / "start")))


def load(folder: str | Path, **options: object) -> AestheticMLLMForConditionalGeneration:
    return AestheticMLLMForConditionalGeneration.from_pretrained(folder, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_model_and_processor_save_the_folder_that_they_were_loaded_from(start: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    """In either order, byte for byte what is said of it; also in another dtype, which is no tuning.

    Of the report the digest alone is new, where the files are.
    """
    parts = (load(start).to(dtype), AestheticMLLMProcessor.from_pretrained(start))
    for number, order in enumerate(itertools.permutations(parts)):
        for part in order:
            part.save_pretrained(tmp_path / str(number))
        saved, wanted = files_of(tmp_path / str(number)), files_of(start)
        assert saved.keys() == wanted.keys()
        stated = {*STATEMENTS, "LICENSE"} - {"report.json"}
        assert {name: saved[name] for name in stated} == {name: wanted[name] for name in stated}
        found, before = (json.loads(files["report.json"]) for files in (saved, wanted))
        assert found["checkpoint"].pop("digest") == weights_digest(tmp_path / str(number))
        assert found["checkpoint"].pop("measured_digest", None) in (None, before["checkpoint"].pop("digest"))
        assert found == {**before, "checkpoint": found["checkpoint"]}


def test_tuned_weights_keep_the_licence_alone(start: Path, tmp_path: Path) -> None:
    """Whether all of them or a few have moved; what was said of the start's is taken away where they are saved over it."""
    model = load(start)
    with torch.no_grad():
        next(model.model.multi_modal_projector.parameters()).add_(1e-4)
    model.save_pretrained(tmp_path / "tuned")
    assert files_of(tmp_path / "tuned").keys() & {*STATEMENTS, "LICENSE"} == {"LICENSE"}
    model.save_pretrained(start)
    assert files_of(start).keys() & {*STATEMENTS, "LICENSE"} == {"LICENSE"}
    (start / "README.md").write_text("of the tuned weights")
    model.save_pretrained(start)
    assert (start / "README.md").read_text() == "of the tuned weights"
    assert files_of(tmp_path / "tuned")["LICENSE"] == b"The terms of these weights.\n"


def test_weights_that_are_given_are_the_ones_that_count(start: Path, tmp_path: Path) -> None:
    """A trainer that gathers a sharded model gives them apart from it."""
    model = load(start)
    state = model.state_dict()
    model.save_pretrained(tmp_path / "same", state_dict=dict(state))
    model.save_pretrained(tmp_path / "other", state_dict={name: weight * 1.01 for name, weight in state.items()})
    assert STATEMENTS <= files_of(tmp_path / "same").keys()
    assert not STATEMENTS & files_of(tmp_path / "other").keys()


def test_documents_come_from_the_hub_at_the_same_commit(start: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Offline from the cache; a checkpoint without any has none."""
    cached_repository(tmp_path / "cache", "me/model", {"main": start, "bare": checkpoint})
    loaded = load("me/model", cache_dir=tmp_path / "cache")
    assert loaded.documents == {name: files_of(start)[name] for name in (*STATEMENTS, "LICENSE")}
    assert load("me/model", cache_dir=tmp_path / "cache", revision="bare").documents == {}


@pytest.mark.parametrize("size", [None, "40KB"])
def test_weights_are_split_where_they_are_large(start: Path, tmp_path: Path, size: str | None) -> None:
    """Over 5 GB by default, which these are not."""
    model = load(start)
    model.save_pretrained(tmp_path / "saved", **({"max_shard_size": size} if size else {}))
    shards = list((tmp_path / "saved").glob("model*.safetensors"))
    assert (len(shards) > 1) == bool(size)
    saved = load(tmp_path / "saved").documents
    assert saved.keys() == model.documents.keys() and saved["README.md"] == model.documents["README.md"]
    assert json.loads(saved["report.json"])["checkpoint"]["digest"] == weights_digest(tmp_path / "saved")
    AestheticMLLMProcessor.from_pretrained(start).save_pretrained(tmp_path / "saved")
    assert check_folder(tmp_path / "saved", loads=False) == []
    facts, told = CheckpointFacts.read(tmp_path / "saved"), Report.load(tmp_path / "saved" / "report.json")
    check_digest(facts, told, tmp_path / "saved")


def test_a_report_of_other_weights_does_not_come_to_fit_by_a_save(start: Path, tmp_path: Path) -> None:
    """Nor is the card kept that was written from it."""
    report("mine", "f" * 64).save(start / "report.json")
    load(start).save_pretrained(tmp_path / "saved", max_shard_size="40KB")
    assert files_of(tmp_path / "saved").keys() & {*STATEMENTS, "LICENSE"} == {"LICENSE"}


def test_a_folders_statements_go_with_its_weights(start: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Of a model without any, or one whose card was written anew after it was loaded; a folder without weights keeps its own."""
    model, again = load(checkpoint), Path(shutil.copytree(start, tmp_path / "again"))
    with torch.no_grad():
        next(model.parameters()).add_(1)
    model.save_pretrained(start)
    assert files_of(start).keys() & {*STATEMENTS, "LICENSE"} == {"LICENSE"}
    model = load(again)
    (again / "README.md").write_text("newer")
    report("newer", str(weights_digest(again))).save(again / "report.json")
    with torch.no_grad():
        next(model.parameters()).add_(1)
    model.save_pretrained(again)
    assert files_of(again).keys() & {*STATEMENTS, "LICENSE"} == {"LICENSE"}
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "README.md").write_text("of a project")
    model.save_pretrained(tmp_path / "project")
    assert (tmp_path / "project" / "README.md").read_text() == "of a project"


@pytest.mark.parametrize("row", [0, -1])
def test_one_row_of_the_embeddings_is_tuning(start: Path, tmp_path: Path, row: int) -> None:
    """As when new tokens are learned, or the photos' own words alone."""
    model = load(start)
    with torch.no_grad():
        model.get_input_embeddings().weight[row].add_(1e-3)
    model.save_pretrained(tmp_path / "tuned")
    assert not STATEMENTS & files_of(tmp_path / "tuned").keys()


@pytest.mark.parametrize("size", ["5GB", "40KB"])
def test_the_digest_is_the_packages(start: Path, tmp_path: Path, size: str) -> None:
    load(start).save_pretrained(tmp_path / "saved", max_shard_size=size)
    assert files_digest(tmp_path / "saved") == weights_digest(tmp_path / "saved")
    assert files_digest(tmp_path) is None
