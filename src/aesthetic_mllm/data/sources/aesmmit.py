"""AesMMIT of Huang et al. 2024 (AesExpert): 409K questions and answers on the aesthetics of 21,904 images; no ratings.

An entry is as in LLaVA's data, `{"id": ..., "image": ..., "conversations": [{"from": ..., "value": ...}, ...], ...}`. The names
of the label file, AesMMIT_labels.jsonl, and of the folder, images_21904/, are as read by published training code; a JSON list
of the same name is read as well. All of it is for training; one in twenty images, by hash of its name, is for validation, which
is our choice. The images come from other data sets, and which of them those sets test on is not told.
"""

from collections.abc import Iterator
from pathlib import Path

from ..record import Record
from ..source import Source
from .llava_558k import read_conversations

TABLES = ("AesMMIT_labels.json", "AesMMIT_labels.jsonl")
IMAGES = "images_21904"
VALIDATION_PERCENT = 5


def read(root: Path, split: str) -> Iterator[Record]:
    """One record for each conversation of the split, in the table's order; all of one image's are in one split."""
    path = next((root / name for name in TABLES if (root / name).is_file()), root / TABLES[0])
    yield from read_conversations(path, root / IMAGES, "aesmmit", split, VALIDATION_PERCENT)


SOURCE = Source(
    name="aesmmit",
    url="https://huggingface.co/datasets/YiPo/AesMMIT",
    licence="Apache-2.0 for the texts; images under the terms of the data sets that they come from",
    splits=("train", "validation"),
    layout=f"{' or '.join(TABLES)}, {IMAGES}/NAME",
    read=read,
)
