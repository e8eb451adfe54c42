"""The visual tokens of all cached views, read once and kept on disk: several stages learn from the same ones."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS

from .features import FeatureCache
from .rating_heads import BATCH_SIZE, RatingHeads

logger = logging.getLogger(__name__)

TOKENS = "tokens"  # folder below WORK


class TokenCache:
    """Tokens as a model's tower and alignment module give them, in half precision.

    The folder is named after the weights of both: others have another folder.

    Args:
        work: folder to keep the tokens in.
        reader: rating heads with the weights that are meant.
        features: of the photos.
        counts: of each group's tokens.
    """

    def __init__(self, work: Path, reader: RatingHeads, features: FeatureCache, counts: Mapping[str, int]):
        self.reader, self.features, self.counts = reader, features, counts
        self.folder = work / TOKENS / _digest(reader)
        self._views: dict[int, np.ndarray] = {}

    def view(self, view: int) -> np.ndarray:
        """[N, T, D] of all photos that have this view, in the order of the feature cache."""
        path = self.folder / f"view{view}.npy"
        if not path.exists():
            self._read(view, path)
        if view not in self._views:
            self._views[view] = np.load(path, mmap_mode="r")
        return self._views[view]

    def tokens(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Each group's tokens of rows, which name an `image` and its `view`: [B, N, D], float16."""
        found = np.stack([self.view(row["view"])[self.features.index[row["view"]][row["image"]]] for row in rows])
        return self._groups(torch.from_numpy(found))

    def _groups(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(TOKEN_GROUPS, tokens.split([self.counts[group] for group in TOKEN_GROUPS], dim=1), strict=True))

    def _read(self, view: int, path: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        names = list(self.features.index[view])
        whole: np.ndarray | None = None
        for first in range(0, len(names), BATCH_SIZE):
            rows = [{"image": name, "view": view} for name in names[first : first + BATCH_SIZE]]
            with torch.inference_mode():
                self.reader.projector.eval()
                groups = self.reader.tokens(rows)
            tokens = torch.cat([groups[group] for group in TOKEN_GROUPS], dim=1).half().cpu().numpy()
            if whole is None:
                shape = (len(names), *tokens.shape[1:])
                whole = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float16, shape=shape)
            whole[first : first + len(tokens)] = tokens
            if first % (50 * BATCH_SIZE) == 0:
                logger.info("view %d: tokens of %d of %d photos", view, first, len(names))
        if whole is None:
            raise ValueError(f"No photo has the view {view}; run the stage 'features' first.")
        whole.flush()
        unfinished.rename(path)  # what a run leaves that is broken off is not taken for whole


def _digest(reader: RatingHeads) -> str:
    digest = hashlib.sha256()
    for module in (reader.tower, reader.projector):
        for name, value in sorted(module.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
