"""The checkpoint that ships inside the package, so that the first rating needs no download."""

from pathlib import Path


class EmbeddedCheckpointError(FileNotFoundError):
    """The package's own checkpoint is not where it should be."""


def embedded_checkpoint() -> Path:
    """Folder of the embedded checkpoint "nano", an ordinary folder for any `from_pretrained`.

    Returns:
        Absolute path of the folder; its weights are licensed CC BY-NC 4.0 (see `LICENSE-WEIGHTS`).

    Raises:
        EmbeddedCheckpointError: the folder holds no `config.json` (the installation lacks the checkpoint).
    """
    folder = Path(__file__).resolve().parent / "nano"
    if not (folder / "config.json").is_file():
        raise EmbeddedCheckpointError(
            f"{folder} holds no config.json: this installation lacks the embedded checkpoint. Install the package again"
            " from a complete source or wheel, build the checkpoint with recipes/nano, or name another model by its"
            " folder or Hub id."
        )
    return folder
