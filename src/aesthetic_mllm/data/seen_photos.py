"""How many photos that a checkpoint is evaluated on it was trained on before."""

from collections.abc import Mapping, Sized
from pathlib import Path

from ..checkpoints.names import weights_digest
from .catalogue import PUBLIC

# SHA-256 of the weights -> the public data sets that the checkpoint learned from, and which of their splits (`splits.py`).
TRAINED_ON: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    # nano, the embedded checkpoint
    "2a2b40a8929e1c91082eacb3bff70582485e334c05f88186c262ebaeec2f4603": {
        "biq2021": ("train",),
        "oasis_beauty": ("train",),
        "agiqa3k": ("train",),
    },
    # the version before
    "d97a640e1fe4bc2f30f37f53e16db1e303f0b11d789b04c101a233a84e0fd6fc": {"biq2021": ("train",), "oasis_beauty": ("train",)},
}


def seen_by_start(folder: str | Path | None, split: str, evaluated: Mapping[str, Sized]) -> dict[str, dict[str, int | None]]:
    """Of each evaluated data set the number of photos, and how many of them a checkpoint was trained on.

    `seen` is `None` where it is not known: of checkpoints that are not declared in [`TRAINED_ON`], and of a user's own photos,
    which nothing is known of.

    Args:
        folder: of the checkpoint, or its Hub id; `None`: the start is no checkpoint.
        split: that the photos are of.
        evaluated: photos by the name of their data set, which may end in a number where one is named twice ("biq2021-2").
    """
    learned = None if folder is None else TRAINED_ON.get(weights_digest(folder) or "")
    return {name: {"photos": len(photos), "seen": _seen(learned, name, split, len(photos))} for name, photos in evaluated.items()}


def _seen(learned: Mapping[str, tuple[str, ...]] | None, name: str, split: str, photos: int) -> int | None:
    data_set = name.partition("-")[0]
    if learned is None or data_set not in PUBLIC:
        return None
    return photos if split in learned.get(data_set, ()) else 0
