"""Nano before alignment: tower and taught language model joined by an untrained module, and the pool that it learns from.

Beside the checkpoint go what the alignment needs: the names of photos that may teach nothing, and the pool's cut points.
"""

from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from aesthetic_mllm import AestheticMLLMConfig, AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.pretext.photo_pool import open_pool
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.recipes import measure_pool

from .coded_pretext_samples import TAUGHT
from .contents import CONTENTS
from .features import CANVAS
from .prompts import nano_alignment_config, nano_processor
from .rated_photos import read_beauty, read_quality, split
from .weights import VISION, convert_vision, fetch

UNALIGNED = "unaligned"
POOL_FOLDERS = ("biq2021", "photos_unlabeled")
STATISTICS = "statistics.json"
POOL_CACHE = "pretext_samples"  # what the tower sees of the pool
VALIDATION_FILE = "validation_photos.txt"  # names that the pool of unlabelled photos must not hold


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


def make_unaligned(data: Path, work: Path, statistics_photos: int) -> None:
    """Writes WORK/unaligned and what stands beside it.

    Args:
        statistics_photos: of the pool that its cut points are measured on.
    """
    scale = RatingScale()
    model, processor = fresh_model(work)
    model.save_pretrained(work / UNALIGNED)
    processor.save_pretrained(work / UNALIGNED)
    _, held_out = split(read_quality(data, scale))
    # no OASIS photo either, for what is said of beauty is validated on some of them
    unwanted = sorted(photo.name for photo in (*held_out, *read_beauty(data, scale)))
    (work / VALIDATION_FILE).write_text("\n".join(unwanted) + "\n")
    pool = open_pool([data / folder for folder in POOL_FOLDERS], exclude=unwanted)
    measure_pool(pool, PhraseBank(), statistics_photos).save(work / STATISTICS)


def pool_overrides(data: Path, work: Path, model: str, seed: int) -> list[str]:
    """What `align.yaml` leaves open: the folders and the seed of this run, and which model's tower sees the pool."""
    folders = ",".join(str(data / folder) for folder in POOL_FOLDERS)
    return [
        f"model={work / model}",
        f"seed={seed}",
        f"data=[{folders}]",
        f"exclude={work / VALIDATION_FILE}",
        f"statistics={work / STATISTICS}",
        f"contents={work / CONTENTS}",
        f"feature_cache={work / POOL_CACHE}",
        f"output_dir={work / 'align'}",
    ]
