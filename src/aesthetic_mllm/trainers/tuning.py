"""What every run that tunes a checkpoint has in common: the model that it starts from, and what it leaves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor
from transformers import TrainingArguments
from transformers.trainer import TRAINING_ARGS_NAME
from transformers.trainer_utils import set_seed

from ..checkpoints import embedded_checkpoint
from ..modeling.checkpoint_documents import LICENCE
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from .model_card import ModelCardMixin
from .recipe_parser import save_recipe
from .recipes import load_model, load_processor
from .references import measure_references
from .tiny import tiny_model


def start_processor(recipe: Any, config: TrainingArguments, smoke_test: bool = False) -> AestheticMLLMProcessor:
    """The processor of the recipe's model, by default of the embedded checkpoint: enough to read and check the data with.

    Args:
        smoke_test: that of a random model of nano's kind instead.
    """
    if not any(getattr(recipe, key, None) for key in ("model", "vision", "llava")):
        recipe.model = str(embedded_checkpoint())
    return tiny_model(config.seed)[1] if smoke_test else load_processor(recipe)


def start_model(
    recipe: Any, config: TrainingArguments, processor: AestheticMLLMProcessor, smoke_test: bool = False
) -> torch.nn.Module:
    """The recipe's model; the tower is frozen.

    Args:
        processor: as of `start_processor`.
        smoke_test: a random model of nano's kind instead.
    """
    set_seed(config.seed)  # a new alignment module is random
    if smoke_test:
        model, _ = tiny_model(config.seed)
    else:
        model, _ = load_model(recipe, getattr(recipe, "load_in_4bit", False), processor)
    # a checkpoint of the run holds tied weights once; the trainer warns of the others as missing unless it is told
    model._keys_to_ignore_on_save = set(model.all_tied_weights_keys)
    if getattr(config, "freeze_vision_tower", True):
        model.model.vision_tower.requires_grad_(False)
    return model


def run_tuning(trainer: Any, checkpoint: str | None, values: Mapping[str, Any], saved_recipe: Path) -> None:
    """Trains, from a checkpoint of the same run where one is given; the recipe is kept beside it."""
    if trainer.is_world_process_zero():
        saved_recipe.parent.mkdir(parents=True, exist_ok=True)
        save_recipe(saved_recipe, values)
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()


def save_tuned(trainer: Any, folder: str | Path, adapter: str | Path | None = None) -> dict[str, Any]:
    """Writes model and processor as `from_pretrained` loads them, adapters merged into the weights.

    What the rating scale says of the start checkpoint is measured again, or left out ([`measure_references`]). Of the start's
    documents its licence alone is kept; the card is the trainer's. All processes must call it: a sharded model is gathered; the
    main one writes.

    Args:
        folder: of the finished checkpoint.
        adapter: where a model's LoRA adapters are written alone, too, with the processor.

    Returns:
        what was measured again and what was left out.
    """
    references = measure_references(trainer)
    if adapter is not None:
        trainer.save_model(str(adapter))
        if trainer.is_world_process_zero():
            (Path(adapter) / TRAINING_ARGS_NAME).unlink(missing_ok=True)  # pickled
    model = trainer.accelerator.unwrap_model(trainer.model)
    sharded = any(isinstance(weight, DTensor) for weight in model.parameters())
    state = gathered_state(model) if sharded else None
    if not trainer.is_world_process_zero():
        return references
    documents = getattr(model, "documents", {})
    if isinstance(model, PeftModel):
        model = _whole(model, state) if state else model
        model, state = model.merge_and_unload(), None
    model.documents = {name: content for name, content in documents.items() if name == LICENCE}
    model.save_pretrained(folder, state_dict=state)
    trainer.processing_class.save_pretrained(folder)
    model.documents = documents  # the card names the licence that the start's documents name
    if isinstance(trainer, ModelCardMixin):
        trainer.create_model_card(folder=folder)
    return references


def write_report(trainer: Any, report: Mapping[str, Any], path: Path) -> None:
    """As JSON; the main process alone writes."""
    if trainer.is_world_process_zero():
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def gathered_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """All weights of a model that FSDP2 shards, whole and on the CPU, in the main process; all processes must call it."""
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def _whole(sharded: PeftModel, state: Mapping[str, torch.Tensor]) -> PeftModel:
    """An adapted model with gathered weights, which adapters can be merged in."""
    base = sharded.get_base_model()
    whole = get_peft_model(type(base)(base.config), sharded.peft_config["default"])
    whole.load_state_dict(state)
    return whole
