"""The law of the trainer on the embedded checkpoint: a short tuning on a table raises the correlation on other photos."""

from pathlib import Path

import numpy as np
from datasets import Dataset
from PIL import Image

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.trainers.aesthetic_sft_collator import AestheticSFTCollator
from aesthetic_mllm.trainers.aesthetic_sft_config import AestheticSFTConfig
from aesthetic_mllm.trainers.aesthetic_sft_trainer import AestheticSFTTrainer


def red_rows(folder: Path, count: int, first: int) -> list[dict]:
    """Blurred noise, rated by how red it is."""
    rows = []
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        red = rng.uniform(-1, 1)
        noise = rng.integers(60, 196, (6, 8, 3)) + np.array([60 * red, -60 * red, -60 * red])
        photo = Image.fromarray(noise.clip(0, 255).astype(np.uint8)).resize((96, 72), Image.Resampling.BICUBIC)
        path = folder / f"{number}.png"
        photo.save(path)
        rows.append({"images": [str(path)], "question": "aesthetic", "mean": 5.5 + 4 * red, "std": None, "group": 0})
    return rows


def test_a_short_tuning_of_nano_raises_the_correlation_on_other_photos(tmp_path: Path) -> None:
    """Taste for red is not what nano has; a dozen steps teach it, and the level loss, never 0, falls."""
    folder = str(embedded_checkpoint())
    processor = AestheticMLLMProcessor.from_pretrained(folder)
    trainer = AestheticSFTTrainer(
        AestheticMLLMForConditionalGeneration.from_pretrained(folder, dtype="float32"),
        AestheticSFTConfig(
            output_dir=str(tmp_path), max_steps=12, per_device_train_batch_size=4, learning_rate=1e-4, logging_steps=3,
            save_strategy="no", use_cpu=True, bf16=False, disable_tqdm=True,
        ),
        processing_class=processor,
        train_dataset=Dataset.from_list(red_rows(tmp_path, 48, first=100)),
        eval_dataset=Dataset.from_list(red_rows(tmp_path, 16, first=0)),
        data_collator=AestheticSFTCollator(processor, augment=False),
    )  # fmt: skip
    before = trainer.evaluate()["eval_srcc"]
    trainer.train()
    after = trainer.evaluate()["eval_srcc"]
    losses = [log["level_loss"] for log in trainer.state.log_history if "loss" in log]
    assert min(losses) > 0 and losses[-1] < 0.9 * losses[0]
    assert after > max(before + 0.15, 0.7), (before, after)
