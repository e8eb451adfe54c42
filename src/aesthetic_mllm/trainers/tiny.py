"""A tiny random model, to try a recipe and its data in seconds before a real one is loaded."""

from collections.abc import Iterator

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from ..modeling.configuration_aesthetic_mllm import AestheticMLLMConfig, MultiScaleFeatureAlignmentConfig
from ..modeling.configuration_efficientnet_lite import EfficientNetLiteConfig
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..pretext.phrase_bank import PhraseBank
from ..pretext.pretext_samples import LEVELS
from ..processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from ..processing.processing_aesthetic_mllm import IMAGE_TOKEN, TURN_TOKENS, AestheticMLLMProcessor
from ..processing.rating_scale import RatingScale

CANVAS = 64
PAD = "<pad>"
VOCABULARY = 1_000


def tiny_model(seed: int = 0) -> tuple[AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor]:
    """A random model of nano's kind with some 100,000 parameters, and its processor; it can do nothing."""
    torch.manual_seed(seed)
    processor = AestheticMLLMProcessor(AestheticMLLMImageProcessor(canvas_size=CANVAS), _tokenizer())
    tokenizer = processor.tokenizer
    text_config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    config = AestheticMLLMConfig(
        vision_config=EfficientNetLiteConfig(
            image_size=CANVAS, stem_channels=8, stage_channels=[8, 8, 12, 16, 16, 20, 24], stage_depths=[1] * 7
        ),
        text_config=text_config,
        alignment_config=MultiScaleFeatureAlignmentConfig(hidden_size=16, num_attention_heads=2, intermediate_size=32),
        image_token_id=processor.image_token_id,
        num_group_tokens=processor.num_group_tokens,
    )
    return AestheticMLLMForConditionalGeneration(config).eval(), processor


def _tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE to which the words of ratings and pretext samples are tokens; each level word must be one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, *TURN_TOKENS, IMAGE_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=TURN_TOKENS[1], padding_side="left")


def _texts() -> Iterator[str]:
    scale = RatingScale()
    for question in scale.questions.values():
        for word in scale.level_words:
            # often enough that the level words are merged before any words of the pretext samples
            yield from [f"{question.prompt} {question.stem}{word}"] * 200
    bank = PhraseBank()
    for level in LEVELS:
        for target_text in bank.every_target_text(level):
            yield f"{target_text.question} {target_text.text}"
