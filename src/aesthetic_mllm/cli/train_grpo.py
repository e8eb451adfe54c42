"""`aesthetic-mllm train grpo`: rated photos and rewards to a tuned checkpoint, by TRL's GRPOTrainer."""

import argparse
from pathlib import Path
from typing import Any

from .train import RECIPE, TUNED, TUNED_DESCRIPTION

DESCRIPTION = TUNED_DESCRIPTION


def run(options: argparse.Namespace) -> int:
    """Trains; raises what `train.py` reports as a usage error."""
    from trl import GRPOTrainer

    from ..trainers.preference_recipes import open_prompts, read_grpo_recipe
    from ..trainers.tuning import run_tuning, save_tuned, start_tuning

    recipe, config, values = read_grpo_recipe(options.config, options.overrides, options.tiny)
    model, processor = start_tuning(recipe, config, options.tiny)
    rewards, config.reward_weights = recipe.reward_functions(processor.rating_scale)
    trainer: Any = GRPOTrainer(
        model,
        reward_funcs=rewards,
        args=config,
        train_dataset=open_prompts(recipe, processor.rating_scale, config.seed),
        processing_class=processor,
        peft_config=recipe.peft_config(),
    )
    output = Path(str(config.output_dir))
    run_tuning(trainer, recipe, values, output / RECIPE)
    save_tuned(trainer, output / TUNED)
    print(output / TUNED)
    return 0
