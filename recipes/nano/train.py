"""Trains nano v0: technical quality first, then the aesthetic question from two sources.

    python recipes/nano/train.py --data DATA --work build/nano quality
    python recipes/nano/train.py --data DATA --work build/nano aesthetic --fold 0   # 0 to 4: validation models
    python recipes/nano/train.py --data DATA --work build/nano aesthetic            # the checkpoint, all OASIS photos

The aesthetic question is learned from OASIS photos, whose beauty people rated, and from BIQ2021 photos with a pseudo-label:
the beauty that ridge regression on the tower's features predicts (fitted on the OASIS photos of the training folds), moved up
or down with the photo's rated quality. Photographers' aesthetics holds both, and neither source has both.
"""

import argparse
import json
import logging
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoTokenizer, LlamaForCausalLM
from transformers.trainer_utils import get_last_checkpoint, set_seed

from aesthetic_mllm import (
    AestheticMLLMConfig,
    AestheticMLLMForConditionalGeneration,
    AestheticMLLMImageProcessor,
    AestheticMLLMProcessor,
    MultiScaleFeatureAlignmentConfig,
)
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.losses.rank_fidelity import RankFidelityLoss
from aesthetic_mllm.trainers.rating_collator import RatingCollator
from aesthetic_mllm.trainers.rating_config import RatingConfig
from aesthetic_mllm.trainers.rating_trainer import RatingTrainer
from data import RatedPhoto, beauty_fold, quality_validation, read_beauty, read_quality
from features import CANVAS, VIEWS, CachedTower, FeatureCache
from ridge import BEAUTY_ALPHA, QUALITY_ALPHA, ridge_predict
from weights import VISION, convert_vision, fetch

logger = logging.getLogger("nano.train")

SEED = 0
DECIMAL_SHARE = 0.05  # of the samples that ask for a number as text, the paper's form of answer
QUALITY_GROUP, BEAUTY_GROUP, PSEUDO_GROUP = range(3)
WARM_ROUNDS = 3  # through the photos, without the language model
WARM_RATE = 1e-3
QUALITY_STEPS = 100  # with the language model, 32 photos each
# The aesthetic stage sees each OASIS photo so often, and so many BIQ2021 photos of either question.
BEAUTY_REPEATS, PSEUDO_PHOTOS, REPLAYED_PHOTOS = 2, 480, 480


def fresh_model(work: Path) -> tuple[AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor]:
    """Tower, healed language model and an untrained alignment module in one."""
    tokenizer = AutoTokenizer.from_pretrained(work / "language")
    language = LlamaForCausalLM.from_pretrained(work / "language", dtype=torch.float32)
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


def rows_of(photos: list[RatedPhoto], question: str, group: int, rng: random.Random) -> list[dict[str, Any]]:
    """Training rows; the whole photo is seen as often as all of its crops together."""
    return [
        {
            "image": photo.name,
            "view": rng.choice([0] * (VIEWS - 1) + list(range(1, VIEWS))),
            "question": question,
            "mean": photo.mean,
            "std": photo.std,
            "group": group,
            "decimal": rng.random() < DECIMAL_SHARE,
        }
        for photo in photos
    ]


def shuffled(rows: list[Any], rng: random.Random) -> list[Any]:
    return rng.sample(rows, len(rows))


def pseudo_labels(quality: list[RatedPhoto], beauty: list[RatedPhoto], cache: FeatureCache) -> list[RatedPhoto]:
    """The quality photos with an aesthetic score: predicted beauty, moved by how far quality is from OASIS's usual.

    Both parts weigh the same: quality is given the spread that predicted beauty has over these photos. The spread of the
    ratings is OASIS's mean one.
    """
    pooled_quality, pooled_beauty = cache.pooled_of(quality), cache.pooled_of(beauty)
    beauty_means = np.array([photo.mean for photo in beauty])
    beauty_of_quality = ridge_predict(pooled_beauty, beauty_means, pooled_quality, BEAUTY_ALPHA)
    rated = np.array([photo.mean for photo in quality])
    usual = ridge_predict(pooled_quality, rated, pooled_beauty, QUALITY_ALPHA).mean()
    scores = beauty_of_quality + beauty_of_quality.std() * (rated - usual) / rated.std()
    std = float(np.mean([photo.std for photo in beauty]))
    return [
        RatedPhoto(photo.path, photo.name, float(score), std)
        for photo, score in zip(quality, np.clip(scores, 1, 10), strict=True)
    ]


def warm_start(
    model: AestheticMLLMForConditionalGeneration, rows: list[dict[str, Any]], cache: FeatureCache, scale: RatingScale
) -> None:
    """Trains the alignment module alone on quality, with a light head in the language model's place; the head is dropped.

    An eighth of the cost of a step through the language model, which then learns to read tokens that already tell something.
    """
    projector, start = model.model.multi_modal_projector, time.monotonic()
    tower = CachedTower(model.config.vision_config)
    canvas = (CANVAS, CANVAS)
    head = torch.nn.Linear(4 * model.config.text_config.hidden_size, len(scale.level_scores))
    ranking = RankFidelityLoss(RatingConfig.rank_label_std)
    scores = torch.tensor(scale.level_scores)
    weights = [*projector.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=WARM_RATE, weight_decay=0.01)
    batches = [rows[first : first + 32] for first in range(0, len(rows) - 31, 32)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, WARM_RATE, total_steps=len(batches), pct_start=0.1)
    device = next(projector.parameters()).device
    projector.train()
    for step, batch in enumerate(batches):
        inputs = {name: value.to(device) for name, value in cache.pixels(batch).items()}
        targets = torch.tensor([scale.level_distribution(row["mean"], row["std"]) for row in batch], device=device)
        labels = torch.tensor([row["mean"] for row in batch], device=device)
        with torch.autocast(device.type, torch.bfloat16):
            maps = tower(inputs["pixel_values"]).feature_maps
            groups = {group: maps[layer].permute(0, 2, 3, 1) for group, layer in model.model.feature_layers.items()}
            tokens = projector(groups, inputs["image_sizes"], canvas)
            logits = head(torch.cat([values.mean(1) for values in tokens.values()], dim=1))
        shares = logits.float().softmax(-1)
        means = shares @ scores
        stds = (shares @ scores.square() - means.square()).clamp(min=1e-6).sqrt()
        level_loss = -(targets * logits.float().log_softmax(-1)).sum(-1).mean()
        loss = level_loss + ranking(means, stds, labels, torch.zeros_like(labels))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 50 == 0:
            logger.info(
                "warm start: step %d of %d, %.0f s, level loss %.3f, loss %.3f",
                step,
                len(batches),
                time.monotonic() - start,
                level_loss.item(),
                loss.item(),
            )


def train(
    model: AestheticMLLMForConditionalGeneration,
    processor: AestheticMLLMProcessor,
    rows: list[dict[str, Any]],
    cache: FeatureCache,
    output: Path,
    **options: Any,
) -> None:
    """Trains the model in place; the tower is stood in for by its cached features."""
    tower = model.model.vision_tower
    model.model.vision_tower = CachedTower(tower.config)
    collator = RatingCollator(processor, load_pixels=cache.pixels)
    arguments = RatingConfig(
        output_dir=str(output),
        num_train_epochs=1,
        per_device_train_batch_size=32,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,  # a share of all steps
        weight_decay=0.01,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=20,
        save_steps=250,
        save_total_limit=1,
        report_to="none",
        seed=SEED,
        disable_tqdm=True,
        **options,
    )
    trainer = RatingTrainer(
        model,
        arguments,
        processing_class=processor,
        train_dataset=Dataset.from_list(rows),
        data_collator=collator,
    )
    # a run that was cut off goes on where it was
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(output)) if output.exists() else None)
    (output / "log.json").write_text(json.dumps(trainer.state.log_history))
    model.model.vision_tower = tower
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
    parser.add_argument("--steps", type=int, default=QUALITY_STEPS, help="of the quality stage, 32 photos each")
    parser.add_argument("--fold", type=int, help="of the aesthetic stage: leave this fold of OASIS out")
    parser.add_argument("stage", choices=("quality", "aesthetic"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    set_seed(SEED)
    rng = random.Random(SEED)
    scale = RatingScale()
    quality, beauty = read_quality(arguments.data, scale), read_beauty(arguments.data, scale)
    cache = FeatureCache(arguments.work, [photo.name for photo in quality + beauty])
    held_out = quality_validation(quality)
    quality = [photo for photo in quality if photo.name not in held_out]

    if arguments.stage == "quality":
        model, processor = fresh_model(arguments.work)
        warm = [row for _ in range(WARM_ROUNDS) for row in shuffled(rows_of(quality, "quality", QUALITY_GROUP, rng), rng)]
        warm_start(model, warm, cache, scale)
        rows = rows_of(quality, "quality", QUALITY_GROUP, rng)
        target = arguments.work / "quality"
        train(model, processor, rows, cache, target, max_steps=arguments.steps, learning_rate=1e-4, alignment_learning_rate=3e-4)
        save(model, processor, target)
        return

    folds = beauty_fold(beauty)
    beauty = [photo for photo in beauty if folds[photo.name] != arguments.fold]
    model = AestheticMLLMForConditionalGeneration.from_pretrained(arguments.work / "quality", dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(arguments.work / "quality")
    pseudo = pseudo_labels(quality, beauty, cache)
    rows = rows_of(beauty * BEAUTY_REPEATS, "aesthetic", BEAUTY_GROUP, rng)
    rows += rows_of(rng.sample(pseudo, PSEUDO_PHOTOS), "aesthetic", PSEUDO_GROUP, rng)
    rows += rows_of(rng.sample(quality, REPLAYED_PHOTOS), "quality", QUALITY_GROUP, rng)
    target = arguments.work / ("final" if arguments.fold is None else f"fold{arguments.fold}")
    train(model, processor, rows, cache, target, learning_rate=5e-5, alignment_learning_rate=2e-4)
    save(model, processor, target)


if __name__ == "__main__":
    main()
