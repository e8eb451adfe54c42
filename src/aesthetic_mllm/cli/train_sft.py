"""`aesthetic-mllm train sft`: ratings and words about photos to a tuned checkpoint and a report."""

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..trainers.output_files import ADAPTER, RECIPE, REPORT, TUNED
from .train import checkpoint_of, push_finished, save_with_report

logger = logging.getLogger(__name__)

DESCRIPTION = (
    f"The finished checkpoint is output_dir/{TUNED}; with LoRA the adapters alone are output_dir/{ADAPTER}. Beside them are "
    f"{RECIPE}, the recipe with all overrides, and {REPORT}: what was read, losses and validation figures, and how held-out "
    "photos are rated before and after, and how many of them the start had been trained on."
)


def run(options: argparse.Namespace) -> int:
    """Trains; raises what `train.py` reports as a usage error."""
    from ..data.seen_photos import seen_by_start
    from ..publishing.adapter_results import take_over_results
    from ..trainers.aesthetic_sft_trainer import AestheticSFTTrainer
    from ..trainers.run_facts import recipe_facts
    from ..trainers.sft_recipe import SFTRecipe, check_evaluation, open_sft_data
    from ..trainers.tuning import run_tuning, start_model, start_processor

    recipe, config, values = SFTRecipe.read(options.config, options.overrides, options.smoke_test)
    checkpoint = checkpoint_of(recipe, config, options)
    processor = start_processor(recipe, config, options.smoke_test)
    data = open_sft_data(recipe, processor.rating_scale, config.seed)  # before the model, which takes longer
    for line in data.notes:
        logger.info("%s", line)
    check_evaluation(data, config)
    model = start_model(recipe, config, processor, options.smoke_test)

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
    trainer.card_facts = recipe_facts(recipe, options.smoke_test)
    output = Path(str(config.output_dir))
    held_out = data.test or data.validation
    report: dict[str, Any] = {
        "start": "a tiny random model (--smoke-test)" if options.smoke_test else _start(recipe),
        "data": data.notes,
        "rows": {
            "train": len(data.train),
            "validation": {name: len(rows) for name, rows in data.validation.items()},
            "test": {name: len(rows) for name, rows in data.test.items()},
        },
        "evaluated_on": "test" if data.test else "validation" if data.validation else None,
        "seen_by_start": seen_by_start(
            None if options.smoke_test else recipe.model, "test" if data.test else "validation", held_out
        ),
        "before": _rated(trainer, held_out, "before training"),
    }
    run_tuning(trainer, checkpoint, values, output / RECIPE)
    report |= {"after": _rated(trainer, held_out, "after training")} | _course(trainer, checkpoint)
    save_with_report(trainer, output, report, adapter=bool(recipe.lora_r))
    _write_results(trainer, output, report, held_out)
    if recipe.lora_r and trainer.is_world_process_zero():
        take_over_results(output / TUNED, output / ADAPTER)
    push_finished(trainer, output / TUNED)
    if trainer.is_world_process_zero():
        _tell(report, output, options.smoke_test)
    return 0


def _start(recipe: Any) -> str:
    """What was tuned, as the recipe names it."""
    from ..checkpoints import embedded_checkpoint

    if recipe.model == str(embedded_checkpoint()):
        return "the embedded checkpoint"
    return ", ".join(str(name) for name in (recipe.model, recipe.vision, recipe.text, recipe.llava) if name)


def _rated(trainer: Any, sets: Any, when: str) -> dict[str, Any]:
    """For each set the number of photos, SRCC and PLCC with intervals; it takes a while, so it says what it does."""
    from ..trainers.rating_metrics import correlation_report

    if trainer.is_world_process_zero() and sets:
        print(f"rating {sum(map(len, sets.values())):,} held-out photos {when}", file=sys.stderr)
    return {name: correlation_report(*ratings) for name, ratings in trainer.rate(sets).items()}


def _write_results(trainer: Any, output: Path, report: dict[str, Any], held_out: Any) -> None:
    """The ratings of held-out photos before and after, in the checkpoint's card."""
    from ..trainers.run_facts import licences_of, questions_of, run_report

    if not trainer.is_world_process_zero():
        return
    chosen_on = report["kept_step"] != report["steps"] or trainer.args.load_best_model_at_end
    if chosen_on and report["evaluated_on"] == "validation":
        limit = (
            "The step that was kept was chosen on the validation photos that the results are of, so these are a little too good."
        )
        trainer.card_facts = replace(trainer.card_facts, limits=(*trainer.card_facts.limits, limit))
    name = output.resolve().name
    results = run_report(name, output / TUNED, report, questions_of(held_out), licences_of(list(held_out)))
    trainer.create_model_card(folder=output / TUNED, report=results)


def _course(trainer: Any, checkpoint: str | None) -> dict[str, Any]:
    """Losses and validation figures by step, and which step was kept."""
    history = trainer.state.log_history
    best = trainer.state.best_global_step if trainer.args.load_best_model_at_end else None
    return {
        "steps": trainer.state.global_step,
        "resumed_from": checkpoint,
        "kept_step": best or trainer.state.global_step,
        "losses": [log for log in history if "loss" in log],
        "validation": [log for log in history if "eval_srcc" in log],
    }


def _tell(report: dict[str, Any], output: Path, smoke_test: bool) -> None:
    for name, after in report["after"].items():
        before = report["before"][name]
        photos = f"{after['n']} {report['evaluated_on']} photo{'s' * (after['n'] != 1)}"
        print(f"{name}: SRCC {_figure(before)} before, {_figure(after)} after, on {photos}")
    if smoke_test:
        print("The smoke test passed. Its model is tiny and random, so figures and checkpoint are worth nothing.")
    print(output / TUNED)


def _figure(found: dict[str, Any]) -> str:
    if found["srcc"] is None:
        return "not defined"
    interval = found["srcc_interval"]
    return f"{found['srcc']:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")
