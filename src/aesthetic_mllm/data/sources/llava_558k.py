"""LLaVA-558K (LLaVA-Pretrain) of Liu et al. 2023: 558K web photos with a question and a caption each; no ratings.

blip_laion_cc_sbu_558k.json is a list of `{"id": ..., "image": "00453/004539375.jpg", "conversations": [...]}`; images.zip is
unpacked to images/. All of it is for training; one in a hundred photos, by hash of the image's name, is for validation, which
is our choice.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..record import DataError, Record, Turn
from ..source import Source
from ..tables import read_json, read_lines
from .own import hash_split

TABLE = "blip_laion_cc_sbu_558k.json"
IMAGES = "images"
VALIDATION_PERCENT = 1
IMAGE_MARK = "<image>"
ROLES = {"human": "user", "gpt": "assistant"}  # who speaks, in the order of speaking


def read(root: Path, split: str) -> Iterator[Record]:
    """One record for each conversation of the split, in the table's order."""
    yield from read_conversations(root / TABLE, root / IMAGES, "llava_558k", split, VALIDATION_PERCENT)


def read_conversations(path: Path, images: Path, data_set: str, split: str, validation_percent: int) -> Iterator[Record]:
    """Records of a table in LLaVA's form; `validation_percent` of the photos, by hash of the name, are for validation.

    Args:
        path: a JSON list, or a file of JSON lines if its suffix is .jsonl, with `image` and `conversations`.
        images: the folder that the names under `image` are relative to.

    Raises:
        DataError: the table cannot be read, or an entry is not as it must be.
    """
    for where, entry in _entries(path):
        name = entry.get("image") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise DataError(f"{where}: 'image' is {name!r:.80}, expected the name of an image.")
        if hash_split(name, validation_percent) == split:
            turns = _turns(where, entry.get("conversations"))
            yield Record(image=images / name, data_set=data_set, split=split, conversation=turns)


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix == ".jsonl":
        for line, text in read_lines(path):
            try:
                yield f"{path}, line {line}", json.loads(text)
            except ValueError as error:
                raise DataError(f"{path}, line {line}: not JSON ({error}).") from error
        return
    table = read_json(path)
    if not isinstance(table, list):
        raise DataError(f"{path}: {type(table).__name__} in it, expected a list of conversations.")
    for number, entry in enumerate(table, start=1):
        yield f"{path}, entry {number}", entry


def _turns(where: str, spoken: Any) -> list[Turn]:
    """The turns without the marks of where the image goes."""
    speakers = list(ROLES)
    if not isinstance(spoken, list) or not spoken or len(spoken) % len(speakers):
        raise DataError(f"{where}: 'conversations' is {spoken!r:.80}, expected turns of {' and '.join(speakers)} by turns.")
    turns = []
    for index, turn in enumerate(spoken):
        speaker, text = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
        wanted = speakers[index % len(speakers)]
        if speaker != wanted:
            raise DataError(f"{where}, turn {index + 1}: 'from' is {speaker!r:.80}, expected {wanted!r}.")
        content = text.replace(IMAGE_MARK, "").strip() if isinstance(text, str) else ""
        if not content:
            raise DataError(f"{where}, turn {index + 1}: 'value' is {text!r:.80}, expected a text.")
        turns.append(Turn(ROLES[wanted], content))
    return turns


SOURCE = Source(
    name="llava_558k",
    url="https://huggingface.co/datasets/liuhaotian/LLaVA-Pretrain",
    licence="terms of CC-3M, LAION, SBU and BLIP; photos belong to their authors",
    splits=("train", "validation"),
    layout=f"{TABLE}, {IMAGES}/FOLDER/ID.jpg",
    read=read,
)
