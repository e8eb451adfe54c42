"""`aesthetic-mllm train`: a recipe to a trained checkpoint."""

import argparse
import gc
import os
import shlex
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from ..trainers.output_files import ADAPTER, RECIPE, REPORT, TUNED
from .usage import UsageError, check_train_extra

# Below output_dir: the recipe with all overrides, the checkpoint with merged adapters, and what is told of the run.
TUNED_DESCRIPTION = (
    f"The finished checkpoint, adapters merged, is output_dir/{TUNED}. Beside it are {RECIPE}, the recipe with all overrides, "
    f"and {REPORT}: which photos its percentiles refer to."
)
# What can be trained, and in a few words how.
KINDS = {
    "align": "teach the alignment module from unlabelled photos",
    "sft": "instruct-tune on ratings, comments and comparisons",
    "dpo": "prefer better comments to worse ones",
    "grpo": "reinforce answers that agree with people's ratings",
}


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser("train", help="train on photos", description="Trains as a recipe says.")
    recipes = parser.add_subparsers(dest="recipe", required=True, metavar="RECIPE")
    for kind, short in KINDS.items():
        _add_recipe_parser(recipes, kind, short)


def _add_recipe_parser(recipes: Any, kind: str, short: str) -> None:
    """What all kinds of training have in common."""
    module = import_module(f".train_{kind}", __package__)  # light; it imports torch when it runs
    description = f"{short[0].upper()}{short[1:]}. {module.DESCRIPTION}"
    parser = recipes.add_parser(kind, help=short, description=description)
    parser.add_argument("--config", required=True, metavar="RECIPE.YAML", help="the recipe, one flat YAML file")
    parser.add_argument("--smoke-test", action="store_true", help="try recipe and data: three steps of a tiny random model")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in output_dir")
    if kind != "align":  # which passes over what it cannot read, and tells
        parser.add_argument("--skip-missing", action="store_true", help="leave out missing images and wrong values, and tell")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="any key of the recipe, its value as in YAML: data=[a,b] bf16=true"
    )
    parser.set_defaults(run=lambda options: run_recipe(kind, module.run, options), parser=parser)


def run_recipe(kind: str, train: Any, options: argparse.Namespace) -> int:
    """Trains; returns 0, 2 where recipe, data or model are wrong, 1 where the Hub is not reached, or 130 where interrupted."""
    for flag in ("resume", "skip_missing"):
        if getattr(options, flag, False):
            options.overrides.append(f"{flag}=true")
    try:
        try:
            check_train_extra()
        except UsageError as error:
            print(f"aesthetic-mllm train {kind}: {error}", file=sys.stderr)
            return 2
        from PIL import UnidentifiedImageError

        from ..data.record import DataError
        from ..pretext.photo_pool import PhotoPoolError
        from ..pretext.phrase_bank import PhraseBankError
        from ..pretext.teachers import TeacherError
        from ..processing.image_errors import ImageError
        from ..publishing.hub import PushError
        from ..trainers.recipe_parser import RecipeError

        # PEFT and TRL ask for a switch by its old name; the user cannot mend that
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing. is deprecated", category=FutureWarning)
        try:
            return int(train(options))
        except PushError as error:
            print(f"aesthetic-mllm train {kind}: {error}", file=sys.stderr)
            return 1 if error.again else 2
        except (RecipeError, DataError, PhotoPoolError, PhraseBankError, TeacherError) as error:
            print(f"aesthetic-mllm train {kind}: {error}", file=sys.stderr)
            return 2
        except (ImageError, UnidentifiedImageError) as error:
            # found when the photo is needed: of a table only the names are checked before
            told = str(error).rstrip(".")
            print(f"aesthetic-mllm train {kind}: {told}. Mend the photo, or take its row out.", file=sys.stderr)
            return 2
    except KeyboardInterrupt:
        _tell_how_to_go_on(kind, options)
        return 130
    finally:
        _leave_process_group()


def checkpoint_of(recipe: Any, config: Any, options: argparse.Namespace) -> str | None:
    """The checkpoint of an earlier run that this one goes on from, which is told; `None` for a new run.

    Raises:
        RecipeError: there is none although the recipe says to go on.
    """
    from ..trainers.recipes import checkpoint_to_resume

    options.output_dir = config.output_dir  # where an interrupted run has its checkpoints
    checkpoint = checkpoint_to_resume(recipe, config)
    if checkpoint:
        print(f"Going on from step {checkpoint.rpartition('-')[2]} ({checkpoint}).", file=sys.stderr)
    return checkpoint


def save_with_report(trainer: Any, output: Path, report: dict[str, Any], adapter: bool = False) -> None:
    """The finished checkpoint below a run's folder, and the report with what was measured again for it, which is told.

    Args:
        adapter: whether adapters are written alone, too.
    """
    from ..trainers.tuning import save_tuned, write_report

    if trainer.is_world_process_zero():
        print("measuring percentiles on photos of this run, and saving", file=sys.stderr)
    alone = {"adapter": output / ADAPTER} if adapter else {}
    report["references"] = references = save_tuned(trainer, output / TUNED, **alone)
    write_report(trainer, report, output / REPORT)
    if references["percentiles"] and trainer.is_world_process_zero():
        print(f"Percentiles refer to {references['photos']} photos of this run.", file=sys.stderr)


def push_finished(trainer: Any, folder: Path) -> None:
    """Sends a finished checkpoint to the Hub, where the recipe has `push_to_hub`.

    Raises:
        PushError: it could not be sent; the message says where it is saved.
    """
    if not trainer.args.push_to_hub or not trainer.is_world_process_zero():
        return
    from ..publishing.hub import PushError

    try:
        print(trainer.send_finished(folder).url, file=sys.stderr)
    except PushError as error:
        again = f"aesthetic-mllm push {folder} {trainer.hub_model_id}"
        raise PushError(f"{error} The checkpoint is saved; send it later: {again}", error.again) from error


def _tell_how_to_go_on(kind: str, options: argparse.Namespace) -> None:
    """After Ctrl-C: whether there is a checkpoint, and the command that goes on from it."""
    output = getattr(options, "output_dir", None)
    if output is None or os.environ.get("RANK", "0") != "0":
        return
    steps = [int(folder.name.rpartition("-")[2]) for folder in Path(output).glob("checkpoint-*")]
    if not steps:
        print(f"Interrupted. {output} holds no checkpoint yet, so the same command starts anew.", file=sys.stderr)
        return
    # what --resume and --skip-missing add to the overrides is told as flags
    overrides = [text for text in options.overrides if text not in ("resume=true", "skip_missing=true")]
    flags = ["--smoke-test"] * options.smoke_test + ["--skip-missing"] * getattr(options, "skip_missing", False)
    command = ["aesthetic-mllm", "train", kind, "--config", options.config, *overrides, *flags, "--resume"]
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        told = "the same command with --resume"
    else:
        told = shlex.join(command)
    print(f"Interrupted. The last checkpoint is that of step {max(steps)}; go on from it with:\n{told}", file=sys.stderr)


def _leave_process_group() -> None:
    """Of several processes; its threads would outlive the interpreter, which now and then aborts a run that has succeeded.

    What is garbage goes first: a trainer, which holds the group, is part of cycles.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        gc.collect()
        distributed.destroy_process_group()
