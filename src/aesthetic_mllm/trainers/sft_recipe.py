"""The recipe of instruct-tuning: which data, which tasks, which model; and the data that it comes to."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from datasets import Dataset

from ..data.catalogue import find_source
from ..data.conversations import ConversationBuilder, mixture
from ..data.leakage import UnreadablePhoto, find_leaks, without_rows
from ..data.record import DataError
from ..data.source import NAMED_OFFENDERS, as_dataset, read_source
from ..processing.rating_scale import RatingScale
from .aesthetic_sft_config import AestheticSFTConfig
from .recipe_parser import RecipeError
from .tuning_recipe import TuningRecipe, check_entries

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class SFTRecipe(TuningRecipe):
    """What is learned from; how, is in [`AestheticSFTConfig`].

    See [`TuningRecipe`] for further keys.

    Args:
        data: a list of mappings, one a data set, as of [`DataEntry`].
        vision, text: instead of `model`: a vision tower and a language model to join by a new alignment module.
        llava: instead: a LLaVA checkpoint to grow.
        check_leaks: compare all training photos with all validation and test photos, and leave out those that are the same.
        evaluation_photos: of each data set's validation and test split, at most.
        load_in_4bit: QLoRA: hold the language model in 4 bits (needs a GPU and bitsandbytes).
        early_stopping: stop after so many evaluations without a better SRCC; needs `load_best_model_at_end`. 0: never.

    Raises:
        RecipeError: keys that exclude each other, an entry of `data` with a wrong key, or a number out of its range.
    """

    CONFIG: ClassVar[type] = AestheticSFTConfig
    SMOKE_TEST: ClassVar[Mapping[str, Any]] = {
        "max_steps": 3,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "dataloader_num_workers": 0,
        "logging_steps": 1,
        "evaluation_photos": 4,
        "load_in_4bit": False,
    }

    data: list[dict[str, Any]]
    vision: str | None = None
    text: str | None = None
    llava: str | None = None
    check_leaks: bool = True
    evaluation_photos: int = 1_000
    lora_r: int = 0
    load_in_4bit: bool = False
    early_stopping: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [key for key in ("model", "vision", "llava") if getattr(self, key)]
        if len(given) > 1:
            raise RecipeError(f"{given[1]}: cannot be given together with {given[0]}; take out the one or the other.")
        if bool(self.vision) != bool(self.text):
            raise RecipeError("vision, text: need each other, a tower and a language model to join.")
        self.data = check_entries(self.data)
        if self.evaluation_photos < 2:
            raise RecipeError(f"evaluation_photos: {self.evaluation_photos}; a correlation needs 2 or more.")
        if self.load_in_4bit and not self.lora_r:
            raise RecipeError("load_in_4bit: true without lora_r; weights in 4 bits cannot be trained, give adapters a rank.")

    def check_with(self, config: AestheticSFTConfig) -> None:
        if self.early_stopping and not config.load_best_model_at_end:
            raise RecipeError(f"early_stopping: {self.early_stopping} needs load_best_model_at_end: true, and an eval_strategy.")


@dataclass
class SFTData:
    """What a recipe's data come to.

    Args:
        train: rows of all data sets, mixed.
        validation, test: rated rows by data set, to evaluate on.
        notes: what a user should know: how many rows, what was left out; one line each.
    """

    train: Dataset
    validation: dict[str, Dataset]
    test: dict[str, Dataset]
    notes: list[str] = field(default_factory=list)


def open_sft_data(recipe: SFTRecipe, scale: RatingScale, seed: int) -> SFTData:
    """Reads, checks and mixes a recipe's data; no model is needed.

    Raises:
        DataError: a data set is not as it must be, teaches none of its tasks, or asks what the checkpoint does not answer.
    """
    records: list[dict[str, Dataset]] = []
    notes, names = [], []
    for entry in recipe.data:
        source, root = find_source(entry)
        wanted = entry.get("split", "train")
        parts = {}
        for split in dict.fromkeys((wanted, *(split for split in ("validation", "test") if split in source.splits))):
            try:
                found, report = read_source(source, root, split, recipe.skip_missing)
            except DataError as error:
                if split == wanted:
                    raise
                # a data set may come without its validation or test photos, but not unsaid: they are not compared with either
                notes.append(f"{source.name}: not evaluated on its {split} photos ({error})")
                logger.warning("%s", notes[-1])
                continue
            if report.missing_images or report.faulty:
                notes.append(f"{source.name}, {split}: {report.summary()}")
            parts["train" if split == wanted else split] = as_dataset(found)
        records.append(parts)
        names.append(_unused(source.name, names))
    if recipe.check_leaks:
        notes += _close_leaks(records, names, recipe.skip_missing)
    builder = ConversationBuilder(scale, seed)
    rows = [
        builder.build(parts["train"], entry.get("tasks", ["score"])) for parts, entry in zip(records, recipe.data, strict=True)
    ]
    notes += [
        f"{name}: {len(part)} rows from {len(of['train'])} records" for name, part, of in zip(names, rows, records, strict=True)
    ]
    notes += _dropped(builder.dropped)
    held_out: dict[str, dict[str, Dataset]] = {"validation": {}, "test": {}}
    for name, parts in zip(names, records, strict=True):
        for split, chosen in held_out.items():
            part = parts.get(split)
            rated = part.filter(lambda mean: mean is not None, input_columns="mean") if part is not None else []
            if len(rated):
                few = rated.shuffle(seed=seed).select(range(min(len(rated), recipe.evaluation_photos)))
                chosen[name] = builder.build(few, ["score"])
    weights = [float(entry.get("weight", 1)) for entry in recipe.data]
    return SFTData(mixture(rows, weights, seed), held_out["validation"], held_out["test"], notes)


def check_evaluation(data: SFTData, config: AestheticSFTConfig) -> None:
    """Raises [`RecipeError`] where steps are to be compared on validation photos and there are none."""
    if config.eval_strategy != "no" and not data.validation:
        raise RecipeError(
            "eval_strategy: steps are to be compared, but the data have no rated validation photos. Mark some rows with split "
            "validation (without a column split a tenth is chosen, of few photos perhaps none), or train without: "
            "eval_strategy=no load_best_model_at_end=false early_stopping=0."
        )


def _close_leaks(records: list[dict[str, Dataset]], names: Sequence[str], skip_missing: bool) -> list[str]:
    """Takes training photos that are evaluated on out of the training sets, and photos that cannot be read, if that is wanted.

    Raises:
        DataError: photos cannot be read and are not to be left out.
    """
    tested = [part for parts in records for split, part in parts.items() if split != "train"]
    unreadable: list[UnreadablePhoto] = []
    leaks_of = find_leaks((parts["train"] for parts in records), tested, unreadable=unreadable)
    notes = []
    if unreadable:
        shown = ", ".join(str(photo.error) for photo in unreadable[:NAMED_OFFENDERS])
        count = "1 photo cannot" if len(unreadable) == 1 else f"{len(unreadable)} photos cannot"
        if not skip_missing:
            raise DataError(f"{count} be read: {shown} Mend them, or leave them out with --skip-missing.")
        notes.append(f"{count} be read, left out: {shown}")
        logger.warning("%s", notes[-1])
    for parts, name, leaks in zip(records, names, leaks_of, strict=True):
        if leaks:
            shown = ", ".join(f"{leak.train} is {leak.test}" for leak in leaks[:NAMED_OFFENDERS])
            count = "1 training photo" if len(leaks) == 1 else f"{len(leaks)} training photos"
            notes.append(f"{name}: {count} left out, because also evaluated on: {shown}")
            logger.warning("%s", notes[-1])
        for split, part in parts.items():
            faulty = {photo.row for photo in unreadable if photo.dataset is part}
            parts[split] = without_rows(part, faulty | {leak.row for leak in leaks if split == "train"})
    return notes


def _dropped(counts: Counter[str]) -> list[str]:
    parts = ", ".join(f"{reason}: {count}" for reason, count in counts.most_common())
    return [f"comments left out, {parts}"] if parts else []


def _unused(name: str, names: Sequence[str]) -> str:
    """The name, with a number where a data set is named twice."""
    same = sum(other == name or other.startswith(f"{name}-") for other in names)
    return f"{name}-{same + 1}" if same else name
