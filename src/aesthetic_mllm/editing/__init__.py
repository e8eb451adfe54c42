"""Photo edits as named, measured, seeded operations, and measurements of a photo."""

from .catalogue import EDITS, get_edit
from .edit import Edit, EditError

__all__ = ["EDITS", "Edit", "EditError", "get_edit"]
