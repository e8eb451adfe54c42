"""What every run that tunes a checkpoint has in common: the model that it starts from, and what it leaves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import TrainingArguments
from transformers.trainer_utils import set_seed

from ..checkpoints import embedded_checkpoint
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from .recipe_checks import save_recipe
from .recipes import checkpoint_to_resume, load_model
from .tiny import tiny_model


def start_tuning(recipe: Any, config: TrainingArguments, tiny: bool = False) -> tuple[Any, AestheticMLLMProcessor]:
    """The recipe's model, by default the embedded checkpoint, and its processor; the tower is frozen.

    Args:
        tiny: a random model of nano's kind instead.
    """
    if not any(getattr(recipe, key, None) for key in ("model", "vision", "llava")):
        recipe.model = str(embedded_checkpoint())
    set_seed(config.seed)  # a new alignment module is random
    model, processor = (
        tiny_model(config.seed) if tiny else load_model(recipe, load_in_4bit=getattr(recipe, "load_in_4bit", False))
    )
    if getattr(config, "freeze_vision_tower", True):
        model.model.vision_tower.requires_grad_(False)
    return model, processor


def run_tuning(trainer: Any, recipe: Any, values: Mapping[str, Any], saved_recipe: Path) -> None:
    """Trains, from the last checkpoint where the recipe says so; the recipe is kept beside it."""
    checkpoint = checkpoint_to_resume(recipe, trainer.args)
    if trainer.is_world_process_zero():
        saved_recipe.parent.mkdir(parents=True, exist_ok=True)
        save_recipe(saved_recipe, values)
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()


def save_tuned(trainer: Any, folder: str | Path) -> None:
    """Writes model and processor as `from_pretrained` loads them, adapters merged into the weights.

    All processes must call it: a sharded model (FSDP) is gathered; the main one writes.
    """
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if trainer.is_fsdp_enabled else None
    if not trainer.is_world_process_zero():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(model, PeftModel):
        model = model.merge_and_unload()
    model.save_pretrained(folder, state_dict=state)
    trainer.processing_class.save_pretrained(folder)
