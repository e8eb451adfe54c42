"""Which column of a table or a data set holds photos, and the values of its cells."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .job_error import JobError

if TYPE_CHECKING:
    import pyarrow

# Names that a column of paths has in most tables.
PATH_COLUMNS = ("path", "image_path", "photo", "image", "file_name", "filename", "file")


class Column(NamedTuple):
    """What a column may be for a job.

    Args:
        holds: "image", "bytes", "text" or "" for neither photos nor paths.
        type: as the table calls it.
    """

    holds: str
    type: str


def table_columns(schema: "pyarrow.Schema") -> dict[str, Column]:
    """The columns of an Arrow table by name."""
    return {each.name: Column(_holds(each.type), str(each.type)) for each in schema}


def dataset_columns(dataset: Any) -> dict[str, Column]:
    """The columns of a data set of `datasets` by name."""

    def column(feature: Any) -> Column:
        if type(feature).__name__ == "Image":
            return Column("image", "Image")
        if isinstance(feature, dict):
            kinds = {name: getattr(each, "dtype", "") for name, each in feature.items()}
            return Column("image" if _HOLDS.get(kinds.get("bytes", "")) == "bytes" and "path" in kinds else "", str(kinds))
        kind = str(getattr(feature, "dtype", type(feature).__name__))
        return Column(_HOLDS.get(kind, ""), kind)

    return {name: column(feature) for name, feature in (dataset.features or {}).items()}


def choose_column(name: str, columns: Mapping[str, Column], wanted: str | None) -> str:
    """The column that is wanted; else the only one with images, the only one with bytes, or one of paths.

    Args:
        name: of the table, for messages.

    Raises:
        JobError: there is none, or which one is meant cannot be told.
    """
    usable = [column for column, each in columns.items() if each.holds]
    if not usable:
        types = ", ".join(f"{column}: {each.type}" for column, each in columns.items()) or "no columns"
        raise JobError(
            f"{name}: neither photos nor paths ({types}). Photos are bytes, or a struct of bytes and path; paths are strings."
        )
    if wanted is not None:
        if wanted not in usable:
            kind = f" ({columns[wanted].type})" if wanted in columns else ""
            raise JobError(f"{name} has no column {wanted!r} of photos or paths{kind}; it has {', '.join(usable)}.")
        return wanted
    for kind in ("image", "bytes"):
        found = [column for column in usable if columns[column].holds == kind]
        if len(found) == 1:
            return found[0]
    paths = [column for column in PATH_COLUMNS if column in columns and columns[column].holds == "text"]
    if not paths or {"image", "bytes"} & {columns[column].holds for column in usable}:
        raise JobError(f"{name}: which column holds the photos? Choose with --column one of {', '.join(usable)}.")
    return paths[0]


def cell_value(cell: "pyarrow.Scalar") -> Any:
    """A cell's bytes, text, or both by name; text that is no UTF-8 as file names are, which may be anything."""
    import pyarrow.types as types

    if not cell.is_valid:
        return None
    if types.is_struct(cell.type):
        return {name: cell_value(cell[name]) for name in ("bytes", "path")}
    if types.is_dictionary(cell.type):
        return cell_value(cell.value)
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return os.fsdecode(cell.as_buffer().to_pybytes())


# Of the names of types.
_HOLDS = dict.fromkeys(("binary", "large_binary", "binary_view"), "bytes") | dict.fromkeys(
    ("string", "large_string", "string_view"), "text"
)


def _holds(kind: "pyarrow.DataType") -> str:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _holds(kind.value_type)
    if types.is_struct(kind):
        fields = {kind.field(place).name: kind.field(place).type for place in range(kind.num_fields)}
        if not fields.keys() >= {"bytes", "path"}:
            return ""
        has_bytes = _holds(fields["bytes"]) == "bytes" or types.is_null(fields["bytes"])
        has_path = _holds(fields["path"]) == "text" or types.is_null(fields["path"])
        return "image" if has_bytes and has_path else ""
    return "bytes" if types.is_fixed_size_binary(kind) else _HOLDS.get(str(kind), "")
