"""What holds many photos: lists and generators, batches of arrays, columns of tables, data sets."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeGuard, TypeVar, cast

from ..processing.image_loading import ImageSource, UnreadableImageError, is_photo

Result = TypeVar("Result")


class Series(Protocol):
    """A pandas Series, or another column that gives its values by place."""

    @property
    def iloc(self) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Dataset(Protocol):
    """A data set of the library `datasets`, of which one column holds images."""

    @property
    def column_names(self) -> list[str]: ...

    @property
    def features(self) -> Any: ...

    def __getitem__(self, key: str) -> Any: ...


Photos = Iterable[ImageSource] | Series | Dataset


class PhotoCollectionError(ValueError):
    """A collection that does not say which photos it means."""


def is_one_photo(images: ImageSource | Photos) -> TypeGuard[ImageSource]:
    """Whether this is one photo, and not many of them."""
    return is_photo(images) and not _is_series(images)


def as_photos(images: ImageSource | Photos) -> Iterable[ImageSource]:
    """One photo as a list of it; many one by one. An array of four dimensions is many, and a data set is its column of images.

    Raises:
        PhotoCollectionError: a data set without a column of images, or with several; a table; a row of a data set.
    """
    if is_one_photo(images):
        return [images]
    if _is_dataset(images):
        return _image_column(images)
    if hasattr(images, "columns") and hasattr(images, "iloc"):
        raise PhotoCollectionError(
            f"A {type(images).__name__} is a table; give its column of photos, such as table[{_first(images.columns)!r}]."
        )
    if isinstance(images, Mapping):
        raise PhotoCollectionError(
            f"A {type(images).__name__} with the keys {', '.join(map(str, images))} was given for photos; give the photos "
            "themselves, such as row['image']."
        )
    if not hasattr(images, "__iter__"):
        kind = type(images).__name__
        raise UnreadableImageError(f"<{kind}>", f"a {kind}; give a path, the bytes of a file, a Pillow image or an array.")
    return cast(Iterable[ImageSource], images)


def map_single_or_batch(
    images: ImageSource | Photos, stream: Callable[[Iterable[ImageSource]], Iterator[Result]]
) -> Result | list[Result]:
    """One photo's result, or the list of many photos' results."""
    results = stream(as_photos(images))
    return next(results) if is_one_photo(images) else list(results)


def _is_series(value: Any) -> bool:
    """A pandas Series has a shape and can be an array, but holds photos."""
    return hasattr(value, "iloc")


def _is_dataset(value: Any) -> TypeGuard[Dataset]:
    return hasattr(value, "column_names") and hasattr(value, "features") and hasattr(value, "__getitem__")


def _image_column(dataset: Dataset) -> Iterable[ImageSource]:
    """The photos of the only column whose feature is an image; of a column of paths there is no telling."""
    if isinstance(dataset.column_names, Mapping):
        splits = list(dataset.column_names)
        raise PhotoCollectionError(f"The data set has the splits {', '.join(splits)}; give one, such as dataset[{splits[0]!r}].")
    features = dataset.features or {}  # streamed data sets may not know theirs
    names = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    if len(names) != 1:
        found = f"{len(names)} columns of images ({', '.join(names)})" if names else "no column of images"
        columns = ", ".join(dataset.column_names or ()) or "none known"
        raise PhotoCollectionError(
            f"The data set has {found}; its columns are: {columns}. Give the column to judge, such as dataset['image'], or cast "
            "a column of paths to datasets.Image()."
        )
    (name,) = names
    return (row[name] for row in cast(Iterable[Mapping[str, ImageSource]], dataset))


def _first(names: Iterable[Any]) -> Any:
    return next(iter(names), "image")
