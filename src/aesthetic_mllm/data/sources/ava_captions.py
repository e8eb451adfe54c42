"""AVA-Captions of Ghosal et al. 2019: some 230,000 AVA photos with those comments that say something of the photo; no ratings.

The authors' archive has CLEAN_AVA_FULL_AFTER_SUBJECTIVE_CLEANING.json in the form of COCO captions. The split in it is drawn by
chance (as their clean_comment_json.py does) from AVA's training and test photos alike, so it is not read: the splits are those
of `ava`, which is our choice, and no photo of AVA's official test list is ever in training. AVA's lists and images lie in the
same folder.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..record import Comment, DataError, Record
from ..source import Source
from ..tables import read_json
from . import ava

TABLE = "CLEAN_AVA_FULL_AFTER_SUBJECTIVE_CLEANING.json"
TEXT_KEYS = ("raw", "clean")  # as it was written; in lower case, without digits and most punctuation


def read(root: Path, split: str) -> Iterator[Record]:
    """One record for each photo of the split that has comments, in the table's order.

    A photo is `{"filename": "ID.jpg", "sentences": [{"raw": ..., "clean": ...}, ...], ...}` in the list `images`. Comments are
    given as they were written (`raw`) where the table holds that, otherwise cleaned (`clean`), which is our choice.
    """
    path = root / TABLE
    wanted = ava.split_ids(root, split)
    table = read_json(path)
    photos = table.get("images") if isinstance(table, dict) else None
    if not isinstance(photos, list):
        raise DataError(f"{path}: no list 'images' in it.")
    for number, photo in enumerate(photos, start=1):
        where = f"{path}, image {number}"
        name = photo.get("filename") if isinstance(photo, dict) else None
        if not isinstance(name, str) or not name:
            raise DataError(f"{where}: 'filename' is {name!r:.80}, expected a name such as '123.jpg'.")
        if Path(name).stem not in wanted:
            continue
        comments = _comments(where, photo.get("sentences"))
        if comments:
            yield Record(image=ava.image_path(root, Path(name).stem), data_set="ava_captions", split=split, comments=comments)


def _comments(where: str, sentences: Any) -> list[Comment]:
    if not isinstance(sentences, list):
        raise DataError(f"{where}: 'sentences' is {sentences!r:.80}, expected a list.")
    comments = []
    for sentence in sentences:
        held = [sentence[key] for key in TEXT_KEYS if key in sentence] if isinstance(sentence, dict) else []
        if not held or not isinstance(held[0], str):
            raise DataError(
                f"{where}: 'sentences' holds {sentence!r:.80}, expected a text under {' or '.join(map(repr, TEXT_KEYS))}."
            )
        if held[0].strip():
            comments.append(Comment(held[0].strip()))
    return comments


SOURCE = Source(
    name="ava_captions",
    url="https://github.com/V-Sense/Aesthetic-Image-Captioning-ICCVW-2019",
    licence="photos and comments belong to their authors; research use",
    splits=("train", "validation", "test"),
    layout=f"{TABLE}, images/ID.jpg, {ava.LISTS}/generic_ls_train.jpgl and generic_test.jpgl (AVA's)",
    read=read,
)
