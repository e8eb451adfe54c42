"""`aesthetic-mllm train dpo`: pairs of a better and a worse answer to a tuned checkpoint, by TRL's DPOTrainer."""

import argparse
from pathlib import Path
from typing import Any

from .train import RECIPE, TUNED, TUNED_DESCRIPTION

DESCRIPTION = TUNED_DESCRIPTION


def run(options: argparse.Namespace) -> int:
    """Trains; raises what `train.py` reports as a usage error."""
    from trl import DPOTrainer

    from ..trainers.preference_recipes import open_preferences, read_dpo_recipe
    from ..trainers.tuning import run_tuning, save_tuned, start_tuning

    recipe, config, values = read_dpo_recipe(options.config, options.overrides, options.tiny)
    model, processor = start_tuning(recipe, config, options.tiny)
    trainer: Any = DPOTrainer(
        model,
        args=config,
        train_dataset=open_preferences(recipe, config.seed),
        processing_class=processor,
        peft_config=recipe.peft_config(),
    )
    output = Path(str(config.output_dir))
    run_tuning(trainer, recipe, values, output / RECIPE)
    save_tuned(trainer, output / TUNED)
    print(output / TUNED)
    return 0
