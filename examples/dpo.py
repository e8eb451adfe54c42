# /// script
# requires-python = ">=3.11"
# dependencies = ["aesthetic-mllm[train]"]
# ///
"""Teaches a checkpoint to prefer better comments with TRL's DPOTrainer: what `aesthetic-mllm train dpo` does, as a script.

    python examples/dpo.py preferences.csv --output build/dpo

preferences.csv has the columns image, prompt, chosen and rejected. OUTPUT/tuned is the finished checkpoint.
"""

import argparse
import logging
from pathlib import Path

import torch
from peft import LoraConfig

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.data.preferences import read_preferences
from aesthetic_mllm.trainers import AestheticDPOConfig, AestheticDPOTrainer, save_tuned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV, JSONL or parquet")
    parser.add_argument("--model", default=str(embedded_checkpoint()), help="folder or Hub id of a checkpoint")
    parser.add_argument("--output", type=Path, default=Path("build/dpo"))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--max-steps", type=int, default=100)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)

    processor = AestheticMLLMProcessor.from_pretrained(options.model)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32)
    model.model.vision_tower.requires_grad_(False)
    args = AestheticDPOConfig(
        output_dir=str(options.output),
        max_steps=options.max_steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=5e-5,
        logging_steps=5,
        save_strategy="no",
    )
    trainer = AestheticDPOTrainer(
        model,
        args=args,
        train_dataset=read_preferences(options.table),
        processing_class=processor,
        peft_config=LoraConfig(r=16, lora_alpha=32),
    )
    trainer.train()
    save_tuned(trainer, options.output / "tuned")


if __name__ == "__main__":
    main()
