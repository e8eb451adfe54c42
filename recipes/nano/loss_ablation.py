"""Which losses teach ratings best: soft or hard levels, with and without the rank loss, the same steps, several draws.

    python recipes/nano/loss_ablation.py --data DATA --work build/nano --output build/nano/loss_ablation.json

Language model and alignment module learn technical quality from BIQ2021 photos by [`AestheticSFTTrainer`]; the tower is frozen,
its lower stages are cached. SRCC and PLCC on validation photos by the scorer of inference. One of the choices adapts the language
model by LoRA instead of learning all its weights. Runs that are in the output file already are not repeated.
"""

import argparse
import json
import logging
import random
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.aesthetic_sft_collator import AestheticSFTCollator
from aesthetic_mllm.trainers.aesthetic_sft_config import AestheticSFTConfig
from aesthetic_mllm.trainers.aesthetic_sft_trainer import AestheticSFTTrainer
from data import RatedPhoto, quality_validation, read_beauty, read_quality
from features import FeatureCache, UpperTower
from judge import ALIGNED
from unaligned import QUALITY_GROUP, rows_of

logger = logging.getLogger("nano.loss_ablation")

LOSSES: dict[str, dict[str, Any]] = {
    "soft levels": {"rank_loss_weight": 0.0},
    "soft levels, rank": {"rank_loss_weight": 1.0},
    "hard levels": {"hard_levels": True, "rank_loss_weight": 0.0},
    "hard levels, rank": {"hard_levels": True, "rank_loss_weight": 1.0},
}
WITH_ADAPTERS = ", LoRA"
ADAPTERS = f"soft levels, rank{WITH_ADAPTERS}"
LORA_RANK, LORA_ALPHA = 16, 32
BATCH_SIZE = 16
LEARNING_RATE, LORA_LEARNING_RATE = 2e-4, 1e-3


def learned(
    start: Path,
    known: list[RatedPhoto],
    asked: list[RatedPhoto],
    cache: FeatureCache,
    name: str,
    steps: int,
    seed: int,
    work: Path,
) -> dict[str, float]:
    """SRCC, PLCC, minutes, and peak memory in MB so far of the process, after training from a checkpoint."""
    model = AestheticMLLMForConditionalGeneration.from_pretrained(start, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(start)
    tower = model.model.vision_tower
    model.model.vision_tower = UpperTower(tower)
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    while len(rows) < steps * BATCH_SIZE:
        rows += rows_of(rng.sample(known, len(known)), "quality", QUALITY_GROUP, rng)
    rows = [row | {"images": [row["image"]], "prompt": "", "answer": ""} for row in rows[: steps * BATCH_SIZE]]
    adapters = name == ADAPTERS
    trainer = AestheticSFTTrainer(
        model,
        AestheticSFTConfig(
            output_dir=str(work / "loss_ablation"),
            max_steps=steps,
            per_device_train_batch_size=BATCH_SIZE,
            per_device_eval_batch_size=BATCH_SIZE,
            learning_rate=LORA_LEARNING_RATE if adapters else LEARNING_RATE,
            alignment_learning_rate=LEARNING_RATE,
            lr_scheduler_type="cosine",
            warmup_steps=0.1,
            logging_steps=20,
            save_strategy="no",
            disable_tqdm=True,
            seed=seed,
            **LOSSES[name.removesuffix(WITH_ADAPTERS)],
        ),
        processing_class=processor,
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(r=LORA_RANK, lora_alpha=LORA_ALPHA, task_type="CAUSAL_LM") if adapters else None,
        data_collator=AestheticSFTCollator(processor, load_pixels=cache.pixels, seed=seed),
    )
    began = time.monotonic()
    trainer.train()
    minutes = (time.monotonic() - began) / 60
    trainer.accelerator.unwrap_model(trainer.model).model.vision_tower = tower
    base = trainer.model.get_base_model() if adapters else trainer.model
    base.model.vision_tower = tower
    held_out = Dataset.from_list([{"images": [str(photo.path)], "question": "quality", "mean": photo.mean} for photo in asked])
    found = trainer.evaluate(held_out, metric_key_prefix="test")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"srcc": found["test_srcc"], "plcc": found["test_plcc"], "minutes": minutes, "peak_mb": peak}


def table(report: dict[str, dict[str, Any]]) -> str:
    """Mean and spread over draws as Markdown."""
    lines = ["| losses | SRCC | PLCC | minutes |", "|---|---|---|---|"]
    for name in dict.fromkeys(run["losses"] for run in report.values()):
        runs = [run for run in report.values() if run["losses"] == name]
        told = [
            f"{np.mean([run[key] for run in runs]):.3f} ± {np.std([run[key] for run in runs]):.3f}" for key in ("srcc", "plcc")
        ]
        lines.append(f"| {name} ({len(runs)} draws) | {' | '.join(told)} | {np.mean([run['minutes'] for run in runs]):.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--start", default=ALIGNED, help="checkpoint below WORK")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--photos", type=int, default=400, help="of the validation photos")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--losses", nargs="*", choices=[*LOSSES, ADAPTERS], default=list(LOSSES))
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    scale = RatingScale()
    photos, beauty = read_quality(arguments.data, scale), read_beauty(arguments.data, scale)
    names = quality_validation(photos)
    known = [photo for photo in photos if photo.name not in names]
    asked = random.Random(0).sample([photo for photo in photos if photo.name in names], arguments.photos)
    cache = FeatureCache(arguments.work, photos + beauty)
    report = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for seed in arguments.seeds:
        for name in arguments.losses:
            key = f"{name}:{seed}"
            if key not in report:
                start = arguments.work / arguments.start
                found = learned(start, known, asked, cache, name, arguments.steps, seed, arguments.work)
                report[key] = {"losses": name, "seed": seed, "steps": arguments.steps, **found}
                logger.info("%s, draw %d: %s", name, seed, found)
                arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(report))


if __name__ == "__main__":
    main()
