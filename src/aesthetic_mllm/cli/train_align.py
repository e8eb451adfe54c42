"""`aesthetic-mllm train align`: unlabelled photos to an aligned checkpoint."""

import argparse
import logging
from pathlib import Path

from ..trainers.output_files import ALIGNED
from .train import RECIPE, checkpoint_of, push_finished

logger = logging.getLogger(__name__)

STATISTICS, UNREADABLE = "statistics.json", "unreadable.txt"
DESCRIPTION = (
    f"The finished checkpoint is output_dir/{ALIGNED}. Beside it are written {RECIPE}, the recipe with all overrides, "
    f"{STATISTICS}, the pool's cut points, and {UNREADABLE}, the photos that could not be read."
)


def run(options: argparse.Namespace) -> int:
    """Trains; raises what `train.py` reports as a usage error."""
    from transformers.trainer_utils import set_seed

    from ..trainers import recipes
    from ..trainers.aesthetic_alignment_trainer import AestheticAlignmentTrainer
    from ..trainers.recipe_parser import save_recipe
    from ..trainers.run_facts import recipe_facts
    from ..trainers.tiny import tiny_model

    recipe, config, values = recipes.AlignmentRecipe.read(options.config, options.overrides, options.smoke_test)
    checkpoint = checkpoint_of(recipe, config, options)
    pretext_samples = recipes.open_pretext_samples(recipe, config)
    set_seed(config.seed)  # a new alignment module is random
    model, processor = tiny_model(config.seed) if options.smoke_test else recipes.load_model(recipe)
    pretext_samples = recipes.cache_pretext_samples(recipe, config, pretext_samples, model, processor)

    set_seed(config.seed)  # so are the heads, which are lost with the trainer
    trainer = AestheticAlignmentTrainer(
        model,
        config,
        processing_class=processor,
        train_dataset=pretext_samples.dataset,
        bank=pretext_samples.bank,
        contents=pretext_samples.contents,
    )
    trainer.card_facts = recipe_facts(recipe, options.smoke_test)
    output = Path(str(config.output_dir))
    if trainer.is_world_process_zero():
        output.mkdir(parents=True, exist_ok=True)
        save_recipe(output / RECIPE, values)
        pretext_samples.statistics.save(output / STATISTICS)
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()
    trainer.save_finished(output / ALIGNED)
    if trainer.is_world_process_zero():
        _report(sorted(trainer.unreadable | pretext_samples.unreadable), output)
    push_finished(trainer, output / ALIGNED)
    return 0


def _report(unreadable: list[str], output: Path) -> None:
    (output / UNREADABLE).write_text("".join(f"{key}\n" for key in unreadable), encoding="utf-8")
    if unreadable:
        photos = "1 photo" if len(unreadable) == 1 else f"{len(unreadable)} photos"
        logger.warning("%s could not be read, see %s: %s", photos, output / UNREADABLE, ", ".join(unreadable))
    print(f"{output / ALIGNED}")
