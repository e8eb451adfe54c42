# /// script
# requires-python = ">=3.11"
# dependencies = ["aesthetic-mllm[train]"]
# ///
"""Tunes a checkpoint on your own ratings: what `aesthetic-mllm train sft` does, as a script to extend.

    python examples/sft.py ratings.csv --range 1 10 --output build/mine

ratings.csv has the columns image and mean. OUTPUT/tuned is the finished checkpoint.
"""

import argparse
import logging
from pathlib import Path

import torch
from peft import LoraConfig

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.data.conversations import ConversationBuilder
from aesthetic_mllm.data.source import open_source
from aesthetic_mllm.data.sources.own import own_source
from aesthetic_mllm.trainers import AestheticSFTConfig, AestheticSFTTrainer, save_tuned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV, JSONL or parquet")
    parser.add_argument("--range", type=float, nargs=2, required=True, metavar=("WORST", "BEST"), help="of the ratings")
    parser.add_argument("--model", default=str(embedded_checkpoint()), help="folder or Hub id of a checkpoint")
    parser.add_argument("--lora", type=int, default=0, metavar="RANK", help="adapters instead of the whole language model")
    parser.add_argument("--output", type=Path, default=Path("build/mine"))
    parser.add_argument("--max-steps", type=int, default=-1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)

    processor = AestheticMLLMProcessor.from_pretrained(options.model)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32)
    source = own_source(options.table, tuple(options.range))
    builder = ConversationBuilder(processor.rating_scale)
    # One record a photo, then one row a question: "score" rows are ratings; builder.tasks lists what else can be asked.
    rows = {
        split: builder.build(open_source(source, options.table.parent, split), ["score"]) for split in ("train", "validation")
    }
    args = AestheticSFTConfig(
        output_dir=str(options.output),
        num_train_epochs=4,
        max_steps=options.max_steps,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=16,
        lr_scheduler_type="cosine",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,  # by SRCC on the validation photos
        logging_steps=10,
    )
    trainer = AestheticSFTTrainer(
        model,
        args,
        processing_class=processor,
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        peft_config=LoraConfig(r=options.lora, lora_alpha=2 * options.lora, task_type="CAUSAL_LM") if options.lora else None,
    )
    trainer.train()
    save_tuned(trainer, options.output / "tuned")


if __name__ == "__main__":
    main()
