"""`aesthetic-mllm train`: a recipe to a trained checkpoint."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

ALIGNED = "aligned"  # folder of the finished checkpoint below output_dir
RECIPE, STATISTICS, UNREADABLE = "recipe.yaml", "statistics.json", "unreadable.txt"


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser("train", help="train on photos", description="Trains as a recipe says.")
    recipes = parser.add_subparsers(dest="recipe", required=True, metavar="RECIPE")
    _add_recipe_parser(
        recipes,
        "align",
        run_align,
        "teach the alignment module from unlabelled photos",
        f"The finished checkpoint is output_dir/{ALIGNED}. Beside it are written {RECIPE}, the recipe with all overrides, "
        f"{STATISTICS}, the pool's cut points, and {UNREADABLE}, the photos that could not be read.",
    )


def _add_recipe_parser(recipes: Any, name: str, run: Callable[[argparse.Namespace], int], short: str, description: str) -> None:
    """What all kinds of training have in common."""
    parser = recipes.add_parser(name, help=short, description=f"{short[0].upper()}{short[1:]}. {description}")
    parser.add_argument("--config", required=True, metavar="RECIPE.YAML", help="the recipe, one flat YAML file")
    parser.add_argument("--tiny", action="store_true", help="try the recipe: three steps of a tiny random model")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in output_dir")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="any key of the recipe, its value as in YAML: data=[a,b] bf16=true"
    )
    parser.set_defaults(run=run)


def run_align(options: argparse.Namespace) -> int:
    """Trains; returns 0, 2 where recipe, data or model are wrong, or 130 where interrupted."""
    try:
        return _align(options)
    except _UsageError as error:
        print(f"aesthetic-mllm train align: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


class _UsageError(Exception):
    """A recipe, data or a model that nothing can be trained with."""


def _align(options: argparse.Namespace) -> int:
    try:
        from transformers.trainer_utils import set_seed

        from ..pretext.photo_pool import PhotoPoolError
        from ..pretext.phrase_bank import PhraseBankError
        from ..pretext.teachers import TeacherError
        from ..trainers import recipes
        from ..trainers.alignment_trainer import AlignmentTrainer
        from ..trainers.tiny import tiny_model
    except ModuleNotFoundError as error:
        raise _UsageError(f"{error.name} is not installed; training needs pip install 'aesthetic-mllm[train]'.") from error

    overrides = [*options.overrides, *(["resume=true"] if options.resume else [])]
    try:
        values = recipes.recipe_values(options.config, overrides, tiny=options.tiny)
        recipe, config = recipes.build_recipe(values)
        checkpoint = recipes.checkpoint_to_resume(recipe, config)
        lessons = recipes.open_lessons(recipe, config)
        set_seed(config.seed)  # a new alignment module is random
        model, processor = tiny_model(config.seed) if options.tiny else recipes.load_model(recipe)
        lessons = recipes.see_lessons(recipe, config, lessons, model, processor)
    except (recipes.RecipeError, PhotoPoolError, PhraseBankError, TeacherError) as error:
        raise _UsageError(error) from error

    set_seed(config.seed)  # so are the heads, which are lost with the trainer
    trainer = AlignmentTrainer(
        model,
        config,
        processing_class=processor,
        train_dataset=lessons.dataset,
        bank=lessons.bank,
        contents=lessons.contents,
    )
    output = Path(str(config.output_dir))
    if trainer.is_world_process_zero():
        output.mkdir(parents=True, exist_ok=True)
        recipes.save_recipe(output / RECIPE, values)
        lessons.statistics.save(output / STATISTICS)
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()
    trainer.save_aligned(output / ALIGNED)
    if trainer.is_world_process_zero():
        _report(sorted(trainer.unreadable | lessons.unreadable), output)
    return 0


def _report(unreadable: list[str], output: Path) -> None:
    (output / UNREADABLE).write_text("".join(f"{key}\n" for key in unreadable), encoding="utf-8")
    if unreadable:
        logger.warning("%d photos could not be read, see %s: %s", len(unreadable), output / UNREADABLE, ", ".join(unreadable))
    print(f"{output / ALIGNED}")
