"""What holds many photos: lists and generators, batches of arrays, columns of tables, data sets."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeGuard, TypeVar, cast

from ..processing.image_loading import ImageError, ImageSource, UnreadableImageError, is_photo

Result = TypeVar("Result")


class Series(Protocol):
    """A pandas Series, or another column that gives its values by place."""

    @property
    def iloc(self) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Dataset(Protocol):
    """A data set of the library `datasets`, of which one column holds images."""

    @property
    def column_names(self) -> Any: ...

    @property
    def features(self) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


# An error stands for a photo that somebody else could not read.
Photos = Iterable[ImageSource | ImageError] | Series | Dataset


class PhotoCollectionError(ValueError):
    """A collection that does not say which photos it means."""


def is_one_photo(images: ImageSource | Photos) -> TypeGuard[ImageSource]:
    """Whether this is one photo, and not many of them."""
    return is_photo(images) and not hasattr(images, "iloc")  # pandas' tables have a shape too


def as_photos(images: ImageSource | Photos) -> Iterable[ImageSource | ImageError]:
    """One photo as a list of it; many one by one. An array of four dimensions is many, and a data set is its column of images.

    Raises:
        ImageError: neither a photo nor a collection.
        PhotoCollectionError: a data set without a column of images, or with several; a table, or a row of one.
    """
    if is_one_photo(images):
        return [images]
    columns: Any = getattr(images, "column_names", None)
    if isinstance(columns, Mapping):
        splits = list(columns)
        raise PhotoCollectionError(f"The data set has the splits {', '.join(splits)}; give one, such as dataset[{splits[0]!r}].")
    if hasattr(images, "column_names") and hasattr(images, "features"):
        return _image_column(cast(Dataset, images))
    if hasattr(images, "iloc") and hasattr(images, "columns"):
        name = next(iter(images.columns), "photo")
        kind = type(images).__name__
        raise PhotoCollectionError(f"A {kind} is a table; give its column of photos, such as table[{name!r}].")
    if isinstance(images, Mapping):
        keys = ", ".join(map(repr, images))
        raise PhotoCollectionError(f"A mapping with the keys {keys} is no photo; give the photo itself, such as row['image'].")
    if not hasattr(images, "__iter__"):
        kind = type(images).__name__
        raise UnreadableImageError(f"<{kind}>", f"a {kind}; give a path, the bytes of a file, a Pillow image or an array.")
    return map(_undecoded, images) if hasattr(images, "features") else cast(Iterable[ImageSource | ImageError], images)


def map_single_or_batch(
    images: ImageSource | Photos, stream: Callable[[Iterable[ImageSource | ImageError]], Iterator[Result]]
) -> Result | list[Result]:
    """One photo's result, or the list of many photos' results."""
    results = stream(as_photos(images))
    return next(results) if is_one_photo(images) else list(results)


def _image_column(dataset: Dataset) -> Iterable[ImageSource]:
    """The photos of the only column whose feature is an image; which column of text holds paths cannot be told."""
    features = dataset.features or {}  # a streamed data set may not know them
    names = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    if len(names) != 1:
        found = f"{len(names)} columns of images ({', '.join(names)})" if names else "no column of images"
        raise PhotoCollectionError(
            f"The data set has {found}; its columns are {', '.join(dataset.column_names or ('unknown',))}. Give the column to "
            "judge, such as dataset['image'], or cast a column of paths to datasets.Image()."
        )
    return (_undecoded(row[names[0]]) for row in dataset)


def _undecoded(value: Any) -> ImageSource:
    """A photo of a column; one that `datasets` does not decode comes as its bytes or its path."""
    if isinstance(value, Mapping) and value.keys() == {"bytes", "path"}:
        return cast(ImageSource, value["path"] if value["bytes"] is None else value["bytes"])
    return cast(ImageSource, value)
