"""Tiny checkpoints in folders, as other people's towers, language models and LLaVAs would be saved."""

import copy
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    ConvNextConfig,
    ConvNextImageProcessorPil,
    ConvNextModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    SiglipImageProcessorPil,
    SiglipVisionModel,
)

from tiny_models import CANVAS, LANGUAGE_MODELS, TOWERS, tiny_tokenizer

MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
VICUNA = (
    "{%- for message in messages -%}{{ message['role'].upper() + ': ' }}{%- for item in message['content'] -%}"
    "{%- if item['type'] == 'image' -%}{{ '<image>\n' }}{%- else -%}{{ item['text'] + ' ' }}{%- endif -%}{%- endfor -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}"
)


def foreign_tokenizer(*special: str) -> PreTrainedTokenizerFast:
    """As a language model's author would save it: without the placeholders of this package."""
    return tiny_tokenizer(special=("<pad>", "<s>", "</s>", *special), pad="<pad>", eos="</s>")


def save_language_model(folder: Path, name: str) -> Path:
    torch.manual_seed(1)
    tokenizer = foreign_tokenizer()
    config = copy.deepcopy(LANGUAGE_MODELS[name])
    # authors round the vocabulary up
    config.vocab_size, config.pad_token_id, config.bos_token_id, config.eos_token_id = len(tokenizer) + 13, 0, 1, 2
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_clip(folder: Path) -> Path:
    torch.manual_seed(2)
    text = CLIPTextConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20)
    CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=TOWERS["clip"].to_dict())).save_pretrained(folder)
    size = {"height": CANVAS, "width": CANVAS}
    CLIPImageProcessorPil(size={"shortest_edge": CANVAS}, crop_size=size, image_mean=MEAN, image_std=STD).save_pretrained(folder)
    return folder


def save_convnext(folder: Path) -> Path:
    torch.manual_seed(3)
    ConvNextModel(ConvNextConfig(**_own(TOWERS["convnext"]))).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": CANVAS}, image_mean=MEAN, image_std=STD).save_pretrained(folder)
    return folder


def save_siglip(folder: Path) -> Path:
    torch.manual_seed(5)
    SiglipVisionModel(copy.deepcopy(TOWERS["siglip"])).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": CANVAS, "width": CANVAS}, image_mean=MEAN, image_std=STD).save_pretrained(folder)
    return folder


def _own(config: Any) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ("hidden_sizes", "depths", "image_size")}


def save_llava(folder: Path, tied: tuple[bool, bool], tower: Any = None, **options: Any) -> Path:
    """`tied`: what the whole's and what the language model's configuration say about its embeddings."""
    torch.manual_seed(4)
    tokenizer = foreign_tokenizer("<image>")
    text_config = copy.deepcopy(LANGUAGE_MODELS["llama"])
    text_config.vocab_size, text_config.pad_token_id, text_config.bos_token_id = len(tokenizer) + 13, 0, 1
    text_config.tie_word_embeddings = tied[1]
    config = LlavaConfig(
        vision_config=copy.deepcopy(tower or TOWERS["clip"]),
        text_config=text_config,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=tied[0],
        **{"vision_feature_layer": -2} | options,
    )
    model = LlavaForConditionalGeneration(config)
    for weight in model.parameters():  # so lively that differences show
        torch.nn.init.normal_(weight, std=0.15)
    model.save_pretrained(folder)
    size = {"height": CANVAS, "width": CANVAS}
    strategy = config.vision_feature_select_strategy
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": CANVAS}, crop_size=size, image_mean=MEAN, image_std=STD),
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=1 if strategy == "default" else 0,
        chat_template=VICUNA,
    ).save_pretrained(folder)
    return folder
