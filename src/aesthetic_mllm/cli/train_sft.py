"""`aesthetic-mllm train sft`: ratings and words about photos to a tuned checkpoint and a report."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from .train import RECIPE, TUNED

logger = logging.getLogger(__name__)

ADAPTER, REPORT = "adapter", "report.json"
DESCRIPTION = (
    f"The finished checkpoint is output_dir/{TUNED}; with LoRA the adapters alone are output_dir/{ADAPTER}. Beside them are "
    f"{RECIPE}, the recipe with all overrides, and {REPORT}: what was read, and how held-out photos are rated before and after."
)


def run(options: argparse.Namespace) -> int:
    """Trains; raises what `train.py` reports as a usage error."""
    from ..trainers.aesthetic_sft_trainer import AestheticSFTTrainer
    from ..trainers.sft_recipe import open_sft_data, read_sft_recipe
    from ..trainers.tuning import run_tuning, save_tuned, start_tuning

    recipe, config, values = read_sft_recipe(options.config, options.overrides, options.tiny)
    model, processor = start_tuning(recipe, config, options.tiny)
    data = open_sft_data(recipe, processor.rating_scale, config.seed)
    for line in data.told:
        logger.info("%s", line)

    callbacks = []
    if config.load_best_model_at_end and recipe.early_stopping:
        from transformers import EarlyStoppingCallback

        callbacks.append(EarlyStoppingCallback(recipe.early_stopping))
    trainer = AestheticSFTTrainer(
        model,
        config,
        processing_class=processor,
        train_dataset=data.train,
        eval_dataset=data.validation or None,
        peft_config=recipe.peft_config(),
        callbacks=callbacks,
    )
    output = Path(str(config.output_dir))
    report: dict[str, Any] = {"data": data.told}
    held_out = data.test or data.validation
    if held_out:
        report["before"] = trainer.evaluate(held_out, metric_key_prefix="test")
    run_tuning(trainer, recipe, values, output / RECIPE)
    if held_out:
        report["after"] = trainer.evaluate(held_out, metric_key_prefix="test")
    if recipe.lora_r:
        trainer.save_model(str(output / ADAPTER))
    save_tuned(trainer, output / TUNED)
    if trainer.is_world_process_zero():
        (output / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        _tell(report, output)
    return 0


def _tell(report: dict[str, Any], output: Path) -> None:
    before, after = report.get("before", {}), report.get("after", {})
    for name in (name for name in after if name.endswith("_srcc")):
        print(f"{name}: {before[name]:.3f} before, {after[name]:.3f} after")
    print(output / TUNED)
