"""Nano before alignment: tower and taught language model joined by an untrained module."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from aesthetic_mllm import AestheticMLLMConfig, AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor

from .coded_pretext_samples import TAUGHT
from .contents import CONTENTS
from .features import CANVAS
from .measuring import POOL_FOLDERS, STATISTICS, VALIDATION_FILE
from .prompts import nano_alignment_config, nano_processor
from .weights import VISION, convert_vision, fetch

UNALIGNED = "unaligned"
POOL_CACHE = "pretext_samples"  # what the tower sees of the pool


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


def make_unaligned(work: Path) -> None:
    """Writes WORK/unaligned."""
    model, processor = fresh_model(work)
    model.save_pretrained(work / UNALIGNED)
    processor.save_pretrained(work / UNALIGNED)


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
