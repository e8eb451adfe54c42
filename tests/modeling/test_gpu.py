"""The model matrix where there is a GPU: bfloat16, with flash attention for tower and language model where that is installed."""

from typing import Any

import pytest
import torch
from transformers.utils import is_flash_attn_2_available

from photo_files import scene
from tiny_models import LANGUAGE_MODELS, TOWERS, tiny_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
PAIRS = [(tower, language) for tower in TOWERS for language in LANGUAGE_MODELS]


def batch_and_singles(processor: Any) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    photos, questions = [scene(60, 30), scene(40, 64)], ["aesthetic", "quality"]
    singles = [processor.rating_inputs(photo, question).to("cuda") for photo, question in zip(photos, questions, strict=True)]
    texts = [processor.rating_prompt(question) for question in questions]
    together = processor(images=photos, text=texts, padding=True, return_tensors="pt").to("cuda")
    return together, singles


@torch.inference_mode()
@pytest.mark.parametrize(("tower", "language"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_gpu_equals_cpu(processor: Any, tower: str, language: str) -> None:
    """Float32 logits are the CPU's, alone and in a batch; bfloat16 distributions are close to them; generation runs."""
    model = tiny_model(tower, language, processor)
    inputs = processor.rating_inputs([scene(60, 30), scene(40, 64)])
    expected = model(**inputs, logits_to_keep=1).logits[:, -1]
    model.to("cuda")
    together, singles = batch_and_singles(processor)
    seen = model(**inputs.to("cuda"), logits_to_keep=1).logits[:, -1].cpu()
    assert torch.allclose(seen, expected, atol=1e-3)
    batched = model(**together, logits_to_keep=1).logits[:, -1]
    alone = torch.cat([model(**single, logits_to_keep=1).logits[:, -1] for single in singles])
    assert torch.allclose(batched, alone, atol=1e-3)
    model.bfloat16()
    rough = model(**inputs.to("cuda"), logits_to_keep=1).logits[:, -1].float().cpu()
    assert (rough.softmax(-1) - expected.softmax(-1)).abs().sum(-1).max() < 0.15
    generated = model.generate(**singles[0], max_new_tokens=4, do_sample=False)
    assert generated.shape[1] == singles[0]["input_ids"].shape[1] + 4


@torch.inference_mode()
@pytest.mark.skipif(not is_flash_attn_2_available(), reason="flash-attn is not installed")
@pytest.mark.parametrize(("tower", "language"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_flash_attention_equals_sdpa(processor: Any, tower: str, language: str) -> None:
    """Flash attention in the language model, and in the tower where it has it, gives sdpa's distribution in bfloat16."""
    model = tiny_model(tower, language, processor).to("cuda", torch.bfloat16)
    together, _ = batch_and_singles(processor)
    expected = model(**together, logits_to_keep=1).logits[:, -1].float()
    wanted = {"text_config": "flash_attention_2"}
    if model.model.vision_tower._supports_flash_attn and tower != "siglip2":  # whose mask of patches needs sdpa
        wanted["vision_config"] = "flash_attention_2"
    model.set_attn_implementation(wanted)
    assert model.config.text_config._attn_implementation == "flash_attention_2"
    seen = model(**together, logits_to_keep=1).logits[:, -1].float()
    assert (seen.softmax(-1) - expected.softmax(-1)).abs().sum(-1).max() < 0.05
