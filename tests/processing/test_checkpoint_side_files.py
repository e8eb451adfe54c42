"""A checkpoint is one thing: what lies beside its weights is saved, loaded and fetched with them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoProcessor

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.processing.checkpoint_side_files import SIDE_FILE_FOLDER, SideFile
from tiny_models import tiny_processor


def test_a_processor_of_any_checkpoint_keeps_them(tmp_path: Path) -> None:
    """Values, dtypes and metadata, through the processor's own class and the Auto class, however often it is saved."""
    files = {
        "first": SideFile({"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2], dtype=torch.uint8)}, {"k": "v"}),
        "second": SideFile({"c": torch.zeros(1, dtype=torch.bfloat16)}),
    }
    processor = tiny_processor(side_files=files)
    processor.save_pretrained(tmp_path / "once")
    AestheticMLLMProcessor.from_pretrained(tmp_path / "once").save_pretrained(tmp_path / "twice")
    for found in (AestheticMLLMProcessor.from_pretrained(tmp_path / "twice"), AutoProcessor.from_pretrained(tmp_path / "twice")):
        assert list(found.side_files) == list(files)
        for name, file in files.items():
            assert found.side_files[name].metadata == file.metadata
            for key, value in file.tensors.items():
                assert found.side_files[name].tensors[key].dtype == value.dtype
                assert torch.equal(found.side_files[name].tensors[key], value)


def test_one_that_is_named_and_missing_or_damaged_is_an_error(tmp_path: Path) -> None:
    tiny_processor(side_files={"first": SideFile({"a": torch.zeros(1)})}).save_pretrained(tmp_path)
    path = tmp_path / SIDE_FILE_FOLDER / "first.safetensors"
    whole = path.read_bytes()
    for damaged in (b"version https://git-lfs.github.com/spec/v1", whole[:-1], None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        with pytest.raises(
            OSError, match=r"has no side_files/first\.safetensors that can be read.*processor_config\.json names it"
        ):
            AestheticMLLMProcessor.from_pretrained(tmp_path)


def test_pushing_uploads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of pushing hand every file to the Hub's client, side files in their folder."""
    from huggingface_hub import CommitOperationAdd, HfApi

    pushed: list[set[str]] = []

    def commit(self: HfApi, repo_id: str, operations: list[CommitOperationAdd], **kwargs: Any) -> None:
        pushed.append({operation.path_in_repo for operation in operations})

    monkeypatch.setattr(HfApi, "create_repo", lambda self, repo_id, **kwargs: type("Repo", (), {"repo_id": repo_id}))
    monkeypatch.setattr(HfApi, "create_commit", commit)
    processor = tiny_processor(side_files={"first": SideFile({"a": torch.zeros(1)})})
    processor.push_to_hub("me/model")
    processor.save_pretrained(tmp_path, push_to_hub=True, repo_id="me/model")
    wanted = {f"{SIDE_FILE_FOLDER}/first.safetensors", "processor_config.json", "tokenizer.json"}
    assert len(pushed) == 2 and all(wanted <= files for files in pushed)
