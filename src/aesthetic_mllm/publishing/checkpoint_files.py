"""Which files make up a checkpoint on the Hub; anything else in a folder is not sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

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
    "tokenizer*.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    f"{SIDE_FILE_FOLDER}/*.safetensors",
    "*.py",
)
CHECKPOINT = (*WEIGHTS, "config.json", "generation_config.json", *OF_PROCESSOR, *DOCUMENTS)
ADAPTERS = (ADAPTER_WEIGHTS, ADAPTER_CONFIG, BASE_FILE, *OF_PROCESSOR, *DOCUMENTS)
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
    patterns = ADAPTERS if is_adapters(folder) else CHECKPOINT
    own, stray = {}, []
    for path in sorted(_files(folder)):
        name = path.relative_to(folder).as_posix()
        if belongs(name, patterns):
            own[name] = path.stat().st_size
        else:
            stray.append(name)
    return FolderFiles(own, tuple(stray))


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in LEFT_BEHIND:
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path
