"""The recipe of alignment: which photos, which model; and the pretext samples that they come to."""

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
import yaml
from huggingface_hub.utils import HFValidationError, validate_repo_id
from transformers import BitsAndBytesConfig, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import is_bitsandbytes_available

from ..editing.measurements.pool_statistics import PoolStatistics
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..pretext.photo_pool import PhotoPoolError, open_pool, photo_source
from ..pretext.phrase_bank import DEFAULT_BANK, PhraseBank
from ..pretext.pretext_dataset import PretextDataset, PretextStream, load_photo, read_image_text_pairs
from ..pretext.pretext_samples import LEVELS, PretextSampleMaker
from ..pretext.target_text_rewriting import TargetTextRewriter, TargetTextRewritingError
from ..pretext.teachers import load_contents
from ..processing.image_loading import ImageError
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from .aesthetic_alignment_config import AestheticAlignmentConfig
from .pretext_cache import PretextCache, PretextCacheError
from .recipe_parser import Recipe, RecipeError

logger = logging.getLogger(__name__)


@dataclass
class AlignmentRecipe(Recipe):
    """What the alignment module is taught from; how, is in [`AestheticAlignmentConfig`], whose `seed` draws the pretext samples
    too.

    Args:
        data: folders of photos, parquet files or webdataset shards, as of `open_pool`.
        model: folder or Hub id of a checkpoint whose alignment module is to learn.
        vision, text: instead of `model`: a vision tower and a language model to join by a new alignment module.
        exclude: text file with a photo's name a line, with or without folders, of photos that must never be used.
        statistics: JSON file as of `PoolStatistics.save`; default measured on photos of the pool.
        statistics_photos: how many then, at least 1.
        contents: JSON file as of `save_contents`, what a teacher saw in each photo; default no such pretext samples.
        pairs, pairs_images: image-text pairs in the layout of LLaVA-558K, and the folder of their images.
        levels: of the pretext samples, in turn; one that is named twice comes twice as often.
        bank: YAML file of a phrase bank; default the package's own.
        reworded: cache of a [`TargetTextRewriter`], such as `examples/reword_target_texts.py` fills; default the bank's own
            wordings.
        feature_cache: folder for what the frozen tower sees in the pretext samples' photos, filled before training; then every
            epoch goes through the same pretext samples, worded anew, and costs neither photos nor tower. Default: other pretext
            samples in every epoch.
        cached_epochs: how many epochs of different pretext samples it holds, at least 1; one training epoch goes through them
            all.
        resume: go on from the last checkpoint in `output_dir`.

    Raises:
        RecipeError: keys that exclude or need each other, or a number out of its range.
    """

    CONFIG: ClassVar[type] = AestheticAlignmentConfig
    SMOKE_TEST: ClassVar[Mapping[str, Any]] = {
        "max_steps": 3,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "dataloader_num_workers": 0,
        "dataloader_prefetch_factor": None,
        "dataloader_persistent_workers": False,
        "logging_steps": 1,
        "statistics_photos": 8,
        "feature_cache": None,  # what a tiny tower sees is not to be mixed with the real one's
    }

    data: list[str]
    model: str | None = None
    vision: str | None = None
    text: str | None = None
    exclude: str | None = None
    statistics: str | None = None
    statistics_photos: int = 300
    contents: str | None = None
    pairs: str | None = None
    pairs_images: str | None = None
    levels: list[str] = field(default_factory=lambda: list(LEVELS))
    bank: str | None = None
    reworded: str | None = None
    feature_cache: str | None = None
    cached_epochs: int = 1
    resume: bool = False

    def __post_init__(self) -> None:
        if not self.data:
            raise RecipeError("data: an empty list; name folders of photos, parquet files or shards (.tar).")
        if self.statistics_photos < 1:
            raise RecipeError(f"statistics_photos: {self.statistics_photos}; give 1 or more, a few hundred are enough.")
        unknown = [level for level in self.levels if level not in LEVELS]
        if unknown or not self.levels:
            raise RecipeError(f"levels: {', '.join(unknown) or 'an empty list'}; the levels are {', '.join(LEVELS)}.")
        if self.cached_epochs < 1:
            raise RecipeError(f"cached_epochs: {self.cached_epochs}; give 1 or more.")
        if self.model and (self.vision or self.text):
            raise RecipeError("model: cannot be given together with vision and text; take out the one or the other.")
        if not self.model and not (self.vision and self.text):
            raise RecipeError(
                "model: missing; name a checkpoint, or name both vision and text to join a tower and a language model."
            )
        if bool(self.pairs) != bool(self.pairs_images):
            missing = "pairs_images" if self.pairs else "pairs"
            raise RecipeError(f"{missing}: missing; pairs (a JSON file) and pairs_images (a folder) need each other.")

    def check_with(self, config: AestheticAlignmentConfig) -> None:
        if config.dataloader_persistent_workers:
            raise RecipeError(
                "dataloader_persistent_workers: true; such workers repeat the first epoch's pretext samples, take it out."
            )
        if config.eval_strategy != "no":
            raise RecipeError(
                f"eval_strategy: {config.eval_strategy.value}; alignment has no photos to evaluate on, take it out."
            )


@dataclass(frozen=True)
class PretextSamples:
    """What a recipe's data come to.

    Args:
        dataset: for the trainer.
        bank: the pretext samples' wordings.
        contents: what the teacher may name, sorted.
        statistics: read, or measured on the pool.
        unreadable: keys of photos that could not be read so far.
    """

    dataset: PretextDataset | PretextStream | PretextCache
    bank: PhraseBank
    contents: tuple[str, ...]
    statistics: PoolStatistics
    unreadable: frozenset[str]


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> tuple[AlignmentRecipe, AestheticAlignmentConfig]:
    """The recipe in a YAML file with `key=value` overrides; raises as [`Recipe.read`]."""
    recipe, config, _ = AlignmentRecipe.read(path, overrides)
    return recipe, config


def open_pretext_samples(recipe: AlignmentRecipe, config: AestheticAlignmentConfig) -> PretextSamples:
    """The recipe's photos as pretext samples; no model is needed.

    Raises:
        RecipeError: a file of the recipe cannot be read, or data and training settings do not fit.
        PhotoPoolError: no photos, or none that can be read.
        PhraseBankError, TeacherError: a wrong `bank` or `contents`.
    """
    # before the pool, which takes longer
    bank = _bank(recipe)
    contents = load_contents(recipe.contents) if recipe.contents else {}
    exclude = _names(recipe.exclude) if recipe.exclude else ()
    pairs = read_image_text_pairs(recipe.pairs, recipe.pairs_images) if recipe.pairs and recipe.pairs_images else []
    statistics = _saved_statistics(recipe.statistics, bank) if recipe.statistics else None
    reword = _reworded(recipe.reworded, bank) if recipe.reworded else None

    pool = open_pool(recipe.data, exclude)
    unreadable: set[str] = set()
    _require_a_readable_photo(pool, unreadable)
    streamed = not hasattr(pool, "__len__")
    if streamed and pairs:
        raise RecipeError(f"pairs: {recipe.pairs} cannot be mixed with shards; unpack the shards or take pairs out.")
    if streamed and config.max_steps < 1:
        raise RecipeError(f"max_steps: {config.max_steps}; shards have no known length, so say after how many steps to stop.")
    batch = config.train_batch_size * config.world_size
    if not streamed and len(pool) + len(pairs) < batch:
        raise RecipeError(
            f"data: {len(pool) + len(pairs)} photos, fewer than one batch of {batch}; add photos or lower "
            "per_device_train_batch_size."
        )
    if statistics is None:
        statistics = measure_pool(pool, bank, recipe.statistics_photos, unreadable)
    rewording = {"reword": reword} if reword else {}
    maker = PretextSampleMaker(bank, statistics, contents, seed=config.seed, **rewording)
    dataset = PretextStream(pool, maker, recipe.levels) if streamed else PretextDataset(pool, maker, pairs, recipe.levels)
    return PretextSamples(dataset, bank, tuple(sorted(set(contents.values()))), statistics, frozenset(unreadable))


def measure_pool(pool: Any, bank: PhraseBank, photos: int, unreadable: set[str] | None = None) -> PoolStatistics:
    """The pool's statistics from so many of its photos: evenly spread over it, or the first ones of a stream.

    Args:
        pool: as of `open_pool`.
        bank: whose attributes are measured.
        photos: how many to take; those that cannot be read are not replaced.
        unreadable: gets the keys of these.

    Raises:
        PhotoPoolError: none of them can be read.
    """
    if hasattr(pool, "__len__"):
        count = min(photos, len(pool))
        # a pool of several folders lists one after the other
        rows: Iterable[Any] = (pool[number * len(pool) // count] for number in range(count))
    else:
        rows = itertools.islice(pool, photos)
    logger.info("Measuring up to %d photos for the pool's statistics", photos)
    missed: set[str] = set() if unreadable is None else unreadable
    found = iter(_readable(rows, missed))
    first = next(found, None)
    if first is None:
        raise PhotoPoolError(f"None of the {photos} photos taken for statistics can be read; raise statistics_photos.")
    return PoolStatistics.of(itertools.chain([first], found), bank.attributes)


def load_processor(recipe: Any) -> AestheticMLLMProcessor:
    """The processor of a recipe's model, which is quick to load: its rating scale says what the data may ask.

    Raises:
        RecipeError: there is no such folder, or it cannot be loaded.
    """
    keys = _starts(recipe)
    with _loading(keys):
        if "model" in keys:
            return AestheticMLLMProcessor.from_pretrained(keys["model"])
        if "llava" in keys:
            return AestheticMLLMProcessor.from_llava_pretrained(keys["llava"])
        return AestheticMLLMProcessor.from_vision_text_pretrained(keys["vision"], keys["text"])


def load_model(
    recipe: Any, load_in_4bit: bool = False, processor: AestheticMLLMProcessor | None = None
) -> tuple[Any, AestheticMLLMProcessor]:
    """A recipe's model in float32 and its processor: its `model`, or its `vision` and `text` joined, or its `llava` grown.

    Args:
        load_in_4bit: hold the language model of a `model` in 4 bits, for QLoRA.
        processor: as of `load_processor`, where it is loaded already.

    Raises:
        RecipeError: it cannot be loaded, or this machine has nothing that computes in 4 bits.
    """
    if load_in_4bit and (not torch.cuda.is_available() or not is_bitsandbytes_available()):
        raise RecipeError("load_in_4bit: true needs a CUDA GPU and the package bitsandbytes; take it out for plain LoRA.")
    if load_in_4bit and not recipe.model:
        raise RecipeError("load_in_4bit: only a checkpoint can be loaded so; save the joined model first, and name it as model.")
    processor = processor or load_processor(recipe)
    keys = _starts(recipe)
    with _loading(keys):
        if "model" in keys:
            quantization = _four_bits() if load_in_4bit else None
            model = AestheticMLLMForConditionalGeneration.from_pretrained(
                keys["model"], dtype=torch.float32, quantization_config=quantization
            )
        elif "llava" in keys:
            model = AestheticMLLMForConditionalGeneration.from_llava_pretrained(keys["llava"], processor)
        else:
            model = AestheticMLLMForConditionalGeneration.from_vision_text_pretrained(keys["vision"], keys["text"], processor)
    return model, processor


def _starts(recipe: Any) -> dict[str, str]:
    """The keys of a recipe that say what to start from, with their folders or Hub ids."""
    return {key: str(getattr(recipe, key)) for key in ("model", "vision", "text", "llava") if getattr(recipe, key, None)}


@contextmanager
def _loading(keys: Mapping[str, str]) -> Iterator[None]:
    """Failures to load as a [`RecipeError`] that names the key, and says so where there is no such folder."""
    try:
        yield
    except (OSError, ValueError) as error:
        told = ", ".join(f"{key}: {name}" for key, name in keys.items())
        missing = [name for name in keys.values() if not Path(name).exists() and not _is_hub_id(name)]
        reason = f"There is no folder {', '.join(missing)}." if missing else str(error)
        raise RecipeError(f"{told}: cannot be loaded; give a checkpoint's folder or its Hub id. {reason}") from error


def _is_hub_id(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _four_bits() -> BitsAndBytesConfig:
    """As QLoRA (arXiv:2305.14314) holds weights; tower, alignment module and head stay as they are."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=["vision_tower", "multi_modal_projector", "lm_head"],
    )


def cache_pretext_samples(
    recipe: AlignmentRecipe,
    config: AestheticAlignmentConfig,
    pretext_samples: PretextSamples,
    model: Any,
    processor: AestheticMLLMProcessor,
) -> PretextSamples:
    """The pretext samples with what the model's tower sees in them, where the recipe names a `feature_cache`; else as they are.

    Raises:
        RecipeError: the folder holds other pretext samples, or the pretext samples are streamed.
    """
    if recipe.feature_cache is None:
        return pretext_samples
    if not isinstance(pretext_samples.dataset, PretextDataset):
        raise RecipeError("feature_cache: streamed shards cannot be gone through twice; unpack them or take the key out.")
    try:
        cache = PretextCache(
            recipe.feature_cache, pretext_samples.dataset, model, processor.image_processor, recipe.cached_epochs
        )
    except (PretextCacheError, OSError, json.JSONDecodeError) as error:
        raise RecipeError(f"feature_cache: {error}") from error
    unreadable = cache.fill(config.dataloader_num_workers)
    return replace(pretext_samples, dataset=cache, unreadable=pretext_samples.unreadable | unreadable)


def checkpoint_to_resume(recipe: Any, config: TrainingArguments) -> str | None:
    """The folder to go on from, or `None` for a new run.

    Raises:
        RecipeError: there is none although the recipe says to go on.
    """
    if config.resume_from_checkpoint:
        if not Path(config.resume_from_checkpoint).is_dir():
            raise RecipeError(f"resume_from_checkpoint: {config.resume_from_checkpoint} is no folder.")
        return config.resume_from_checkpoint
    if not recipe.resume:
        return None
    folder = str(config.output_dir)
    found = get_last_checkpoint(folder) if Path(folder).is_dir() else None
    if found is None:
        raise RecipeError(f"resume: {folder} holds no checkpoint to go on from; start without resume, or correct output_dir.")
    return found


def _bank(recipe: AlignmentRecipe) -> PhraseBank:
    try:
        return PhraseBank(recipe.bank or DEFAULT_BANK)
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise RecipeError(f"bank: {recipe.bank} is not a readable phrase bank ({error}).") from error


def _reworded(path: str, bank: PhraseBank) -> TargetTextRewriter:
    if not Path(path).is_file():
        raise RecipeError(f"reworded: no file {path}; fill one with examples/reword_target_texts.py, or take the key out.")
    try:
        return TargetTextRewriter(None, path, bank)
    except TargetTextRewritingError as error:
        raise RecipeError(f"reworded: {error}") from error


def _names(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"exclude: {path} is not a readable text file ({error}).") from error
    return [line.strip() for line in lines if line.strip()]


def _saved_statistics(path: str, bank: PhraseBank) -> PoolStatistics:
    try:
        statistics = PoolStatistics.load(Path(path))
    except (OSError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise RecipeError(
            f"statistics: {path} is not a readable file of statistics ({error}); take the key out to have them measured."
        ) from error
    lacking = [name for name in bank.attributes if name not in statistics.cuts]
    if lacking:
        raise RecipeError(f"statistics: {path} lacks {', '.join(lacking)}; take the key out to have them measured.")
    return statistics


def _readable(rows: Iterable[Any], unreadable: set[str]) -> Iterable[Any]:
    """The photos of rows; the keys of those that cannot be read go to the set."""
    for row in rows:
        try:
            yield load_photo(photo_source(row["image"]))
        except ImageError:
            unreadable.add(row["key"])


def _require_a_readable_photo(pool: Any, unreadable: set[str]) -> None:
    if next(iter(_readable(pool, unreadable)), None) is not None:
        return
    if not unreadable:
        raise PhotoPoolError("The shards hold no photos, or none that is not excluded.")
    first = min(unreadable)
    if len(unreadable) == 1:
        raise PhotoPoolError(f"The pool's only photo, {first}, cannot be read; check the file.")
    raise PhotoPoolError(f"None of the pool's {len(unreadable)} photos can be read, one is {first}; check the files.")
