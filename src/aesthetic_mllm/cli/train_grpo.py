"""`aesthetic-mllm train grpo`: rated photos and rewards to a tuned checkpoint, by TRL's GRPOTrainer."""

import argparse
from pathlib import Path
from typing import Any

from ..trainers.output_files import RECIPE, TUNED
from .train import TUNED_DESCRIPTION, checkpoint_of, push_finished, save_with_report

DESCRIPTION = TUNED_DESCRIPTION


def run(options: argparse.Namespace) -> int:
    """Trains; raises what `train.py` reports as a usage error."""
    from ..trainers.preference_recipes import GRPORecipe, open_prompts
    from ..trainers.preference_trainers import AestheticGRPOTrainer
    from ..trainers.run_facts import recipe_facts
    from ..trainers.tuning import run_tuning, start_model, start_processor

    recipe, config, values = GRPORecipe.read(options.config, options.overrides, options.smoke_test)
    checkpoint = checkpoint_of(recipe, config, options)
    processor = start_processor(recipe, config, options.smoke_test)
    data = open_prompts(recipe, processor.rating_scale, config.seed)  # before the model, which takes longer
    model = start_model(recipe, config, processor, options.smoke_test)
    rewards, config.reward_weights = recipe.reward_functions(processor.rating_scale)
    trainer: Any = AestheticGRPOTrainer(
        model,
        reward_funcs=rewards,
        args=config,
        train_dataset=data,
        processing_class=processor,
        peft_config=recipe.peft_config(),
    )
    trainer.card_facts = recipe_facts(recipe, options.smoke_test)
    output = Path(str(config.output_dir))
    run_tuning(trainer, checkpoint, values, output / RECIPE)
    save_with_report(trainer, output, {})
    push_finished(trainer, output / TUNED)
    if trainer.is_world_process_zero():
        print(output / TUNED)
    return 0
