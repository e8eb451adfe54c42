"""Which column of a table or a data set holds the photos."""

from typing import Any

from .job_error import JobError

# Names that a column of paths has in most tables.
PATH_COLUMNS = ("path", "image_path", "photo", "image", "file_name", "filename", "file")


def chosen_column(name: str, kinds: dict[str, str], wanted: str | None) -> str:
    """The column that is wanted; else the only one with images, the only one with bytes, or one of paths.

    Args:
        kinds: of each column "image", "bytes", "text" or "".
    """
    usable = [column for column, kind in kinds.items() if kind]
    if wanted is not None:
        if wanted not in usable:
            raise JobError(f"{name} has no column {wanted!r} of photos or paths; it has {', '.join(usable) or 'none'}.")
        return wanted
    for kind in ("image", "bytes"):
        columns = [column for column, each in kinds.items() if each == kind]
        if len(columns) == 1:
            return columns[0]
    paths = [column for column in PATH_COLUMNS if kinds.get(column) == "text"]
    if not paths or "image" in kinds.values() or "bytes" in kinds.values():
        raise JobError(f"{name}: which column holds the photos? Choose with --column one of {', '.join(usable) or 'none'}.")
    return paths[0]


def arrow_kind(kind: Any) -> str:
    """What a column of Arrow holds, as [`chosen_column`] takes it."""
    import pyarrow.types as types

    if types.is_struct(kind):
        return "image" if {kind.field(place).name for place in range(kind.num_fields)} == {"bytes", "path"} else ""
    if types.is_binary(kind) or types.is_large_binary(kind):
        return "bytes"
    return "text" if types.is_string(kind) or types.is_large_string(kind) else ""


def feature_kinds(dataset: Any) -> dict[str, str]:
    """What the columns of a data set hold, as [`chosen_column`] takes it."""

    def kind(feature: Any) -> str:
        if type(feature).__name__ == "Image" or (isinstance(feature, dict) and feature.keys() == {"bytes", "path"}):
            return "image"
        return {"binary": "bytes", "large_binary": "bytes", "string": "text", "large_string": "text"}.get(
            getattr(feature, "dtype", ""), ""
        )

    return {column: kind(feature) for column, feature in (dataset.features or {}).items()}
