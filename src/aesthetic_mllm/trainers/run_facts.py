"""What a training run knows for its checkpoint's card: start, data and their terms, settings, and results before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import accelerate
import peft
import trl
from huggingface_hub import ModelCard

from ..checkpoints import embedded_checkpoint
from ..checkpoints.names import weights_digest
from ..data.catalogue import OWN, PUBLIC, get_source
from ..modeling.checkpoint_documents import CARD, CARD_FACTS
from ..publishing.card import EMBEDDED
from ..publishing.card_facts import CardFacts, TrainingSource
from ..publishing.report import DataSummary, Measure, Report, Result
from ..publishing.surroundings import describe_machine, describe_versions

BEFORE = "before training"  # the start checkpoint as a baseline
# Settings that a card names where a run has them and they are not off or 0.
SETTINGS = (
    "per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate", "alignment_learning_rate", "lr_scheduler_type",
    "warmup_steps", "weight_decay", "optim", "bf16", "fp16", "seed", "level_loss_weight", "label_type", "rank_loss_weight",
    "text_loss_weight", "freeze_vision_tower", "freeze_alignment", "beta", "loss_type", "reward_weights", "num_generations",
)  # fmt: skip


def recipe_facts(recipe: Any, smoke_test: bool = False) -> CardFacts:
    """What a recipe says: what the run starts from, and what it learns from under which terms.

    Folders are called by their names alone; where they lie on this machine is nobody's business.
    """
    names = [getattr(recipe, key, None) for key in ("model", "vision", "text", "llava")]
    given = [str(name) for name in names if name]
    limits: tuple[str, ...] = ()
    if smoke_test:
        limits = ("This is a smoke test: the model is tiny and random, and its ratings are worth nothing.",)
        given = []
    return CardFacts(
        start=_public_name(given[0]) if given and getattr(recipe, "model", None) else "",
        base_models=tuple(name for name in given if _on_hub(name)),
        base_model_relation="finetune",
        training_data=tuple(_source(entry) for entry in getattr(recipe, "data", None) or ()),
        limits=limits,
    )


def run_facts(trainer: Any, known: CardFacts) -> CardFacts:
    """What is known, with start, licence, settings, versions and machine of the run."""
    model = trainer.model if hasattr(trainer.model, "name_or_path") else trainer.model.model  # the alignment's trainer wraps it
    start = str(getattr(model, "name_or_path", "") or "")
    state, args = trainer.state, trainer.args
    settings: dict[str, str] = {"trainer": type(trainer).__name__}
    if state.global_step:
        settings["steps"] = f"{state.global_step:,}" + (f" ({state.epoch:.2f} epochs)" if state.epoch else "")
    if state.best_global_step and args.load_best_model_at_end:
        settings["step that was kept"] = f"{state.best_global_step:,}"
    if args.world_size > 1:
        settings["processes"] = str(args.world_size)
    for name in SETTINGS:
        value = getattr(args, name, None)
        if value or name == "seed":
            settings[name] = str(getattr(value, "value", value))
    lora = getattr(trainer.model, "peft_config", {}).get("default")
    if lora is not None:
        settings["LoRA"] = f"rank {lora.r}, alpha {lora.lora_alpha}, dropout {lora.lora_dropout}"
    losses = [log["loss"] for log in state.log_history if "loss" in log]
    if losses:
        settings["logged loss, first and last"] = f"{losses[0]:.3f}, {losses[-1]:.3f}"
    versions = describe_versions() | {"trl": trl.__version__, "peft": peft.__version__, "accelerate": accelerate.__version__}
    settings["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    settings["machine"] = describe_machine()
    return replace(
        known,
        start=known.start or (_public_name(start) if start else ""),
        base_models=known.base_models or ((start,) if _on_hub(start) else ()),
        base_model_relation=known.base_model_relation or "finetune",
        licence=known.licence or licence_of(getattr(model, "documents", {})),
        settings={**settings, **known.settings},
    )


def run_report(
    name: str, folder: Path, told: Mapping[str, Any], questions: Mapping[str, str], licences: Mapping[str, str] | None = None
) -> Report | None:
    """The ratings of held-out photos before and after as a report like that of an evaluation; `None` where nothing was rated.

    Args:
        name: of the checkpoint.
        folder: that it was saved in.
        told: `train sft`'s own report: "evaluated_on", "before" and "after" by data set, "seen_by_start".
        questions: that were asked, by data set.
        licences: terms of the data sets.
    """
    results = []
    for data, question in questions.items():
        for system, found in ((name, told["after"]), (BEFORE, told["before"])):
            figures = found[data]
            measures = {
                key: Measure(figures[key], tuple(figures[f"{key}_interval"]) if figures[f"{key}_interval"] else None)
                for key in ("srcc", "plcc")
                if figures[key] is not None
            }
            if measures:
                results.append(Result("ratings", data, question, "all", system, figures["n"], "photos", measures))
    if not results:
        return None
    summaries = {
        data: DataSummary(
            told["evaluated_on"],
            told["after"][data]["n"],
            {},
            told["seen_by_start"].get(data, {}).get("seen"),
            (licences or {}).get(data, ""),
        )
        for data in questions
    }
    return Report(
        checkpoint={"name": name, "digest": weights_digest(folder) or "", "questions": sorted(set(questions.values()))},
        versions=describe_versions(),
        machine=describe_machine(),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds={},
        data=summaries,
        results=tuple(results),
    )


def questions_of(sets: Mapping[str, Any]) -> dict[str, str]:
    """What is asked in each evaluation set; several questions are joined by commas."""
    return {name: ", ".join(dict.fromkeys(filter(None, rows["question"]))) for name, rows in sets.items()}


def licences_of(names: Sequence[str]) -> dict[str, str]:
    """Terms of the public data sets among some names, which may end in a number where one is named twice."""
    return {name: get_source(name.partition("-")[0]).licence for name in names if name.partition("-")[0] in PUBLIC}


def _source(entry: Any) -> TrainingSource:
    """An entry of a recipe's `data`."""
    if not isinstance(entry, Mapping):
        return TrainingSource(f"own files, {Path(str(entry)).name}", "", "not stated")
    name, tasks = str(entry["source"]), ", ".join(entry.get("tasks") or ["score"])
    if name == OWN:
        return TrainingSource(f"own table, {Path(str(entry['root'])).name}", tasks, "not stated")
    source = get_source(name)
    return TrainingSource(f"{name}, split {entry.get('split', 'train')} ({source.url})", tasks, source.licence)


def _public_name(start: str) -> str:
    """A start checkpoint as a card names it."""
    if Path(start).exists():
        return EMBEDDED if Path(start).resolve() == embedded_checkpoint().resolve() else Path(start).name
    return start


def _on_hub(name: str) -> bool:
    return name.count("/") == 1 and not Path(name).exists()


def licence_of(documents: Mapping[str, bytes]) -> str:
    """The licence that a checkpoint's documents name, as the Hub calls it; empty where they name none.

    Args:
        documents: of the checkpoint that was loaded ([`CarriesDocuments`]).
    """
    if CARD_FACTS in documents:
        return CardFacts.parse(documents[CARD_FACTS].decode(), CARD_FACTS).licence
    if CARD in documents:
        return str(ModelCard(documents[CARD].decode()).data.get("license") or "")
    return ""
