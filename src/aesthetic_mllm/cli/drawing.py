"""Bars and columns of text for a terminal, without colours."""

import shutil
import textwrap
import unicodedata
from collections.abc import Mapping
from typing import Any

BLOCKS = " ▁▂▃▄▅▆▇█"
PARTS = " ▏▎▍▌▋▊▉"
INDENT = "  "
# Narrower nothing can be drawn, wider nobody reads on.
LEAST_WIDTH, MOST_WIDTH = 60, 100


def width() -> int:
    """Columns to use; 80 where the output is no terminal."""
    return max(LEAST_WIDTH, min(shutil.get_terminal_size().columns, MOST_WIDTH))


def path_columns(rest: int) -> int:
    """Columns for a path in a line with so many others."""
    return max(24, min(60, shutil.get_terminal_size().columns - rest))


def bar(share: float, cells: int) -> str:
    """A bar as long as the share, 0 to 1, on a dotted ground."""
    full = round(share * cells)
    return "█" * full + "·" * (cells - full)


def fine_bar(share: float, cells: int) -> str:
    """A bar to an eighth of a cell, without a ground, filled up with spaces."""
    eighths = round(share * cells * 8)
    return ("█" * (eighths // 8) + PARTS[eighths % 8] * (eighths < 8 * cells)).ljust(cells)


def level_blocks(distribution: Mapping[str, float] | None) -> str:
    """The level words' shares as one small block each, worst first, the likeliest one full."""
    shares = list((distribution or {}).values())
    return "".join(BLOCKS[round(share / max(shares) * (len(BLOCKS) - 1))] for share in shares)


def rating_bar(rating: Mapping[str, Any], cells: int) -> str:
    """A rating's mean, spread and a bar over its range, such as " 6.1 ±2.0  ████····"."""
    low, high = rating["score_range"]
    spread = "" if rating["std"] is None else f"±{rating['std']:.1f}"
    return f"{rating['mean']:4.1f} {spread:4}  {bar((rating['mean'] - low) / (high - low), cells)}"


def fitted(path: str, columns: int) -> str:
    """The end of a path, which tells photos apart, in exactly so many columns."""
    while _columns(path) > columns:
        path = "…" + path.removeprefix("…")[1:]
    return path + " " * (columns - _columns(path))


def wrapped(text: str, first: str = INDENT, other: str | None = None) -> str:
    """Text in lines of at most `width()`, behind these indents."""
    other = " " * len(first) if other is None else other
    return textwrap.fill(text, width(), initial_indent=first, subsequent_indent=other, break_long_words=False)


def failure(path: str, error: str, columns: int = 0) -> str:
    """The line of a photo that cannot be judged."""
    return f"{fitted(path, columns) if columns else path}  cannot be judged: {error}"


def _columns(text: str) -> int:
    """Columns that a terminal shows the text in: wide letters take two, combining ones none."""
    return sum((1 + (unicodedata.east_asian_width(letter) in "WF")) * (not unicodedata.combining(letter)) for letter in text)
