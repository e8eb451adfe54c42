"""Files that may lie beside a checkpoint's weights."""

from transformers.utils import cached_file


def find_beside(checkpoint: str, file: str) -> str | None:
    """Path of a file that a checkpoint's folder or Hub repository carries, or `None`.

    Args:
        checkpoint: folder or Hub id; "" is a model that was not loaded, beside which nothing lies.
    """
    if not checkpoint:
        return None
    found: str | None = cached_file(
        checkpoint,
        file,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return found
