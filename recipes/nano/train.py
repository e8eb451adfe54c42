"""Trains nano: the alignment module on lessons of unlabelled photos, then on quality, then all on both questions.

    python recipes/nano/train.py --data DATA --work build/nano unaligned       # tower and language model joined; for `align.yaml`
    python recipes/nano/train.py --data DATA --work build/nano warm            # alignment module and upper tower, on quality
    python recipes/nano/train.py --data DATA --work build/nano both --fold 0   # the same, on both questions
    python recipes/nano/train.py --data DATA --work build/nano rate --fold 0   # the language model; 0 to 4: validation models
    python recipes/nano/train.py --data DATA --work build/nano both            # as before, now with all OASIS photos:
    python recipes/nano/train.py --data DATA --work build/nano rate            # the checkpoint

The aesthetic question is learned from OASIS photos, whose beauty people rated, and from BIQ2021 photos with a pseudo-label:
the beauty that kernel ridge regression on the public tower's features predicts, fitted on the OASIS photos of the training
folds. The language model then learns what the heads of the stage before read: of BIQ2021 photos their beauty, moved up or down
with their quality. Photographers' aesthetics holds both, and neither source has both.
"""

import argparse
import json
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaForCausalLM
from transformers.trainer_utils import set_seed

from aesthetic_mllm import (
    AestheticMLLMConfig,
    AestheticMLLMForConditionalGeneration,
    AestheticMLLMImageProcessor,
    AestheticMLLMProcessor,
    MultiScaleFeatureAlignmentConfig,
)
from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.aesthetic_sft_collator import AestheticSFTCollator
from aesthetic_mllm.trainers.aesthetic_sft_config import AestheticSFTConfig
from aesthetic_mllm.trainers.aesthetic_sft_trainer import AestheticSFTTrainer
from aesthetic_mllm.trainers.recipes import measure_pool
from coded_lessons import CODES, TAUGHT, question_name
from data import RatedPhoto, beauty_fold, quality_validation, read_beauty, read_quality
from features import CANVAS, FeatureCache, UpperTower, views_of
from ridge import QUALITY_ALPHA, kernel_ridge_predict, ridge_predict
from warm_start import BATCH_SIZE, WarmStart, principal_components
from weights import VISION, convert_vision, fetch

logger = logging.getLogger("nano.train")

SEED = 0
DECIMAL_SHARE = 0.05  # of the samples that ask for a number as text
RANK_WEIGHT = 1.0
TEXT_WEIGHT = 0.1  # of the words around a rating, which are always the same
QUALITY_GROUP, BEAUTY_GROUP, MADE_GROUP, BEAUTY_QUALITY_GROUP = range(4)
WARM_STEPS = 400  # 1.4 rounds through the photos, upper tower and alignment module, without the language model
# Of the tuned tower in the one that goes on, the rest is the public one. Ridge regression reads beauty from the public tower at
# SRCC 0.80, from the tuned one at 0.756, from blends with 0.3 and 0.5 of it at 0.795 and 0.787.
TOWER_SHARE = 0.5
SETTLE_STEPS = 250  # of the alignment module on the blended tower
BOTH_STEPS = 300
RATE_STEPS = 170  # with the language model
RATE_BATCH_SIZE = 16  # many steps from few photos
QUALITY_PART = 0.25  # of the movement that quality gives to the aesthetic score of BIQ2021 photos, beside beauty's spread
GROUP_DROPOUT = 0.2
# How often each OASIS photo, and how many BIQ2021 photos of either question. Both questions are asked of both sources: else the
# language model tells the sources apart, and gives one answer to both questions.
# Of these rows those are drawn that the steps need: without the language model, and with it.
WARM_AMOUNTS = {"beauty": 4, "beauty_quality": 1, "made": 6_000, "quality": 6_000}
AMOUNTS = {"beauty": 2, "beauty_quality": 1, "made": 900, "quality": 900}
UNALIGNED, ALIGNED = "unaligned", "align/aligned"
WARM_FILE = "warm_start.safetensors"
POOL_FOLDERS = ("biq2021", "photos_unlabeled")
STATISTICS_PHOTOS = 150
VALIDATION_FILE = "validation_photos.txt"  # names that the pool of unlabelled photos must not hold


def fresh_model(work: Path) -> tuple[AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor]:
    """Tower, healed language model and an untrained alignment module in one."""
    tokenizer = AutoTokenizer.from_pretrained(work / TAUGHT)
    language = LlamaForCausalLM.from_pretrained(work / TAUGHT, dtype=torch.float32)
    tower = convert_vision(fetch(VISION, work), CANVAS)
    processor = AestheticMLLMProcessor(AestheticMLLMImageProcessor(canvas_size=CANVAS), tokenizer)
    config = AestheticMLLMConfig(
        vision_config=tower.config,
        text_config=language.config,
        alignment_config=MultiScaleFeatureAlignmentConfig(),
        group_token_ids=processor.group_token_ids,
    )
    model = AestheticMLLMForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, processor


def rows_of(photos: list[RatedPhoto], question: str, group: int, rng: random.Random | None) -> list[dict[str, Any]]:
    """Rows that ask one question. With `rng`, for training: random views, and some ask for a number as text; the whole photo
    is seen as often as all of its crops together."""
    return [
        {
            "image": photo.name,
            "view": rng.choice([0, rng.randrange(1, views_of(photo))]) if rng else 0,
            "question": question,
            "mean": photo.mean,
            "std": photo.std,
            "group": group,
            "decimal": rng is not None and rng.random() < DECIMAL_SHARE,
        }
        for photo in photos
    ]


def sft_row(row: dict[str, Any], scale: RatingScale) -> dict[str, Any]:
    """As the collator takes it: a rating, or a number as text, the paper's form of answer."""
    words = {"prompt": "", "answer": ""}
    if row["decimal"]:
        prompt = scale.question(row["question"]).decimal_prompt
        words = {"question": "", "prompt": prompt, "answer": scale.write_decimal(row["mean"])}
    return row | {"images": [row["image"]]} | words


def rounds(photos: list[RatedPhoto], steps: int, rng: random.Random) -> list[dict[str, Any]]:
    """Rows of the quality question for so many steps: each round goes through all photos in another order."""
    rows: list[dict[str, Any]] = []
    while len(rows) < steps * BATCH_SIZE:
        rows += rows_of(rng.sample(photos, len(photos)), "quality", QUALITY_GROUP, rng)
    return rows[: steps * BATCH_SIZE]


def predicted_beauty(quality: list[RatedPhoto], beauty: list[RatedPhoto], cache: FeatureCache) -> list[RatedPhoto]:
    """The quality photos with the beauty that kernel ridge regression on the public tower's features predicts.

    The spread of the ratings is OASIS's mean one.
    """
    means = np.array([photo.mean for photo in beauty])
    features = cache.pooled_of(quality)
    predicted = kernel_ridge_predict(cache.pooled_of(beauty), means, features, pool=features)
    std = float(np.mean([photo.std for photo in beauty]))
    return [
        RatedPhoto(photo.path, photo.name, float(mean), std)
        for photo, mean in zip(quality, np.clip(predicted, 1, 10), strict=True)
    ]


def predicted_quality(beauty: list[RatedPhoto], quality: list[RatedPhoto], cache: FeatureCache) -> list[RatedPhoto]:
    """The OASIS photos with the technical quality that ridge regression on the tower's features predicts."""
    means = np.array([photo.mean for photo in quality])
    predicted = ridge_predict(cache.pooled_of(quality), means, cache.pooled_of(beauty), QUALITY_ALPHA)
    return [
        RatedPhoto(photo.path, photo.name, float(mean), None)
        for photo, mean in zip(beauty, np.clip(predicted, 1, 10), strict=True)
    ]


def with_quality(rows: list[dict[str, Any]], warm_start: WarmStart, usual: float) -> list[dict[str, Any]]:
    """Rows of BIQ2021 photos with an aesthetic score: the beauty that the heads read, moved by the quality that they read.

    A photo of usual quality is moved by nothing; over these photos the movement has [`QUALITY_PART`] of beauty's spread.
    """
    read = warm_start.reread(rows)
    beauty = np.array([row["mean"] for row in read])
    quality = np.array([row["mean"] for row in warm_start.reread([row | {"question": "quality"} for row in rows])])
    scores = beauty + QUALITY_PART * beauty.std() * (quality - usual) / quality.std()
    return [row | {"mean": float(score)} for row, score in zip(read, np.clip(scores, 1, 10), strict=True)]


def train(
    model: AestheticMLLMForConditionalGeneration,
    processor: AestheticMLLMProcessor,
    rows: list[dict[str, Any]],
    cache: FeatureCache,
    output: Path,
) -> None:
    """Trains the language model, in place; tower and alignment module stay as they are."""
    collator = AestheticSFTCollator(processor, load_pixels=cache.pixels, group_dropout=GROUP_DROPOUT, seed=SEED)
    arguments = AestheticSFTConfig(
        output_dir=str(output),
        num_train_epochs=1,
        per_device_train_batch_size=RATE_BATCH_SIZE,
        learning_rate=4e-4,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,  # a share of all steps
        weight_decay=0.01,
        text_loss_weight=TEXT_WEIGHT,
        rank_loss_weight=RANK_WEIGHT,
        freeze_alignment=True,
        logging_steps=20,
        save_strategy="no",
        seed=SEED,
        disable_tqdm=True,
    )
    trainer = AestheticSFTTrainer(
        model,
        arguments,
        processing_class=processor,
        train_dataset=Dataset.from_list([sft_row(row, processor.rating_scale) for row in rows]),
        data_collator=collator,
    )
    trainer.train()
    (output / "log.json").write_text(json.dumps(trainer.state.log_history))
    model.eval()


def save(model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor, folder: Path) -> None:
    """Stores the checkpoint in bf16, as it ships, and leaves the model in float32 with the rounded weights."""
    model.forward = type(model).forward.__get__(model)  # without TRL's fused head
    model.bfloat16().save_pretrained(folder)
    processor.save_pretrained(folder)
    model.float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--fold", type=int, help="leave this fold of OASIS out")
    parser.add_argument("stage", choices=("unaligned", "warm", "both", "rate"))
    parser.add_argument("--start", default=ALIGNED, help=f"checkpoint below WORK to start from, such as {UNALIGNED}")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    set_seed(SEED)
    rng = random.Random(SEED)
    scale = RatingScale()
    quality, beauty = read_quality(arguments.data, scale), read_beauty(arguments.data, scale)
    everything = quality + beauty
    names = quality_validation(quality)
    if arguments.stage == "unaligned":
        model, processor = fresh_model(arguments.work)
        model.save_pretrained(arguments.work / UNALIGNED)
        processor.save_pretrained(arguments.work / UNALIGNED)
        # every OASIS photo is validated in some fold
        unwanted = sorted(names | {photo.name for photo in beauty})
        (arguments.work / VALIDATION_FILE).write_text("\n".join(unwanted) + "\n")
        pool = open_pool([arguments.data / folder for folder in POOL_FOLDERS], exclude=unwanted)
        measure_pool(pool, PhraseBank(), STATISTICS_PHOTOS).save(arguments.work / "statistics.json")
        return

    held_out = [photo for photo in quality if photo.name in names]
    quality = [photo for photo in quality if photo.name not in names]
    cache = FeatureCache(arguments.work, everything)
    components = dict(zip((photo.name for photo in quality), principal_components(cache.pooled_of(quality)), strict=True))
    name = "final" if arguments.fold is None else f"fold{arguments.fold}"
    model = AestheticMLLMForConditionalGeneration.from_pretrained(arguments.work / arguments.start, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(arguments.work / arguments.start)
    tower = model.model.vision_tower
    model.model.vision_tower = UpperTower(tower)
    codes = load_file(arguments.work / CODES)
    warm_start = WarmStart(
        model, cache.pixels, scale, components, {question: codes[question_name(question)] for question in scale.questions}
    )
    if arguments.stage == "warm":
        public = {name: weight.clone() for name, weight in model.model.vision_tower.state_dict().items()}
        warm_start.train(rounds(quality, WARM_STEPS, rng), learning_rate=5e-4, tower_learning_rate=2e-4)
        warm_start.blend_tower(public, TOWER_SHARE)
        warm_start.train(rounds(quality, SETTLE_STEPS, rng), learning_rate=5e-4)
        logger.info("SRCC of each group on held-out photos: %s", warm_start.correlations(rows_of(held_out, "quality", 0, None)))
        warm_start.save(arguments.work / WARM_FILE)
        return

    folds = beauty_fold(beauty)
    asked = [photo for photo in beauty if folds[photo.name] == arguments.fold]
    beauty = [photo for photo in beauty if folds[photo.name] != arguments.fold]
    predicted = predicted_beauty(quality, beauty, cache)
    beauty_quality = predicted_quality(beauty, quality, cache)

    def both_questions(made: list[RatedPhoto], amounts: dict[str, int]) -> list[dict[str, Any]]:
        rows = rows_of(beauty * amounts["beauty"], "aesthetic", BEAUTY_GROUP, rng)
        rows += rows_of(beauty_quality * amounts["beauty_quality"], "quality", BEAUTY_QUALITY_GROUP, rng)
        rows += rows_of(rng.sample(made, amounts["made"]), "aesthetic", MADE_GROUP, rng)
        rows += rows_of(rng.sample(quality, amounts["quality"]), "quality", QUALITY_GROUP, rng)
        return rng.sample(rows, len(rows))

    both_file = arguments.work / f"both_{name}.safetensors"
    if arguments.stage == "both":
        warm_start.load(arguments.work / WARM_FILE)
        # beauty alone here, so that the tokens come to hold both parts of the pseudo-label
        rows = both_questions(predicted, WARM_AMOUNTS)[: BOTH_STEPS * BATCH_SIZE]
        warm_start.train(rows, learning_rate=5e-4, tower_learning_rate=1e-4)
        warm_start.round_tower()
        for question, photos in (("quality", held_out), ("aesthetic", asked)):
            if photos:
                logger.info("%s, SRCC of each group: %s", question, warm_start.correlations(rows_of(photos, question, 0, None)))
        warm_start.save(both_file)
        return

    warm_start.load(both_file)
    rows = both_questions(predicted, AMOUNTS)[: RATE_STEPS * RATE_BATCH_SIZE]
    made = [row for row in rows if row["group"] == MADE_GROUP]
    rows = warm_start.reread([row for row in rows if row["group"] != MADE_GROUP])
    usual = float(np.mean([row["mean"] for row in rows if row["group"] == BEAUTY_QUALITY_GROUP]))
    rows += with_quality(made, warm_start, usual)
    target = arguments.work / name
    train(model, processor, rng.sample(rows, len(rows)), cache, target)
    model.model.vision_tower = tower  # its upper stages have learned
    save(model, processor, target)


if __name__ == "__main__":
    main()
