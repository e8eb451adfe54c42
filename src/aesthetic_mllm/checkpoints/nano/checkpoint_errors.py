"""What is wrong with a checkpoint."""

from typing import Any


class CheckpointError(ValueError):
    """A checkpoint that cannot be what it is loaded as; the message names it, what is wrong and the remedy."""


def load_complete(model_class: Any, name_or_path: str, **kwargs: Any) -> Any:
    """A model of a checkpoint that others made, from safetensors; what it holds beside (another task's head) does not matter.

    Raises:
        CheckpointError: it lacks weights, which would be left random.
    """
    model, info = model_class.from_pretrained(name_or_path, output_loading_info=True, use_safetensors=True, **kwargs)
    # the norms that a backbone adds behind its stages are no part of what was trained, and start as norms that do nothing
    missing = sorted(key for key in info["missing_keys"] if "hidden_states_norms" not in key)
    if missing:
        raise CheckpointError(
            f"{name_or_path} lacks {len(missing)} weights of {type(model).__name__}, first {missing[:3]}. Is it complete?"
        )
    return model
