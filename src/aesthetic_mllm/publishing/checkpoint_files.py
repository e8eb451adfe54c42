"""Which files make up a checkpoint on the Hub; anything else in a folder is not sent."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from transformers.dynamic_module_utils import get_relative_imports

from .. import modeling, processing
from ..engine.adapter_loading import ADAPTER_CONFIG, BASE_FILE
from ..modeling.checkpoint_documents import CARD, CARD_FACTS, LICENCE, REPORT, RESULT_FOLDER
from ..processing.checkpoint_side_files import SIDE_FILE_FOLDER

WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")
ADAPTER_WEIGHTS = "adapter_model.safetensors"
DOCUMENTS = (CARD, LICENCE, "NOTICE", REPORT, CARD_FACTS, f"{RESULT_FOLDER}/*.yaml")
OF_PROCESSOR = (
    "processor_config.json",
    "preprocessor_config.json",
    "chat_template.jinja",
    "additional_chat_templates/*.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    f"{SIDE_FILE_FOLDER}/*.safetensors",
)
CHECKPOINT = (*WEIGHTS, "config.json", "generation_config.json", *OF_PROCESSOR, *DOCUMENTS)
ADAPTERS = (ADAPTER_WEIGHTS, ADAPTER_CONFIG, BASE_FILE, *OF_PROCESSOR, *DOCUMENTS)
OTHER_WEIGHTS = ("pytorch_model*.bin", "pytorch_model.bin.index.json", "adapter_model.bin", "training_args.bin")
# Names of the code that `save_pretrained` writes beside the weights.
CODE = frozenset(
    path.name
    for room in (modeling, processing)
    for path in Path(str(room.__file__)).parent.glob("*.py")
    if path.name != "__init__.py"
)
NAMING_CODE = ("config.json", "processor_config.json", "preprocessor_config.json", "tokenizer_config.json")
# What systems and tools leave everywhere, and nobody misses: it is passed over without a word.
LEFT_BEHIND = (".git", ".gitattributes", ".gitignore", ".cache", ".DS_Store", "Thumbs.db", "__pycache__", ".ipynb_checkpoints")


@dataclass(frozen=True)
class FolderFiles:
    """The files of a checkpoint's folder, as paths below it, sorted.

    Args:
        own: those that make up the checkpoint, with their sizes in bytes.
        stray: those that do not.
    """

    own: dict[str, int]
    stray: tuple[str, ...]


def is_adapters(folder: Path) -> bool:
    """Whether a folder holds adapters, and no whole checkpoint."""
    return (folder / ADAPTER_CONFIG).is_file()


def belongs(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path in a checkpoint is of one of these patterns, whose `*` do not cross folders."""
    return any(path.count("/") == pattern.count("/") and fnmatch(path, pattern) for pattern in patterns)


def folder_files(folder: Path) -> FolderFiles:
    """Sorts out what is in a checkpoint's folder."""
    patterns = (*(ADAPTERS if is_adapters(folder) else CHECKPOINT), *code_files(folder))
    own, stray = {}, []
    for path in sorted(_files(folder)):
        name = path.relative_to(folder).as_posix()
        if belongs(name, patterns) and path.is_file():  # no link to nothing
            own[name] = path.stat().st_size
        else:
            stray.append(name)
    return FolderFiles(own, tuple(stray))


def code_files(folder: Path) -> set[str]:
    """Names of the modules that an `auto_map` names, with what they import; other code is none of the checkpoint's."""
    found: set[str] = set()
    wanted = [name for config in NAMING_CODE for name in _named_modules(read_json(folder / config).get("auto_map"))]
    while wanted:
        path = folder / f"{wanted.pop()}.py"
        if path.name in found or not path.is_file():
            continue
        found.add(path.name)
        try:
            wanted += get_relative_imports(path)
        except UnicodeDecodeError:  # which the check tells
            continue
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A mapping in a JSON file; an empty one where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _named_modules(auto_map: Any) -> Iterator[str]:
    """Of "module.Class", of which a tokenizer's entry has two."""
    for value in auto_map.values() if isinstance(auto_map, dict) else ():
        for reference in value if isinstance(value, list) else [value]:
            module = str(reference or "").rpartition("--")[2].partition(".")[0]
            if module.isidentifier():
                yield module


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in LEFT_BEHIND:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path
