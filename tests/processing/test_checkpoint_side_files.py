"""A checkpoint is one thing: what lies beside its weights is saved, loaded and fetched with them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoProcessor

from aesthetic_mllm import AestheticAssessor, AestheticMLLMProcessor
from aesthetic_mllm.processing.checkpoint_side_files import SIDE_FILE_FOLDER, SideFile
from photo_files import scene
from tiny_models import tiny_processor

ROOT = Path(__file__).parents[2]
PHOTOS = sorted((ROOT / "examples" / "photos").glob("*.jpg"))


@pytest.fixture(scope="module")
def embedded() -> AestheticAssessor:
    return AestheticAssessor.from_pretrained()


def judged(assessor: AestheticAssessor) -> list[Any]:
    """All that an assessor says of some photos, personal ratings included."""
    person = assessor.personalize(list(zip(PHOTOS[:3], (2.0, 9.0, 5.0), strict=True)), score_range=(1, 10))
    return [
        [assessment.to_dict() for assessment in assessor.assess(PHOTOS[:3])],
        assessor.comment(PHOTOS[:3], "detailed"),
        [rating.to_dict() for rating in person.score(PHOTOS[3:5])],
    ]


def test_saved_and_loaded_again_judges_the_same(embedded: AestheticAssessor, tmp_path: Path) -> None:
    """Ratings, percentiles, comments, suggestions and personal ratings of the embedded checkpoint survive a save."""
    embedded.model.save_pretrained(tmp_path)
    embedded.processor.save_pretrained(tmp_path)
    assert judged(AestheticAssessor.from_pretrained(tmp_path)) == judged(embedded)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["model.safetensors"]  # a server loads all of these


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


def test_one_that_is_named_and_missing_is_an_error(tmp_path: Path) -> None:
    tiny_processor(side_files={"first": SideFile({"a": torch.zeros(1)})}).save_pretrained(tmp_path)
    shutil.rmtree(tmp_path / SIDE_FILE_FOLDER)
    with pytest.raises(OSError, match="first.safetensors"):
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


def test_every_file_comes_from_the_revision_that_was_asked_for(
    embedded: AestheticAssessor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, processor and side files of an old revision, from a cache without a network."""
    root = tmp_path / "hub" / "models--me--model"
    (root / "refs").mkdir(parents=True)
    for commit, ref, high in (("a" * 40, "old", 10.0), ("b" * 40, "main", 100.0)):
        folder = root / "snapshots" / commit
        embedded.model.save_pretrained(folder)
        processor = AestheticMLLMProcessor.from_pretrained(embedded.model.name_or_path)
        processor.side_files = {"mark": SideFile({"high": torch.tensor([high])})}
        processor.save_pretrained(folder)
        (root / "refs" / ref).write_text(commit)
    loaded = AestheticAssessor.from_pretrained("me/model", revision="old", cache_dir=tmp_path / "hub", local_files_only=True)
    assert loaded.processor.side_files["mark"].tensors["high"].item() == 10.0
    assert loaded.score(scene()).to_dict() == embedded.score(scene()).to_dict()


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    processor = tiny_processor(side_files={"one": SideFile({"a": torch.ones(2)})})
    processor.save_pretrained(tmp_path)
    (tmp_path / SIDE_FILE_FOLDER / "one.safetensors").write_bytes(b"nothing")
    with pytest.raises(OSError, match="one.safetensors is damaged"):
        AestheticMLLMProcessor.from_pretrained(tmp_path)
