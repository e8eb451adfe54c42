"""A checkpoint of an older version is refused until it is converted, and is then what it was."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.processing.checkpoint_side_files import OLD_SIDE_FILES, SIDE_FILE_FOLDER
from judging_everything import carrying_assessor, everything, same, saved, tiny_photos
from recipes.nano.convert_checkpoint import convert

OLD_KEYS = {
    "config.json": {"group_token_ids": "image_token_id"},
    "processor_config.json": {"group_tokens": "image_token", "example_trust": "in_context_weight"},
}


@pytest.fixture
def today(tmp_path: Path) -> Path:
    return saved(carrying_assessor("cnn-llama"), tmp_path / "today")


@pytest.fixture
def old(today: Path, tmp_path: Path) -> Path:
    """The same, as the first version to have all of this would have saved it."""
    folder = shutil.copytree(today, tmp_path / "old")
    config, processor = (json.loads((folder / name).read_text()) for name in OLD_KEYS)
    placeholder = config.pop("image_token_id")
    del config["num_group_tokens"], processor["side_files"]
    config["group_token_ids"] = {"low": 1, "middle": 2, "high": 0, "thematic": placeholder}
    groups = {"low": "<low>", "middle": "<middle>", "high": "<high>"}
    processor["group_tokens"] = {**groups, "thematic": processor.pop("image_token")}
    processor["example_trust"] = processor.pop("in_context_weight")
    for name, values in zip(OLD_KEYS, (config, processor), strict=True):
        (folder / name).write_text(json.dumps(values))
    for name, new in OLD_SIDE_FILES.items():
        (folder / SIDE_FILE_FOLDER / f"{new}.safetensors").rename(folder / f"{name}.safetensors")
    (folder / SIDE_FILE_FOLDER).rmdir()
    (folder / "checkpoint_side_files.py").unlink()  # its code had no such file
    return folder


def refusal(folder: Path) -> str:
    """What is said to whoever loads it."""
    with pytest.raises(ValueError) as caught:
        AestheticAssessor.from_pretrained(folder, device="cpu")
    return str(caught.value)


def test_every_old_key_and_file_is_refused_by_name(today: Path, old: Path, tmp_path: Path) -> None:
    """One of them alone is enough; the error names what it is called now, and the script that converts."""
    for file, names in OLD_KEYS.items():
        for name, new in names.items():
            folder = shutil.copytree(today, tmp_path / name)
            values: dict[str, Any] = json.loads((folder / file).read_text())
            values[name] = json.loads((old / file).read_text())[name]
            (folder / file).write_text(json.dumps(values))
            told = refusal(folder)
            assert name in told and new in told and "convert_checkpoint.py" in told
    for name, new in OLD_SIDE_FILES.items():
        folder = shutil.copytree(today, tmp_path / name)
        values = json.loads((folder / "processor_config.json").read_text())
        del values["side_files"]
        (folder / "processor_config.json").write_text(json.dumps(values))
        (folder / SIDE_FILE_FOLDER / f"{new}.safetensors").rename(folder / f"{name}.safetensors")
        told = refusal(folder)
        assert f"{name}.safetensors" in told and f"{SIDE_FILE_FOLDER}/{new}.safetensors" in told
        assert "convert_checkpoint.py" in told


def test_converted_it_says_what_it_said(today: Path, old: Path) -> None:
    """By the package, and with all of the code that it needs without it; converting it again changes nothing."""
    assert "group_token_ids" in refusal(old)
    weights = (old / "model.safetensors").read_bytes()
    for _ in range(2):
        convert(old)
    assert (old / "model.safetensors").read_bytes() == weights
    assert {path.relative_to(old) for path in old.rglob("*")} == {path.relative_to(today) for path in today.rglob("*")}
    said = [everything(AestheticAssessor.from_pretrained(folder, device="cpu"), tiny_photos()) for folder in (old, today)]
    assert same(*said)
    for name in OLD_KEYS:
        assert json.loads((old / name).read_text()) == json.loads((today / name).read_text())
