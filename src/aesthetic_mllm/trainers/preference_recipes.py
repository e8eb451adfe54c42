"""Recipes of preference and reinforcement learning, which TRL's own trainers run on data and rewards of this package."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from datasets import Dataset, Image, List, concatenate_datasets

from ..data.catalogue import find_source
from ..data.conversations import ConversationBuilder, user_says
from ..data.preferences import pretext_preferences, read_preferences
from ..data.record import DataError
from ..data.source import as_dataset, read_source
from ..pretext.photo_pool import open_pool, photo_source
from ..pretext.phrase_bank import PhraseBank
from ..pretext.pretext_dataset import load_photo
from ..pretext.pretext_samples import PretextSampleMaker
from ..processing.image_loading import ImageError
from ..processing.rating_scale import RatingScale
from .preference_trainers import AestheticDPOConfig, AestheticGRPOConfig
from .recipe_parser import RecipeError
from .recipes import measure_pool
from .rewards import FormatReward, LengthReward, RankReward, ScoreClosenessReward
from .tuning_recipe import TuningRecipe, check_entries

logger = logging.getLogger(__name__)

SMOKE_TEST: Mapping[str, Any] = {
    "max_steps": 3,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "num_generations": 2,
    "max_completion_length": 4,
    "dataloader_num_workers": 0,
    "logging_steps": 1,
    "photos": 4,
    "statistics_photos": 4,
}


@dataclass(kw_only=True)
class DPORecipe(TuningRecipe):
    """Which answers are preferred; how it is learned, is in [`AestheticDPOConfig`].

    See [`TuningRecipe`] for further keys.

    Args:
        data: tables of preferences (.csv, .jsonl, .parquet) as of `read_preferences`, or folders of unlabelled photos, whose
            pretext samples give a true and a false answer.
        photos: how many of the unlabelled photos to use at most.
        statistics_photos: how many of them say what is dark and what bright.
    """

    CONFIG: ClassVar[type] = AestheticDPOConfig
    SMOKE_TEST: ClassVar[Mapping[str, Any]] = SMOKE_TEST

    data: list[str]
    photos: int = 2_000
    statistics_photos: int = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data:
            raise RecipeError("data: an empty list; name tables of preferences, or folders of photos.")


@dataclass(kw_only=True)
class GRPORecipe(TuningRecipe):
    """Which photos are rated and what is rewarded; how it is learned, is in [`AestheticGRPOConfig`].

    See [`TuningRecipe`] for further keys.

    Args:
        data: a list of mappings, one a data set, as of [`DataEntry`]; what is written is compared with the photos' means.
        rewards: how much each counts: "closeness", "rank", "format", "length".
        photos: how many to use at most.
    """

    CONFIG: ClassVar[type] = AestheticGRPOConfig
    SMOKE_TEST: ClassVar[Mapping[str, Any]] = SMOKE_TEST

    data: list[dict[str, Any]]
    rewards: dict[str, Any] = field(default_factory=lambda: {"closeness": 1.0, "rank": 1.0, "format": 0.2})
    photos: int = 2_000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.data = check_entries(self.data)
        for name, weight in self.rewards.items():
            if name not in REWARDS or isinstance(weight, bool) or not isinstance(weight, int | float):
                raise RecipeError(f"rewards.{name}: {weight}; give a number to each of {', '.join(REWARDS)} that is to count.")
        if not self.rewards:
            raise RecipeError(f"rewards: none; give a number to one or more of {', '.join(REWARDS)}.")

    def reward_functions(self, scale: RatingScale) -> tuple[list[Any], list[float]]:
        """The rewards that count, and how much."""
        return [REWARDS[name](scale) for name in self.rewards], [float(weight) for weight in self.rewards.values()]


REWARDS: Mapping[str, Any] = {
    "closeness": ScoreClosenessReward,
    "rank": RankReward,
    "format": FormatReward,
    "length": lambda scale: LengthReward(least=8, most=60),
}


def open_preferences(recipe: DPORecipe, seed: int) -> Dataset:
    """Pairs of all of a recipe's data, in random order.

    Raises:
        DataError, PhotoPoolError: data that are not as they must be.
    """
    tables = [name for name in recipe.data if Path(name).is_file() and not name.endswith(".tar")]
    parts = [read_preferences(name, recipe.skip_missing) for name in tables]
    pools = [name for name in recipe.data if name not in tables]
    if pools:
        pool = open_pool(pools)
        bank = PhraseBank()
        maker = PretextSampleMaker(bank, measure_pool(pool, bank, recipe.statistics_photos), seed=seed)
        rows = pool.shuffle(seed=seed).select(range(min(recipe.photos, len(pool))))
        parts.append(pretext_preferences(_readable(rows), maker, seed))
    return concatenate_datasets(parts).shuffle(seed=seed)


def open_prompts(recipe: GRPORecipe, scale: RatingScale, seed: int) -> Dataset:
    """Photos with the question for a score as text, and the columns that [`rewards`] read.

    Raises:
        DataError: data that are not as they must be, or that hold no rating.
    """
    rows: list[dict[str, Any]] = []
    builder = ConversationBuilder(scale, seed)
    for entry in recipe.data:
        source, root = find_source(entry)
        records, _ = read_source(source, root, str(entry.get("split", "train")), recipe.skip_missing)
        for row in builder.build(as_dataset(records), ["score"]):
            prompt = [user_says(scale.question(row["question"]).decimal_prompt)]
            rows.append(
                {"images": row["images"], "prompt": prompt, "question": row["question"], "mean": row["mean"], "photo": len(rows)}
            )
    if len(rows) < 2:
        raise DataError(f"{len(rows)} rated photo; scores are compared between photos, so give more.")
    dataset = Dataset.from_list(rows).shuffle(seed=seed).select(range(min(recipe.photos, len(rows))))
    return dataset.cast_column("images", List(Image()))


def _readable(rows: Any) -> Any:
    for row in rows:
        try:
            yield row["key"], load_photo(photo_source(row["image"]))
        except ImageError as error:
            logger.warning("Left out: %s", error)
