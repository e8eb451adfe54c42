"""Models grown from checkpoints that others trained: their parts go on working as they did."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    CLIPModel,
    ConvNextBackbone,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    SiglipVisionModel,
)

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor, CheckpointError
from photo_files import scene
from tiny_checkpoints import MEAN, save_clip, save_convnext, save_language_model, save_llava, save_siglip
from tiny_models import CANVAS, TOWERS


@torch.inference_mode()
@pytest.mark.parametrize(("save_tower", "language"), [(save_clip, "llama"), (save_convnext, "qwen3"), (save_siglip, "gemma3")])
def test_a_tower_and_a_language_model_become_one(save_tower: Any, language: str, tmp_path: Path) -> None:
    """Both parts keep their weights, the image processor its normalisation; the whole rates, saves and loads."""
    vision, text = save_tower(tmp_path / "vision"), save_language_model(tmp_path / "text", language)
    counts = {"low": 2, "middle": 3, "high": 4, "thematic": 4}
    processor = AestheticMLLMProcessor.from_vision_text_pretrained(vision, text, num_group_tokens=counts)
    model = AestheticMLLMForConditionalGeneration.from_vision_text_pretrained(
        vision, text, processor, hidden_size=16, num_attention_heads=2, intermediate_size=32
    )
    assert processor.image_processor.canvas_size == CANVAS
    assert processor.image_processor.image_mean == pytest.approx(MEAN)
    assert processor.tokenizer.padding_side == "left"

    # words alone: the language model as it was
    words = processor.tokenizer("The aesthetic quality of this photo is", return_tensors="pt")["input_ids"]
    alone = AutoModelForCausalLM.from_pretrained(text).eval()
    known = alone.config.vocab_size - 13
    assert torch.allclose(model(input_ids=words).logits[..., :known], alone(words).logits[..., :known], atol=1e-5)

    # a photo alone: the tower as it was
    pixels = processor.image_processor(scene(CANVAS, CANVAS), return_tensors="pt")["pixel_values"]
    if save_tower is save_convnext:
        stages = ["stem", "stage1", "stage2", "stage3", "stage4"]
        expected = ConvNextBackbone.from_pretrained(vision, out_features=stages).eval()(pixels).feature_maps
        seen = model.model.vision_tower(pixels).feature_maps
    else:
        original = (
            CLIPModel.from_pretrained(vision).vision_model
            if save_tower is save_clip
            else SiglipVisionModel.from_pretrained(vision)
        )
        expected = original.eval()(pixels, output_hidden_states=True).hidden_states
        seen = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    assert len(seen) > 3
    for theirs, ours in zip(expected, seen, strict=True):
        assert torch.allclose(theirs, ours, atol=1e-6)

    inputs = processor.rating_inputs([scene(60, 30), scene(30, 60)], "quality")
    ratings = processor.decode_ratings(model(**inputs).logits, "quality")
    model.save_pretrained(tmp_path / "whole")
    processor.save_pretrained(tmp_path / "whole")
    again = AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path / "whole").eval()
    inputs = AestheticMLLMProcessor.from_pretrained(tmp_path / "whole").rating_inputs([scene(60, 30), scene(30, 60)], "quality")
    assert processor.decode_ratings(again(**inputs).logits, "quality") == ratings
    assert ratings[0] != ratings[1]


@pytest.mark.parametrize("part", ["vision", "text"])
def test_an_incomplete_part_is_an_error(part: str, tmp_path: Path) -> None:
    """A tower or a language model that lacks a weight is refused by that weight's name, never left random."""
    vision, text = save_clip(tmp_path / "vision"), save_language_model(tmp_path / "text", "qwen3")
    processor = AestheticMLLMProcessor.from_vision_text_pretrained(vision, text)
    file = tmp_path / part / "model.safetensors"
    weights = load_file(file)
    lost = next(name for name in weights if name.endswith("layers.0.self_attn.q_proj.weight") and "text_model" not in name)
    del weights[lost]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"layers\.0\.self_attn\.q_proj\.weight"):
        AestheticMLLMForConditionalGeneration.from_vision_text_pretrained(vision, text, processor)


def test_thematic_tokens_must_form_a_grid(tmp_path: Path, processor: Any) -> None:
    """A number of thematic tokens that no square grid has is refused before anything is loaded."""
    odd = AestheticMLLMProcessor(processor.image_processor, processor.tokenizer, num_group_tokens={"low": 1, "thematic": 5})
    with pytest.raises(ValueError, match="5 tokens"):
        AestheticMLLMForConditionalGeneration.from_vision_text_pretrained("no-vision", "no-text", odd)


@torch.inference_mode()
@pytest.mark.parametrize(
    "options",
    [
        {"tied": (True, True)},
        {"tied": (False, False)},
        {"tied": (False, True)},
        {"tied": (True, False)},
        {"tied": (False, False), "tower": TOWERS["siglip"], "vision_feature_select_strategy": "full", "vision_feature_layer": -1},
        {"tied": (False, False), "multimodal_projector_bias": False, "projector_hidden_act": "silu"},
    ],
    ids=["tied", "untied", "tied-in-text-only", "tied-in-whole-only", "siglip-full", "other-projector"],
)
def test_a_llava_stays_itself(options: dict, tmp_path: Path) -> None:
    """With the aesthetic groups off, the grown model's logits are the original's on identical pixels and tokens; its own
    processor makes those pixels and tokens from the same photo; saved and loaded it is still so."""
    folder = save_llava(tmp_path / "llava", **options)
    original = LlavaForConditionalGeneration.from_pretrained(folder).eval()
    theirs = LlavaProcessor.from_pretrained(folder, backend="pil")
    photos = [scene(100, 70), scene(70, 131)]
    text = ["<image>\nHow good is this photo? ASSISTANT:", "Rate the quality of this <image> photo: The aesthetic quality is"]
    asked = theirs(images=photos, text=text, padding=True, padding_side="left", return_tensors="pt")
    expected = original(**asked).logits

    cells = (CANVAS // 16) ** 2
    off = {"low": 0, "middle": 0, "high": 0, "thematic": cells}
    processor = AestheticMLLMProcessor.from_llava_pretrained(folder, num_group_tokens=off)
    model = AestheticMLLMForConditionalGeneration.from_llava_pretrained(
        folder, processor, hidden_size=16, num_attention_heads=2, intermediate_size=32
    )
    real = asked["attention_mask"].bool()
    known = len(theirs.tokenizer)
    assert torch.allclose(model(**asked).logits[real][:, :known], expected[real][:, :known], atol=1e-5)

    ours = processor(images=photos, text=text, padding=True, return_tensors="pt")
    assert torch.equal(ours["input_ids"], asked["input_ids"])
    assert torch.allclose(ours["pixel_values"], asked["pixel_values"], atol=1e-5)
    # our pixels differ by rounding, and come with the photos' sizes: the whole canvas
    assert torch.allclose(model(**ours).logits[real][:, :known], expected[real][:, :known], atol=1e-4)

    model.save_pretrained(tmp_path / "grown")
    again = AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path / "grown").eval()
    assert torch.equal(again(**asked).logits, model(**asked).logits)


@torch.inference_mode()
def test_a_grown_llava_gains_the_aesthetic_groups(tmp_path: Path) -> None:
    """By default a photo shows all four groups, the thematic one unpooled, in LLaVA's own chat format."""
    folder = save_llava(tmp_path / "llava", tied=(False, False))
    processor = AestheticMLLMProcessor.from_llava_pretrained(folder)
    model = AestheticMLLMForConditionalGeneration.from_llava_pretrained(
        folder, processor, hidden_size=16, num_attention_heads=2, intermediate_size=32
    )
    assert processor.num_group_tokens == {"low": 8, "middle": 8, "high": 8, "thematic": 16}
    prompt = processor.rating_prompt()
    assert prompt.startswith("USER: <image>\n") and prompt.endswith("ASSISTANT: The aesthetic quality of this photo is")
    output = model(**processor.rating_inputs(scene(70, 50)))
    assert output.image_hidden_states.shape == (1, 40, 32)
    assert torch.isfinite(output.logits).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vision_feature_layer": [-2, -1]}, "vision_feature_layer"),
        ({"vision_feature_select_strategy": "full"}, "vision_feature_select_strategy"),
    ],
)
def test_llavas_that_would_not_stay_themselves_are_refused(options: dict, message: str, tmp_path: Path, processor: Any) -> None:
    """Several projected layers, or a class token among the photo's tokens, have no counterpart here."""
    folder = save_llava(tmp_path, tied=(False, False), **options)
    with pytest.raises(ValueError, match=message):
        AestheticMLLMForConditionalGeneration.from_llava_pretrained(folder, processor)
