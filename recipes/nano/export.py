"""Puts a trained nano into the package, with the reference ratings that percentiles refer to.

    python recipes/nano/export.py --data DATA --work build/nano

The reference photos are the 1,000 BIQ2021 validation photos, for every question.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration
from aesthetic_mllm.processing.rating_scale import RatingScale
from data import quality_validation, read_quality

EMBEDDED = Path(__file__).parents[2] / "src" / "aesthetic_mllm" / "checkpoints" / "nano"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--source", type=Path, help="checkpoint to put there (default: WORK/final)")
    parser.add_argument("--target", type=Path, default=EMBEDDED)
    arguments = parser.parse_args()
    source = arguments.source or arguments.work / "final"
    photos = read_quality(arguments.data, RatingScale())
    names = quality_validation(photos)
    assessor = AestheticAssessor.from_pretrained(source)
    scale = assessor.processor.rating_scale
    # flaws have operating points instead (flaws_exam.py)
    questions = [question for question in scale.questions if not question.startswith("flaw_")]
    rated = assessor.ratings([photo.path for photo in photos if photo.name in names], questions)
    references = {
        question: np.quantile([ratings[question].mean for ratings in rated], np.linspace(0, 1, 101)).round(4).tolist()
        for question in questions
    }
    assessor.processor.rating_scale = replace(scale, references=references)
    shutil.rmtree(arguments.target, ignore_errors=True)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(source, dtype=torch.float32)
    model.config.text_config._name_or_path = ""  # a folder of whoever trained it
    model.bfloat16().save_pretrained(arguments.target)
    assessor.processor.save_pretrained(arguments.target)
    size = sum(path.stat().st_size for path in arguments.target.rglob("*") if path.is_file())
    print(f"{arguments.target.name}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
