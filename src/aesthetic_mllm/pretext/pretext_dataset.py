"""Pools of photos as data sets of pretext samples, made on the fly."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset as TorchIterableDataset

from ..processing.image_loading import ImageError, load_image
from .photo_pool import PhotoPoolError, photo_source
from .pretext_samples import LEVELS, PretextSample, PretextSampleMaker

logger = logging.getLogger(__name__)

LONGEST_SIDE = 512  # pretext samples are made of photos of at most this size; a tower sees less


@dataclass(frozen=True)
class Sample:
    """A pretext sample, and the keys of photos that could not be read on the way to it."""

    pretext_sample: PretextSample
    unreadable: tuple[str, ...] = ()


class PretextDataset(TorchDataset):
    """One pretext sample a photo and epoch; the level goes round: each photo teaches all of them in as many epochs.

    A photo that cannot be read is stood in for by the next one, and named in the sample.

    Args:
        pool: as of `open_pool`.
        maker: makes the pretext samples.
        pairs: image-text pairs for the thematic path, as of [`read_image_text_pairs`]; each is one more sample an epoch.
        levels: that go round; one that is named twice comes twice as often.
    """

    def __init__(
        self,
        pool: Any,
        maker: PretextSampleMaker,
        pairs: Sequence[tuple[Path, str, str]] = (),
        levels: Sequence[str] = LEVELS,
    ):
        self.pool, self.maker, self.pairs, self.levels = pool, maker, pairs, levels
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader; other pretext samples of the same photos in every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.pool) + len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Raises `PhotoPoolError` where no photo of the pool can be read."""
        unreadable: list[str] = []
        if index >= len(self.pool):
            image, question, text = self.pairs[index - len(self.pool)]
            try:
                photo = load_photo(image)
                return Sample(PretextSample("thematic", "content", "pair", (photo,), question, text, f"pair:{index}"))
            except ImageError:
                unreadable.append(str(image))
                index -= len(self.pool)
        for step in range(len(self.pool)):
            number = (index + step) % len(self.pool)
            row = self.pool[number]
            try:
                photo = load_photo(photo_source(row["image"]))
            except ImageError:
                unreadable.append(row["key"])
                continue
            level = self.levels[(number + self.epoch) % len(self.levels)]
            return Sample(self.maker.pretext_sample(row["key"], photo, level, self.epoch), tuple(unreadable))
        raise PhotoPoolError(f"None of the {len(self.pool)} photos can be read, the first {unreadable[0]}.")


class PretextStream(TorchIterableDataset):
    """As [`PretextDataset`], from a streamed pool; photos that cannot be read are left out."""

    def __init__(self, pool: Any, maker: PretextSampleMaker, levels: Sequence[str] = LEVELS):
        self.pool, self.maker, self.levels = pool, maker, levels
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader."""
        self.epoch = epoch
        self.pool.set_epoch(epoch)

    def __iter__(self) -> Iterator[Sample]:
        unreadable: list[str] = []
        for number, row in enumerate(self.pool):
            try:
                photo = load_photo(photo_source(row["image"]))
            except ImageError:
                unreadable.append(row["key"])
                continue
            level = self.levels[(number + self.epoch) % len(self.levels)]
            yield Sample(self.maker.pretext_sample(row["key"], photo, level, self.epoch), tuple(unreadable))
            unreadable = []


def load_photo(source: Any) -> Image.Image:
    """A photo in RGB of at most [`LONGEST_SIDE`]; `ImageError` where it cannot be read."""
    photo = load_image(source)
    if max(photo.size) > LONGEST_SIDE:
        photo.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return photo


def read_image_text_pairs(path: str | Path, image_folder: str | Path) -> list[tuple[Path, str, str]]:
    """Pairs in the layout of LLaVA's 558K pre-training set: a JSON list of `image` and `conversations` of two turns.

    Returns:
        Image path, question (without its image mark) and text of each.

    Raises:
        PhotoPoolError: the file is no such list, or an entry lacks a part; the first one is named.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise PhotoPoolError(f"{path}: not a readable JSON file ({error}).") from error
    pairs = []
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        try:
            asked, told = (turn["value"] for turn in entry["conversations"][:2])
            pairs.append((Path(image_folder) / entry["image"], asked.replace("<image>", "").strip(), told.strip()))
        except (KeyError, TypeError, ValueError) as error:
            raise PhotoPoolError(
                f"{path}: entry {number} has no image with a conversation of two turns ({type(error).__name__}: {error})."
            ) from error
    return pairs
