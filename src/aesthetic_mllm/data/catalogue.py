"""The data sets that can be named in a recipe."""

import difflib
from importlib import import_module
from pathlib import Path
from typing import Any

from .record import DataError
from .source import Source
from .sources.own import own_source

PUBLIC = (
    "ava", "ava_captions", "dpc_captions", "pccd", "aadb", "tad66k", "para", "flickr_aes", "real_cur", "eva", "icaa17k", "spaq",
    "koniq10k", "biq2021", "oasis_beauty", "agiqa3k", "pamela", "lapis", "aesmmit", "llava_558k",
)  # fmt: skip
OWN = "own"


def get_source(name: str) -> Source:
    """A public data set by its name.

    Raises:
        DataError: there is none of this name; the nearest one is named.
    """
    if name not in PUBLIC:
        near = difflib.get_close_matches(name, [*PUBLIC, OWN], n=1, cutoff=0.0)[0]
        raise DataError(f"{name}: no such data set; did you mean {near}? There are {', '.join(PUBLIC)}, and {OWN} for your own.")
    source: Source = import_module(f".sources.{name}", __package__).SOURCE
    return source


def find_source(entry: dict[str, Any]) -> tuple[Source, Path]:
    """The data set that an entry of a recipe names, and its root folder.

    Args:
        entry: `source` and `root`; of one's own table, which `root` names, also `range` (two numbers), and where they differ
            from the defaults `question` ("aesthetic"), `higher_is_worse` (false), `columns` (the table's names by ours) and
            `whole` (false: a table without splits is divided).

    Raises:
        DataError: no such data set, or a key that does not go with it.
    """
    name, root = str(entry["source"]), Path(entry["root"])
    if name != OWN:
        source = get_source(name)  # an unknown name is told before a key that does not go with it
        extra = sorted(entry.keys() & {"range", "question", "higher_is_worse", "columns", "whole"})
        if extra:
            raise DataError(f"{name}: {', '.join(extra)} cannot be given, a public data set has its own.")
        return source, root
    score_range = entry.get("range")
    if not isinstance(score_range, list | tuple) or len(score_range) != 2:
        raise DataError(f"{root}: range is {score_range!r}; say from what to what its ratings go, such as range: [1, 10].")
    low, high = (float(value) for value in score_range)
    source = own_source(
        root,
        (low, high),
        str(entry.get("question", "aesthetic")),
        bool(entry.get("higher_is_worse", False)),
        entry.get("columns"),
        bool(entry.get("whole", False)),
    )
    return source, root.parent
