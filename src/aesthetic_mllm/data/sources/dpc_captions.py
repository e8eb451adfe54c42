"""DPC-Captions of Jin et al. 2019: comments of some 154,000 photos of dpchallenge.com, sorted by five aspects; no ratings.

The repository has one JSON file for each aspect (names as read by mediatechnologycenter/Aestheval), which gives the comments of
each photo by its name, the id at dpchallenge.com; its authors publish neither photos nor splits. The photos are expected in
images/, as AVA has them. Many are photos of AVA under the same ids, so AVA's official lists are needed and followed, which is
our choice: photos of its test list are for testing, those of its training list for training and validation as in `ava`. Of the
photos that AVA lacks, one in twenty, by hash of the id, is for validation, the others are for training.
"""

from collections.abc import Iterator
from pathlib import Path

from ..record import Comment, DataError, Record
from ..source import Source
from ..tables import read_json
from . import ava
from .own import hash_split

ASPECTS = ("color_lighting", "composition", "depth_and_focus", "impression_and_subject", "use_of_camera")  # files are named so
VALIDATION_PERCENT = 100 // ava.VALIDATION_EVERY


def read(root: Path, split: str) -> Iterator[Record]:
    """One record for each photo of the split, in the order in which the files, aspect by aspect, first name it."""
    comments: dict[str, list[Comment]] = {}
    for aspect in ASPECTS:
        path = root / f"{aspect}.json"
        table = read_json(path)
        if not isinstance(table, dict):
            raise DataError(f"{path}: {type(table).__name__} in it, expected an object of names and lists of comments.")
        for name, texts in table.items():
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise DataError(f"{path}: {name!r} is {texts!r:.80}, expected a list of comments.")
            comments.setdefault(Path(name).stem, []).extend(Comment(text.strip(), aspect) for text in texts if text.strip())
    by_ava = {image_id: name for name in SOURCE.splits for image_id in ava.split_ids(root, name)}
    for image_id, found in comments.items():
        if found and (by_ava.get(image_id) or hash_split(image_id, VALIDATION_PERCENT)) == split:
            yield Record(image=ava.image_path(root, image_id), data_set="dpc_captions", split=split, comments=found)


SOURCE = Source(
    name="dpc_captions",
    url="https://github.com/BestiVictory/DPC-Captions",
    licence="photos and comments belong to their authors; research use",
    splits=("train", "validation", "test"),
    layout=f"{'.json, '.join(ASPECTS)}.json, images/ID.jpg, {ava.LISTS}/generic_ls_train.jpgl and generic_test.jpgl (AVA's)",
    read=read,
)
