"""Nano before alignment: tower and taught language model joined by an untrained module, and the pool that it learns from.

    python recipes/nano/unaligned.py --data DATA --work build/nano      # after coded_pretext_samples.py

Beside the checkpoint it writes what `align.yaml` needs: the names of photos that may teach nothing, and the pool's cut points.
"""

import argparse
import random
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaForCausalLM
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticMLLMConfig, AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.recipes import measure_pool
from coded_pretext_samples import TAUGHT
from data import RatedPhoto, quality_validation, read_beauty, read_quality
from features import CANVAS, views_of
from prompts import nano_alignment_config, nano_processor
from weights import VISION, convert_vision, fetch

SEED = 0
UNALIGNED = "unaligned"
POOL_FOLDERS = ("biq2021", "photos_unlabeled")
STATISTICS_PHOTOS = 150
VALIDATION_FILE = "validation_photos.txt"  # names that the pool of unlabelled photos must not hold
QUALITY_GROUP = 0  # photos of one group may be ranked


def fresh_model(
    work: Path, language_folder: str = TAUGHT
) -> tuple[AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor]:
    """Tower, language model and an untrained alignment module in one."""
    tokenizer = AutoTokenizer.from_pretrained(work / language_folder)
    language = LlamaForCausalLM.from_pretrained(work / language_folder, dtype=torch.float32)
    tower = convert_vision(fetch(VISION, work), CANVAS)
    processor = nano_processor(tokenizer)
    config = AestheticMLLMConfig(
        vision_config=tower.config,
        text_config=language.config,
        alignment_config=nano_alignment_config(),
        image_token_id=processor.image_token_id,
        num_group_tokens=processor.num_group_tokens,
    )
    model = AestheticMLLMForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, processor


def rows_of(photos: list[RatedPhoto], question: str, group: int, rng: random.Random | None) -> list[dict[str, Any]]:
    """Rows that ask one question; with `rng`, for training, of random views: the whole photo as often as all of its crops."""
    return [
        {
            "image": photo.name,
            "view": rng.choice([0, rng.randrange(1, views_of(photo))]) if rng else 0,
            "question": question,
            "mean": photo.mean,
            "std": photo.std,
            "group": group,
        }
        for photo in photos
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    arguments = parser.parse_args()
    set_seed(SEED)
    scale = RatingScale()
    quality, beauty = read_quality(arguments.data, scale), read_beauty(arguments.data, scale)
    model, processor = fresh_model(arguments.work)
    model.save_pretrained(arguments.work / UNALIGNED)
    processor.save_pretrained(arguments.work / UNALIGNED)
    # no OASIS photo either, for what is said of beauty is validated on some of them
    unwanted = sorted(quality_validation(quality) | {photo.name for photo in beauty})
    (arguments.work / VALIDATION_FILE).write_text("\n".join(unwanted) + "\n")
    pool = open_pool([arguments.data / folder for folder in POOL_FOLDERS], exclude=unwanted)
    measure_pool(pool, PhraseBank(), STATISTICS_PHOTOS).save(arguments.work / "statistics.json")


if __name__ == "__main__":
    main()
