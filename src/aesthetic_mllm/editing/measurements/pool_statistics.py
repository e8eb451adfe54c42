"""What is usual in a pool of photos: the cut points between the bins of each measured attribute."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .catalogue import measure

BINS = 5  # of each attribute, from lowest to highest

# Most photos are level, so that fifths would call the same nothing by several names.
FIXED_CUTS = {"tilt": (-6.0, -1.5, 1.5, 6.0)}  # degrees


@dataclass(frozen=True)
class PoolStatistics:
    """Cut points, ascending, [`BINS`] - 1 of each attribute."""

    cuts: Mapping[str, tuple[float, ...]]

    @classmethod
    def of(cls, photos: Iterable[Image.Image], attributes: Iterable[str]) -> "PoolStatistics":
        """Quantiles over photos; a few hundred are enough.

        Raises:
            ValueError: no photos.
        """
        wanted = [name for name in attributes if name not in FIXED_CUTS]
        rows = [measure(photo, wanted) for photo in photos]
        if not rows:
            raise ValueError("No photos to take the pool's statistics from.")
        shares = np.arange(1, BINS) / BINS
        cuts = {name: tuple(np.quantile([row[name] for row in rows], shares).tolist()) for name in wanted}
        return cls(cuts | FIXED_CUTS)

    def bin(self, attribute: str, value: float) -> int:
        """0 (lowest) to [`BINS`] - 1."""
        return int(np.searchsorted(self.cuts[attribute], value, side="right"))

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "PoolStatistics":
        """What `save` wrote."""
        cuts = json.loads(path.read_text(encoding="utf-8"))["cuts"]
        return cls({name: tuple(values) for name, values in cuts.items()})
