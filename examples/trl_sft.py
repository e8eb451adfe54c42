# /// script
# requires-python = ">=3.11"
# dependencies = ["aesthetic-mllm[train]"]
# ///
"""Teaches a checkpoint comments with TRL's own SFTTrainer and LoRA; no trainer of this package is used.

    python examples/trl_sft.py comments.csv --output build/comments

comments.csv has the columns image and comment. OUTPUT/tuned is the finished checkpoint.
"""

import argparse
from pathlib import Path

import pandas
import torch
from datasets import Dataset, Image, List
from peft import LoraConfig
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import SFTConfig, SFTTrainer

import aesthetic_mllm  # noqa: F401  registers the classes; or load with trust_remote_code=True
from aesthetic_mllm.checkpoints import embedded_checkpoint

PROMPT = "Comment on this photo."


def chat_rows(table: Path) -> Dataset:
    """Rows of `images` and `messages`."""
    rows = pandas.read_csv(table)
    messages = [[{"role": "user", "content": PROMPT}, {"role": "assistant", "content": comment}] for comment in rows["comment"]]
    images = [[str(table.parent / name)] for name in rows["image"]]
    return Dataset.from_dict({"images": images, "messages": messages}).cast_column("images", List(Image()))


def make_trainer(model: str, data: Dataset, output: Path, max_steps: int = -1) -> SFTTrainer:
    has_gpu = torch.cuda.is_available()
    args = SFTConfig(
        output_dir=str(output),
        # Without it TRL learns every token of "messages", the photos' placeholders first of all.
        assistant_only_loss=True,
        max_length=None,  # cutting a row would cut placeholders
        max_steps=max_steps,
        per_device_train_batch_size=8,
        learning_rate=5e-4,
        bf16=has_gpu,
        use_cpu=not has_gpu,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
    )
    # "all-linear" would adapt the vision tower too. The alignment module is small and is learned whole.
    adapters = LoraConfig(
        r=16,
        lora_alpha=32,
        target_modules=r".*language_model\..*_proj",
        modules_to_save=["multi_modal_projector"],
        task_type="CAUSAL_LM",
    )
    return SFTTrainer(
        model=AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32),
        args=args,
        train_dataset=data,
        processing_class=AutoProcessor.from_pretrained(model),
        peft_config=adapters,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV")
    parser.add_argument("--model", default=str(embedded_checkpoint()), help="folder or Hub id of a checkpoint")
    parser.add_argument("--output", type=Path, default=Path("build/comments"))
    parser.add_argument("--max-steps", type=int, default=-1)
    options = parser.parse_args()
    trainer = make_trainer(options.model, chat_rows(options.table), options.output, options.max_steps)
    trainer.train()
    trainer.model.merge_and_unload().save_pretrained(options.output / "tuned")
    trainer.processing_class.save_pretrained(options.output / "tuned")


if __name__ == "__main__":
    main()
