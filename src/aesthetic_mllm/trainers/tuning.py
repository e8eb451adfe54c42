"""What every run that tunes a checkpoint has in common: the model that it starts from, and what it leaves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor
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

    All processes must call it: a sharded model is gathered; the main one writes.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    sharded = any(isinstance(weight, DTensor) for weight in model.parameters())
    state = gathered_state(model) if sharded else None
    if not trainer.is_world_process_zero():
        return
    if isinstance(model, PeftModel):
        model = _whole(model, state) if state else model
        model, state = model.merge_and_unload(), None
    model.save_pretrained(folder, state_dict=state)
    trainer.processing_class.save_pretrained(folder)


def gathered_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """All weights of a model that FSDP2 shards, whole and on the CPU, in the main process; all processes must call it."""
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def _whole(sharded: PeftModel, state: Mapping[str, torch.Tensor]) -> PeftModel:
    """An adapted model with gathered weights, which adapters can be merged in."""
    base = sharded.get_base_model()
    whole = get_peft_model(type(base)(base.config), sharded.peft_config["default"])
    whole.load_state_dict(state)
    return whole
