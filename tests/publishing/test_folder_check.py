"""Each fault of a checkpoint's folder is found, by itself, and told with its remedy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from aesthetic_mllm.publishing import folder_check
from aesthetic_mllm.publishing.folder_check import Problem, check_folder
from fake_hub import cached_repository
from published_checkpoints import CARD, documented

Fault = Callable[[Path], Any]


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    return documented(Path(shutil.copytree(checkpoint, tmp_path / "mine")))


def rewrite(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def weights(path: Path, scale: float = 1.0, **metadata: str) -> None:
    tensors = {name: tensor * scale for name, tensor in load_file(path).items()}
    save_file(tensors, path, {"format": "pt", **metadata})


def test_a_whole_folder_has_no_problems(folder: Path) -> None:
    assert check_folder(folder) == []


FAULTS: dict[str, tuple[Fault, str, bool]] = {
    "no card": (lambda folder: (folder / "README.md").unlink(), "README.md, the model card, is not there", False),
    "no licence": (lambda folder: (folder / "LICENSE").unlink(), "LICENSE is not there", False),
    "card without licence": (
        lambda folder: (folder / "README.md").write_text(CARD.replace("license: cc-by-nc-4.0\n", "")),
        "README.md names no licence",
        False,
    ),
    "card without results": (
        lambda folder: [
            (folder / "README.md").write_text("---\nlicense: mit\n---\n# mine\n"),
            shutil.rmtree(folder / ".eval_results"),
        ],
        "README.md has no results",
        False,
    ),
    "no report": (lambda folder: (folder / "report.json").write_text("{}"), "report.json: not a report", True),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is not there", True),
    "no processor": (lambda folder: (folder / "processor_config.json").unlink(), "processor_config.json is not there", True),
    "no code": (lambda folder: (folder / "modeling_aesthetic_mllm.py").unlink(), "no such class", True),
    "half the code": (lambda folder: (folder / "rating_scale.py").unlink(), "rating_scale.py is not there", True),
    "auto_map": (lambda folder: rewrite(folder / "config.json", auto_map={}), "auto_map['AutoConfig'] = ''", True),
    "side file": (
        lambda folder: rewrite(folder / "processor_config.json", side_files=["rater_prior"]),
        "side_files/rater_prior.safetensors is not there",
        True,
    ),
    "pickle": (lambda folder: (folder / "training_args.bin").write_bytes(b""), "training_args.bin may hold code", True),
    "optimizer": (lambda folder: (folder / "optimizer.pt").write_bytes(b""), "optimizer.pt may hold code", True),
    "stray": (lambda folder: (folder / "holiday.jpg").write_bytes(b""), "holiday.jpg is no part of a checkpoint", True),
    "path": (
        lambda folder: rewrite(folder / "config.json", _name_or_path="/home/anna/runs/7"),
        "config.json holds the path /home/anna of a machine",
        True,
    ),
    "path of Windows": (
        lambda folder: rewrite(folder / "config.json", _name_or_path="C:\\Users\\anna"),
        "config.json holds the path C:\\\\Users of a machine",
        True,
    ),
    "path in the weights": (
        lambda folder: weights(folder / "model.safetensors", run="/tmp/run"),
        "the metadata of model.safetensors holds the path /tmp/run",
        True,
    ),
    "own folder": (
        lambda folder: (folder / "NOTICE").write_text(f"from {folder.resolve().parent}/start"),
        "NOTICE holds the path",
        True,
    ),
    "secret": (
        lambda folder: (folder / "NOTICE").write_text("hf_" + "a1" * 17),
        "NOTICE holds what looks like a secret",
        True,
    ),
    "shard": (
        lambda folder: (folder / "model-00001-of-00002.safetensors").write_bytes(b""),
        "have no model.safetensors.index.json",
        True,
    ),
    "report of other weights": (
        lambda folder: rewrite(folder / "report.json", checkpoint={"name": "mine", "digest": "f" * 64}),
        "report.json is about other weights (SHA-256 ffffffffffff",
        True,
    ),
    "report of unknown weights": (
        lambda folder: rewrite(folder / "report.json", checkpoint={"name": "mine"}),
        "report.json does not say which weights it is about",
        False,
    ),
    "notes": (
        lambda folder: (folder / "my_private_notes.py").write_text("key = 'AIza'"),
        "my_private_notes.py is no part of a checkpoint",
        True,
    ),
    "backup": (
        lambda folder: (folder / "tokenizer_backup.json").write_text("{}"),
        "tokenizer_backup.json is no part of a checkpoint",
        True,
    ),
    "key of Google": (lambda folder: (folder / "NOTICE").write_text("AIza" + "a-1_B" * 7), "looks like a secret", True),
    "link": (
        lambda folder: [(folder / "LICENSE").unlink(), (folder / "LICENSE").symlink_to("/etc/hostname")],
        "LICENSE is a link to a file outside the folder",
        True,
    ),
    "link to nothing": (
        lambda folder: (folder / "merges.txt").symlink_to("gone"),
        "merges.txt is no part of a checkpoint",
        True,
    ),
    "index": (
        lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": []}'),
        "model.safetensors.index.json has no weight_map that can be read",
        True,
    ),
    "auto_map is a list": (lambda folder: rewrite(folder / "config.json", auto_map=["x"]), "auto_map['AutoConfig'] = ''", True),
    "metadata": (
        lambda folder: (folder / "README.md").write_text("---\nlicense: [\n---\n"),
        "README.md has no metadata that can be read",
        True,
    ),
    "code is not UTF-8": (
        lambda folder: (folder / "rating_scale.py").write_bytes(b"\xff" + (folder / "rating_scale.py").read_bytes()),
        "rating_scale.py is not UTF-8",
        True,
    ),
    "no number": (
        lambda folder: [weights(folder / "model.safetensors", float("nan")), (folder / "report.json").unlink()],
        "logits are not finite",
        True,
    ),
    "other shapes": (
        lambda folder: [
            save_file({"lm_head.weight": torch.zeros(2, 2)}, folder / "model.safetensors", {"format": "pt"}),
            (folder / "report.json").unlink(),
        ],
        "It does not load and rate (CheckpointError",
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(name: str, folder: Path) -> None:
    fault, told, harms = FAULTS[name]
    fault(folder)
    problems = check_folder(folder)
    found = next((problem for problem in problems if told in problem.what), None)
    assert found is not None, problems
    assert found.harms == harms and found.remedy.endswith(".")
    assert str(folder) not in f"{found.remedy}"


def test_a_file_over_five_gigabytes_is_to_be_split(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what does it; here the limit is lower."""
    monkeypatch.setattr(folder_check, "MOST_BYTES", 1000)
    (problem,) = check_folder(folder, loads=False)
    assert "in one file" in problem.what and "save_pretrained, which makes several files" in problem.remedy


def test_what_systems_leave_is_passed_over(folder: Path) -> None:
    """Git's and the editors' own files are neither sent nor complained of."""
    for name in (".git/HEAD", ".gitattributes", "__pycache__/a.pyc", ".cache/huggingface/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("/home/anna/x")
    assert check_folder(folder, loads=False) == []


def test_links_of_the_hubs_cache_are_its_own(folder: Path, tmp_path: Path) -> None:
    """Which keeps contents beside its folders."""
    cached_repository(tmp_path / "cache", "me/mine", {"main": folder})
    (snapshot,) = (tmp_path / "cache" / "models--me--mine" / "snapshots").iterdir()
    assert (snapshot / "LICENSE").is_symlink() and check_folder(snapshot, loads=False) == []


@pytest.mark.parametrize(
    "path",
    ["/data/alice", "/srv/x", "/work/x", "/gpfs/home", "/storage/x", "/opt/ml", "/var/folders", "file:///home/alice", "D:\\work",
     "D:/work"],
)  # fmt: skip
def test_paths_of_machines(folder: Path, path: str) -> None:
    (folder / "NOTICE").write_text(f"Learned from {path}, and more.\n")
    assert ["NOTICE holds the path" in problem.what for problem in check_folder(folder, loads=False)] == [True]


def test_urls_and_words_are_no_paths_of_a_machine(folder: Path) -> None:
    (folder / "NOTICE").write_text("https://example.org/home/anna/x, ./tmp/x, ~/tmp/x, a/root/b, /home, Q:\\n, and/or\n")
    assert check_folder(folder, loads=False) == []


def test_a_problem_reads_as_two_sentences() -> None:
    assert str(Problem("A is not there", "Write it.")) == "A is not there. Write it."
