"""After tuning, what the rating scale says beside the ratings is of the tuned model."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image

from aesthetic_mllm import AestheticAssessor, AestheticMLLMProcessor, RatingScale
from aesthetic_mllm.processing.rating_scale import OperatingPoint, RatingQuestion
from aesthetic_mllm.trainers import AestheticSFTConfig, AestheticSFTTrainer, save_tuned
from aesthetic_mllm.trainers.references import LEAST_PHOTOS
from tiny_models import tiny_model, tiny_processor

OLD = [float(value) for value in np.linspace(1, 10, 101)]


@pytest.fixture
def rows(tmp_path: Path) -> list[dict]:
    """Rows about a hundred photos, two for the first of them."""
    rows = []
    for number in range(LEAST_PHOTOS):
        noise = np.random.default_rng(number).integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((60, 40)).save(tmp_path / f"{number}.png")
        rows.append({"images": [str(tmp_path / f"{number}.png")], "question": "aesthetic", "mean": 1 + 9 * (number % 10) / 9})
    return [rows[0], *rows]


@pytest.fixture
def known() -> AestheticMLLMProcessor:
    """A processor of a checkpoint that has percentiles and an operating point."""
    processor = tiny_processor()
    flaw = {"flaw_tilted": RatingQuestion("Is it level?", "It is", "How level?")}
    scale: RatingScale = processor.rating_scale
    point = OperatingPoint(2.0, 5.0, 1.0, 2.0, 0.01, 0.9)
    processor.rating_scale = replace(
        scale,
        questions={**scale.questions, **flaw},
        references={"aesthetic": OLD, "quality": OLD},
        operating_points={"flaw_tilted": point},
    )
    return processor


def trained(rows: list[dict], known: AestheticMLLMProcessor, folder: Path) -> AestheticSFTTrainer:
    arguments = AestheticSFTConfig(
        output_dir=str(folder), max_steps=2, per_device_train_batch_size=4, learning_rate=1e-2, save_strategy="no", use_cpu=True,
        bf16=False, disable_tqdm=True,
    )  # fmt: skip
    model = tiny_model("efficientnet_lite", "llama", known)
    trainer = AestheticSFTTrainer(model, arguments, processing_class=known, train_dataset=Dataset.from_list(rows))
    trainer.train()
    return trainer


def test_percentiles_are_the_tuned_models(
    rows: list[dict], known: AestheticMLLMProcessor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are the shares of the run's photos that the saved model rates lower; operating points are left out with a word."""
    trainer = trained(rows, known, tmp_path / "out")
    with caplog.at_level(logging.INFO):
        told = save_tuned(trainer, tmp_path / "tuned")
    assert told == {"photos": 100, "percentiles": ["aesthetic", "quality"], "operating_points": ["flaw_tilted"]}
    assert "Percentiles refer to 100 photos of this run, for aesthetic, quality" in caplog.text
    assert "Operating points of 1 flaws are left out" in caplog.text and "flaw_operating_points" in caplog.text
    assessor = AestheticAssessor.from_pretrained(str(tmp_path / "tuned"), device="cpu")
    assert not assessor.processor.rating_scale.operating_points
    for question in ("aesthetic", "quality"):
        ratings = assessor.score([row["images"][0] for row in rows[1:]], question)
        means = np.array([rating.mean for rating in ratings])
        shares = [100 * float((means < rating.mean).mean()) for rating in ratings]
        assert [rating.percentile for rating in ratings] == pytest.approx(shares, abs=5)  # in percent; quantiles are rounded
        assert np.ptp(means) > 0
        assert assessor.processor.rating_scale.references[question] != OLD


def test_too_few_photos_leave_percentiles_out(
    rows: list[dict], known: AestheticMLLMProcessor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = trained(rows[:12], known, tmp_path / "out")
    with torch.no_grad(), caplog.at_level(logging.WARNING):
        told = save_tuned(trainer, tmp_path / "tuned")
    assert told["photos"] == 11 and not told["percentiles"]
    assert "11 photos are too few to measure them again, which takes 100" in caplog.text
    rating = AestheticAssessor.from_pretrained(str(tmp_path / "tuned"), device="cpu").score(rows[0]["images"][0])
    assert rating.percentile is None and 1 <= rating.mean <= 10
