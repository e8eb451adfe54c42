"""Models grown from pretrained parts keep what the parts knew."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoBackbone,
    AutoModel,
    AutoModelForCausalLM,
    CLIPImageProcessorPil,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    SiglipImageProcessorPil,
)

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from photo_files import scene
from tiny_models import CANVAS, LANGUAGE_MODELS, TOWERS, tiny_tokenizer

LLAVA_TEMPLATE = (
    "{% for message in messages %}USER: {% for item in message['content'] %}"
    "{% if item['type'] == 'image' %}<image>{% else %}{{ item['text'] }}{% endif %}"
    "{% endfor %} {% endfor %}ASSISTANT:"
)
STATISTICS = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}


def save_parts(tower: str, language: str, folder: Path) -> tuple[str, str]:
    torch.manual_seed(0)
    vision, text = folder / "vision", folder / "text"
    config = copy.deepcopy(TOWERS[tower])
    (AutoBackbone if hasattr(config, "depths") else AutoModel).from_config(config).save_pretrained(vision)
    SiglipImageProcessorPil(size={"height": CANVAS, "width": CANVAS}, **STATISTICS).save_pretrained(vision)
    tokenizer = tiny_tokenizer()
    config = copy.deepcopy(LANGUAGE_MODELS[language])
    config.vocab_size = len(tokenizer) + 20
    AutoModelForCausalLM.from_config(config).save_pretrained(text)
    tokenizer.save_pretrained(text)
    return str(vision), str(text)


@pytest.mark.parametrize(("tower", "language"), [("clip", "llama"), ("convnext", "qwen3"), ("siglip", "gemma3")])
def test_growing_from_two_checkpoints(tower: str, language: str, tmp_path: Path) -> None:
    """Both parts keep their weights and the tower its normalisation; the model rates, saves and loads."""
    vision, text = save_parts(tower, language, tmp_path)
    processor = AestheticMLLMProcessor.from_vision_text_pretrained(vision, text)
    model = AestheticMLLMForConditionalGeneration.from_vision_text_pretrained(vision, text, processor)
    assert processor.image_processor.canvas_size == CANVAS
    assert processor.image_processor.image_mean == STATISTICS["image_mean"]
    source = AutoModelForCausalLM.from_pretrained(text)
    rows = min(len(processor.tokenizer), source.config.vocab_size)
    assert torch.equal(source.get_input_embeddings().weight[:rows], model.get_input_embeddings().weight[:rows])
    words = torch.arange(20, 30)[None]
    with torch.inference_mode():
        assert torch.allclose(source(words).logits[..., :rows], model(words).logits[..., :rows], atol=1e-5)
    inputs = processor.rating_inputs([scene(), scene(40, 90)])
    model.save_pretrained(tmp_path / "grown"), processor.save_pretrained(tmp_path / "grown")
    again = AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path / "grown").eval()
    with torch.inference_mode():
        ratings, same = (processor.decode_ratings(m(**inputs).logits) for m in (model, again))
    assert len(ratings) == 2 and ratings == same


@pytest.mark.parametrize("tied", [True, False])
def test_a_llava_stays_the_same_without_aesthetic_groups(tied: bool, tmp_path: Path) -> None:
    """With the aesthetic groups off, logits equal the original's on the same pixel_values and input_ids."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    text = copy.deepcopy(LANGUAGE_MODELS["llama"])
    text.vocab_size, text.tie_word_embeddings = len(tokenizer), tied
    config = LlavaConfig(
        vision_config=copy.deepcopy(TOWERS["clip"]),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=tied,
    )
    llava = LlavaForConditionalGeneration(config).eval()
    llava.save_pretrained(tmp_path)
    policy = CLIPImageProcessorPil(size={"shortest_edge": CANVAS}, crop_size={"height": CANVAS, "width": CANVAS}, **STATISTICS)
    original = LlavaProcessor(
        policy,
        tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    original.save_pretrained(tmp_path)

    off = {"low": 0, "middle": 0, "high": 0, "thematic": 16}
    processor = AestheticMLLMProcessor.from_llava_pretrained(str(tmp_path), num_group_tokens=off)
    grown = AestheticMLLMForConditionalGeneration.from_llava_pretrained(str(tmp_path), processor)
    photos = [scene(80, 50), scene(50, 90)]
    prompts = ["<image> is good", "a photo, <image> fair"]
    theirs = original(images=photos, text=prompts, padding=True, return_tensors="pt")
    ours = processor(images=photos, text=prompts, padding=True, return_tensors="pt")
    assert torch.equal(theirs["input_ids"], ours["input_ids"])
    assert torch.allclose(theirs["pixel_values"], ours["pixel_values"], atol=1e-5)
    shared = {name: theirs[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    with torch.inference_mode():
        before, after = (m(**shared).logits for m in (llava, grown))
        with_sizes = grown(**shared, image_sizes=ours["image_sizes"]).logits
    size = before.shape[-1]
    real = shared["attention_mask"].bool()
    assert torch.allclose(before[real], after[..., :size][real], atol=1e-5)
    assert torch.allclose(before[real], with_sizes[..., :size][real], atol=1e-5)
    assert processor.rating_prompt().endswith("ASSISTANT: " + processor.rating_scale.question().stem)


def test_a_llavas_aesthetic_groups_can_be_switched_on(tmp_path: Path) -> None:
    """The grown model takes prompts with all groups, whose number of tokens the processor knows."""
    test_a_llava_stays_the_same_without_aesthetic_groups(True, tmp_path)
    processor = AestheticMLLMProcessor.from_llava_pretrained(str(tmp_path))
    grown = AestheticMLLMForConditionalGeneration.from_llava_pretrained(str(tmp_path), processor)
    inputs = processor.rating_inputs(scene())
    assert processor.num_image_tokens == 24 + 16
    with torch.inference_mode():
        assert len(processor.decode_ratings(grown(**inputs).logits)) == 1
