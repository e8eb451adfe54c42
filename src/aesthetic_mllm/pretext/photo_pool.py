"""Unlabelled photos from wherever users keep them: folders, parquet files, webdataset shards."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, IterableDataset, Value, concatenate_datasets, load_dataset
from datasets import Image as ImageFeature

# The columns of a pool's rows: a name that stays the same, and a photo that is not decoded yet.
POOL_FEATURES = Features({"key": Value("string"), "image": {"bytes": Value("binary"), "path": Value("string")}})
# Names under which a webdataset's samples hold their photo.
SHARD_IMAGE_COLUMNS = ("jpg", "jpeg", "png", "webp", "image")


class PhotoPoolError(ValueError):
    """A pool that cannot be read: no such place, no photos in it, or columns that hold none."""


def open_pool(sources: Sequence[str | Path], exclude: Collection[str] = ()) -> Dataset | IterableDataset:
    """The photos of one or several places as rows of [`POOL_FEATURES`].

    Args:
        sources: folders of photos, parquet files with an `image` column (paths, bytes, or the `datasets` image struct), or
            webdataset shards (`.tar`), which are streamed. Shards cannot be mixed with the others.
        exclude: file names, with or without folders, of photos that must not be in the pool: those kept for validation.

    Returns:
        A map-style data set, or for shards a streamed one. Photos are read when a row is asked for, never all at once.

    Raises:
        PhotoPoolError: a source does not exist or is of an unknown kind, or nothing is left.
    """
    paths = [Path(source) for source in sources]
    if not paths:
        raise PhotoPoolError("No source of photos was given; name a folder, a parquet file or shards (.tar).")
    for path in paths:
        if not path.exists():
            raise PhotoPoolError(f"{path}: no such file or folder.")
    shards = [path for path in paths if path.suffix == ".tar"]
    if shards and len(shards) < len(paths):
        other = next(path for path in paths if path.suffix != ".tar")
        raise PhotoPoolError(f"{other} cannot be mixed with shards such as {shards[0]}; use one kind of source in a run.")
    unwanted = frozenset(exclude)
    if shards:
        return _stream(shards, unwanted)
    parts = [_folder(path) if path.is_dir() else _parquet(path) for path in paths]
    pool = concatenate_datasets(parts)
    kept = [index for index, key in enumerate(pool["key"]) if not is_excluded(key, unwanted)]
    if not kept:
        raise PhotoPoolError(f"{', '.join(map(str, paths))}: no photos, or none that is not excluded.")
    return pool.select(kept)


def is_excluded(key: str, unwanted: Collection[str]) -> bool:
    """Whether a pool's key, or its last part, is among names."""
    return key in unwanted or key.rsplit("/", 1)[-1] in unwanted


def photo_source(image: dict[str, Any] | str | bytes) -> str | bytes:
    """What to read a row's photo from: the bytes where the row holds them, else the path."""
    if isinstance(image, dict):
        return image["bytes"] if image.get("bytes") else image["path"]
    return image


def _folder(folder: Path) -> Dataset:
    try:
        found = load_dataset("imagefolder", data_dir=str(folder), split="train", drop_labels=True, drop_metadata=True)
    except (ValueError, FileNotFoundError) as error:  # datasets' EmptyDatasetError is one of the latter
        raise PhotoPoolError(f"{folder}: no photos that can be listed ({error}).") from error
    rows = [
        {"key": f"{folder.name}/{Path(image['path']).relative_to(folder.resolve()).as_posix()}", "image": image}
        for image in found.cast_column("image", ImageFeature(decode=False))["image"]
    ]
    return Dataset.from_list(rows, features=POOL_FEATURES)


def _parquet(path: Path) -> Dataset:
    if path.suffix != ".parquet":
        raise PhotoPoolError(f"{path}: neither a folder nor a .parquet file nor a shard (.tar).")
    found = load_dataset("parquet", data_files=str(path), split="train")
    if "image" not in found.column_names:
        raise PhotoPoolError(f"{path}: no column 'image', only {', '.join(found.column_names)}; rename the one with the photos.")
    if isinstance(found.features["image"], ImageFeature):
        found = found.cast_column("image", ImageFeature(decode=False))
    name = next((column for column in ("key", "file_name") if column in found.column_names), None)

    def row(sample: dict[str, Any], index: int) -> dict[str, Any]:
        image = sample["image"]
        image = image if isinstance(image, dict) else {"bytes": image} if isinstance(image, bytes) else {"path": image}
        key = f"{path.stem}/{sample[name] if name else index}"
        return {"key": key, "image": {"bytes": image.get("bytes"), "path": image.get("path")}}

    return found.map(row, with_indices=True, remove_columns=found.column_names, features=POOL_FEATURES)


def _stream(shards: list[Path], unwanted: frozenset[str]) -> IterableDataset:
    stream = load_dataset("webdataset", data_files=[str(shard) for shard in shards], split="train", streaming=True)
    first = next(iter(stream), None)
    column = next((name for name in SHARD_IMAGE_COLUMNS if first and name in first), None)
    if column is None:
        columns = ", ".join(first) if first else "nothing"
        raise PhotoPoolError(
            f"{shards[0]}: no photo in its samples, which hold {columns}; expected {', '.join(SHARD_IMAGE_COLUMNS)}."
        )
    stream = stream.cast_column(column, ImageFeature(decode=False))
    stream = stream.filter(lambda sample: not is_excluded(f"{sample['__key__']}.{column}", unwanted))
    return stream.map(lambda sample: {"key": sample["__key__"], "image": sample[column]}, remove_columns=list(first))
