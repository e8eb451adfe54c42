"""What LoRA adapts of a model, and what is learned whole beside it, where a configuration does not say."""

from typing import Any

LANGUAGE_MODEL_PROJECTIONS = r".*language_model\..*_proj"  # "all-linear" would adapt the tower too
ALIGNMENT_MODULE = "multi_modal_projector"  # small, and often new to the language model


def adapt_language_model(peft_config: Any, learn_alignment: bool = True) -> Any:
    """Completes a `LoraConfig` in place and returns it; `None` stays `None`.

    Args:
        peft_config: without `target_modules` the language model's projections are adapted; without `modules_to_save` the
            alignment module is learned whole.
        learn_alignment: whether it may learn.
    """
    if peft_config is not None:
        if not peft_config.target_modules:
            peft_config.target_modules = LANGUAGE_MODEL_PROJECTIONS
        if peft_config.modules_to_save is None and learn_alignment:
            peft_config.modules_to_save = [ALIGNMENT_MODULE]
    return peft_config
