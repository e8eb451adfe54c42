# /// script
# requires-python = ">=3.11"
# dependencies = ["aesthetic-mllm[train]"]
# ///
"""Reinforces written scores with TRL's GRPOTrainer and the package's rewards, beside one of your own.

    python examples/grpo.py ratings.csv --range 1 10 --output build/grpo

ratings.csv has the columns image and mean. OUTPUT/tuned is the finished checkpoint.
"""

import argparse
import logging
from pathlib import Path

import torch
from peft import LoraConfig

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.trainers import (
    AestheticGRPOConfig,
    AestheticGRPOTrainer,
    RankReward,
    ScoreClosenessReward,
    completion_text,
    save_tuned,
)
from aesthetic_mllm.trainers.preference_recipes import GRPORecipe, open_prompts


def brevity_reward(completions: list, **columns: object) -> list[float]:
    """A reward of one's own: a score needs no more than five characters."""
    return [1.0 if len(completion_text(completion)) <= 5 else 0.0 for completion in completions]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV, JSONL or parquet")
    parser.add_argument("--range", type=float, nargs=2, required=True, metavar=("WORST", "BEST"), help="of the ratings")
    parser.add_argument("--model", default=str(embedded_checkpoint()), help="folder or Hub id of a checkpoint")
    parser.add_argument("--output", type=Path, default=Path("build/grpo"))
    parser.add_argument("--batch-size", type=int, default=32, help="completions, eight of each photo")
    parser.add_argument("--max-steps", type=int, default=100)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)

    processor = AestheticMLLMProcessor.from_pretrained(options.model)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32)
    model.model.vision_tower.requires_grad_(False)
    data = GRPORecipe(data=[{"source": "own", "root": str(options.table), "range": list(options.range)}])
    args = AestheticGRPOConfig(
        output_dir=str(options.output),
        max_steps=options.max_steps,
        per_device_train_batch_size=options.batch_size,
        num_generations=8,
        learning_rate=3e-4,
        reward_weights=[1.0, 1.0, 0.2],
        logging_steps=5,
        save_strategy="no",
    )
    trainer = AestheticGRPOTrainer(
        model,
        reward_funcs=[ScoreClosenessReward(processor.rating_scale), RankReward(processor.rating_scale), brevity_reward],
        args=args,
        train_dataset=open_prompts(data, processor.rating_scale, args.seed),
        processing_class=processor,
        peft_config=LoraConfig(r=16, lora_alpha=32),
    )
    trainer.train()
    save_tuned(trainer, options.output / "tuned")


if __name__ == "__main__":
    main()
