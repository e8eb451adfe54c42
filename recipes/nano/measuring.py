"""Measures all photos: the bins of their attributes are what pretext samples, targets and comments tell of them.

The pool of unlabelled photos gives the cut points. Beside them stand the names of photos that the pool must not hold.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from aesthetic_mllm.editing.measurements import measure
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_dataset import load_photo
from aesthetic_mllm.processing.image_loading import ImageError
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.recipes import measure_pool

from .rated_photos import photo_key, read_all, read_beauty, read_quality, split

logger = logging.getLogger(__name__)

POOL_FOLDERS = ("biq2021", "photos_unlabeled")
VALIDATION_FILE = "validation_photos.txt"  # names that the pool of unlabelled photos must not hold
STATISTICS = "statistics.json"
MEASURED = "measured.json"  # photo key, such as "biq2021/name.webp", to bins


def measure_photos(data: Path, work: Path, statistics_photos: int) -> None:
    """Writes the pool's cut points, and the bin of every attribute of each photo.

    Args:
        statistics_photos: of the pool that its cut points are measured on.
    """
    scale = RatingScale()
    _, held_out = split(read_quality(data, scale))
    # no OASIS photo either, for what is said of beauty is validated on some of them
    unwanted = sorted(photo.name for photo in (*held_out, *read_beauty(data, scale)))
    (work / VALIDATION_FILE).write_text("\n".join(unwanted) + "\n")
    pool = open_pool([data / folder for folder in POOL_FOLDERS], exclude=unwanted)
    bank = PhraseBank()
    statistics = measure_pool(pool, bank, statistics_photos)
    statistics.save(work / STATISTICS)
    sources = {photo_key(photo): str(photo.path) for photo in read_all(data, scale)}
    sources |= {key: str(data / key) for key in pool["key"]}
    logger.info("%d photos are measured", len(sources))
    measured = bins_of(statistics, list(bank.attributes), list(sources.values()))
    (work / MEASURED).write_text(json.dumps({key: bins for key, bins in zip(sources, measured, strict=True) if bins}))


def read_bins(work: Path) -> dict[str, dict[str, int]]:
    """The bin of every attribute of each photo that can be read, by photo key."""
    known: dict[str, dict[str, int]] = json.loads((work / MEASURED).read_text())
    return known


def bins_of(statistics: PoolStatistics, names: Sequence[str], sources: Sequence[str]) -> list[Mapping[str, int]]:
    """The bins of some attributes of each photo, measured by all processors; none of a photo that cannot be read."""
    with ProcessPoolExecutor() as workers:
        return list(workers.map(partial(_bins, statistics, names), sources, chunksize=32))


def _bins(statistics: PoolStatistics, names: Sequence[str], source: str) -> dict[str, int]:
    try:
        values = measure(load_photo(source), list(names))
    except ImageError:
        return {}
    return {name: statistics.bin(name, value) for name, value in values.items()}
