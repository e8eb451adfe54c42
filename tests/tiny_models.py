"""Tiny random towers, language models and a tokenizer, built in milliseconds without a download."""

import copy

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    ConvNextConfig,
    Dinov2Config,
    Gemma3TextConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Siglip2VisionConfig,
    SiglipVisionConfig,
    SwinConfig,
)

from aesthetic_mllm import (
    AestheticMLLMConfig,
    AestheticMLLMForConditionalGeneration,
    AestheticMLLMImageProcessor,
    AestheticMLLMProcessor,
    MultiScaleFeatureAlignmentConfig,
)
from aesthetic_mllm.modeling.configuration_efficientnet_lite import EfficientNetLiteConfig
from aesthetic_mllm.processing.processing_aesthetic_mllm import IMAGE_TOKEN, TURN_TOKENS
from aesthetic_mllm.processing.rating_scale import RatingScale

CANVAS = 64
_VIT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "patch_size": 16,
}
_PYRAMID = {"depths": [1, 1, 1, 1], "image_size": CANVAS}
TOWERS = {
    "efficientnet_lite": EfficientNetLiteConfig(
        image_size=CANVAS, stem_channels=8, stage_channels=[8, 8, 12, 16, 16, 20, 24], stage_depths=[1] * 7
    ),
    "clip": CLIPVisionConfig(image_size=CANVAS, **_VIT),
    "siglip": SiglipVisionConfig(image_size=CANVAS, **_VIT),
    "siglip2": Siglip2VisionConfig(num_patches=16, **_VIT),
    "dinov2": Dinov2Config(image_size=CANVAS, **{k: v for k, v in _VIT.items() if k != "intermediate_size"}),
    "convnext": ConvNextConfig(hidden_sizes=[8, 16, 24, 32], **_PYRAMID),
    "swin": SwinConfig(embed_dim=8, num_heads=[1, 2, 2, 4], window_size=2, patch_size=4, **_PYRAMID),
}
_LM = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
LANGUAGE_MODELS = {
    "llama": LlamaConfig(tie_word_embeddings=True, **_LM),
    "qwen3": Qwen3Config(tie_word_embeddings=False, **_LM),
    "gemma3": Gemma3TextConfig(sliding_window=16, layer_types=["sliding_attention", "full_attention"], **_LM),
}


SPECIAL_TOKENS = ("<pad>", *TURN_TOKENS, IMAGE_TOKEN)


def tiny_tokenizer(
    special: tuple[str, ...] = SPECIAL_TOKENS, pad: str = "<pad>", eos: str = TURN_TOKENS[1]
) -> PreTrainedTokenizerFast:
    """Byte-level BPE whose every word of a rating prompt, the level words among them, is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    scale = RatingScale()
    texts = [f"{question.prompt} {question.stem}{word}" for question in scale.questions.values() for word in scale.level_words]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts * 4, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, eos_token=eos, padding_side="left")


def tiny_processor(**options: object) -> AestheticMLLMProcessor:
    return AestheticMLLMProcessor(AestheticMLLMImageProcessor(canvas_size=CANVAS), tiny_tokenizer(), **options)


def tiny_model(
    tower: str, language: str, processor: AestheticMLLMProcessor, **options: object
) -> AestheticMLLMForConditionalGeneration:
    """A random model of two named parts, in evaluation mode and with lively weights, so that differences show."""
    torch.manual_seed(0)
    text_config = copy.deepcopy(LANGUAGE_MODELS[language])
    text_config.vocab_size = len(processor.tokenizer)
    text_config.pad_token_id = processor.tokenizer.pad_token_id
    text_config.eos_token_id = processor.tokenizer.eos_token_id
    text_config.bos_token_id = None
    config = AestheticMLLMConfig(
        vision_config=copy.deepcopy(TOWERS[tower]),
        text_config=text_config,
        alignment_config=MultiScaleFeatureAlignmentConfig(
            hidden_size=16, num_attention_heads=2, intermediate_size=32, initializer_range=0.2
        ),
        image_token_id=processor.image_token_id,
        num_group_tokens=processor.num_group_tokens,
        **options,
    )
    model = AestheticMLLMForConditionalGeneration(config).eval()
    model.generation_config.eos_token_id = None  # generations of random models must not end by chance
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return model
