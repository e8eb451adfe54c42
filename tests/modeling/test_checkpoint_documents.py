"""Card, report and licence travel with the weights that they speak of; tuned weights keep the licence alone."""

import itertools
import shutil
from pathlib import Path

import pytest
import torch

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from fake_hub import cached_repository
from published_checkpoints import documented, files_of

STATEMENTS = {"README.md", "report.json", "card_facts.yaml", ".eval_results/benchmark.yaml"}


@pytest.fixture
def start(checkpoint: Path, tmp_path: Path) -> Path:
    return documented(Path(shutil.copytree(checkpoint, tmp_path / "start")))


def load(folder: str | Path, **options: object) -> AestheticMLLMForConditionalGeneration:
    return AestheticMLLMForConditionalGeneration.from_pretrained(folder, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_model_and_processor_save_the_folder_that_they_were_loaded_from(start: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    """In either order, byte for byte what is said of it; also in another dtype, which is no tuning."""
    parts = (load(start).to(dtype), AestheticMLLMProcessor.from_pretrained(start))
    for number, order in enumerate(itertools.permutations(parts)):
        for part in order:
            part.save_pretrained(tmp_path / str(number))
        saved, wanted = files_of(tmp_path / str(number)), files_of(start)
        assert saved.keys() == wanted.keys()
        assert {name: saved[name] for name in (*STATEMENTS, "LICENSE")} == {
            name: wanted[name] for name in (*STATEMENTS, "LICENSE")
        }


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
    assert load(tmp_path / "saved").documents == model.documents
