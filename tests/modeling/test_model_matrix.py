"""What holds for every vision tower with every language model."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.modeling.vision_tower import tower_channels
from photo_files import scene
from tiny_models import CANVAS, LANGUAGE_MODELS, TOWERS, tiny_model

PAIRS = [(tower, language) for tower in TOWERS for language in LANGUAGE_MODELS]
# Attention and sums in another order differ by rounding; a wrong mask or position differs by far more.
TOLERANCE = 2e-5


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def model(request: pytest.FixtureRequest, processor: AestheticMLLMProcessor) -> Iterator[Any]:
    yield tiny_model(*request.param, processor)


@pytest.fixture(scope="module")
def mixed(processor: AestheticMLLMProcessor) -> list[dict[str, torch.Tensor]]:
    """Three prompts of different lengths with photos of different shapes; the last has two photos."""
    photos = [scene(90, 40), scene(33, 80), scene(64, 64), scene(50, 70)]
    image, text = processor.image_token, processor.rating_prompt
    prompts = [text("aesthetic"), image + " is good", f"{image} fair {image} excellent, " + text("quality").replace(image, "")]
    first = 0
    samples = []
    for prompt in prompts:
        count = prompt.count(image)
        samples.append(processor(images=photos[first : first + count], text=[prompt], return_tensors="pt"))
        first += count
    return samples


def batch_of(samples: list[dict[str, torch.Tensor]], pad: int, side: str) -> dict[str, torch.Tensor]:
    length = max(sample["input_ids"].shape[1] for sample in samples)
    ids = torch.full((len(samples), length), pad)
    mask = torch.zeros_like(ids)
    for row, sample in enumerate(samples):
        size = sample["input_ids"].shape[1]
        place = slice(0, size) if side == "right" else slice(length - size, length)
        ids[row, place] = sample["input_ids"][0]
        mask[row, place] = 1
    photos = {name: torch.cat([sample[name] for sample in samples]) for name in ("pixel_values", "image_sizes")}
    return {"input_ids": ids, "attention_mask": mask, **photos}


@torch.inference_mode()
def logits_of(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**inputs).logits


@pytest.mark.parametrize("side", ["left", "right"])
def test_batch_equals_single(model: Any, mixed: list, processor: AestheticMLLMProcessor, side: str) -> None:
    """Prompts padded on either side, with photos of any shape and number, give the logits that each gives alone."""
    together = logits_of(model, batch_of(mixed, processor.tokenizer.pad_token_id, side))
    for row, sample in enumerate(mixed):
        alone = logits_of(model, dict(sample))[0]
        part = together[row, : len(alone)] if side == "right" else together[row, -len(alone) :]
        assert torch.allclose(part, alone, atol=TOLERANCE), (part - alone).abs().max()


def test_photos_matter(model: Any, mixed: list) -> None:
    """Another photo, or the same one said to be of another size, gives other logits."""
    sample = dict(mixed[0])
    before = logits_of(model, sample)
    other = logits_of(model, sample | {"pixel_values": sample["pixel_values"].flip(-1)})
    smaller = logits_of(model, sample | {"image_sizes": sample["image_sizes"] // 2})
    assert not torch.allclose(before, other, atol=1e-4) and not torch.allclose(before, smaller, atol=1e-4)


def test_cached_generation_equals_uncached(model: Any, mixed: list) -> None:
    """Greedy decoding has the same logits at each step with the cache as without, and the photo is not sent again."""
    sample = dict(mixed[2])
    cached, uncached = (
        model.generate(
            **sample,
            max_new_tokens=6,
            do_sample=False,
            use_cache=use_cache,
            return_dict_in_generate=True,
            output_logits=True,
        )
        for use_cache in (True, False)
    )
    assert torch.equal(cached.sequences, uncached.sequences)
    assert cached.sequences.shape[1] == sample["input_ids"].shape[1] + 6
    # random models often repeat one word, so equal words alone prove little
    for with_cache, without in zip(cached.logits, uncached.logits, strict=True):
        assert torch.allclose(with_cache, without, atol=TOLERANCE)


def test_saved_and_loaded_is_the_same(model: Any, mixed: list, tmp_path: Path) -> None:
    """Every weight survives, and so do the logits."""
    model.save_pretrained(tmp_path)
    loaded = AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path).eval()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, loaded.state_dict()[name]), name
    assert torch.equal(logits_of(model, dict(mixed[0])), logits_of(loaded, dict(mixed[0])))


def test_eager_equals_sdpa(model: Any, mixed: list, processor: AestheticMLLMProcessor) -> None:
    """Both attention implementations compute the same, padding included."""
    batch = batch_of(mixed, processor.tokenizer.pad_token_id, "left")
    real = batch["attention_mask"].bool()  # what padding itself attends to is nobody's concern
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    assert torch.allclose(logits_of(model, batch)[real], logits_of(eager, batch)[real], atol=TOLERANCE)


def test_level_logits_are_the_last_logits(model: Any, mixed: list, processor: AestheticMLLMProcessor) -> None:
    """The short way to a rating gives the level words' logits of the long way; logits_to_keep keeps the last position."""
    sample = dict(mixed[0])
    whole = logits_of(model, sample)
    with torch.inference_mode():
        kept = model(**sample, logits_to_keep=1).logits
        levels = model.level_logits(processor.level_ids, **sample)
    assert kept.shape[1] == 1 and torch.allclose(kept[:, 0], whole[:, -1], atol=TOLERANCE)
    assert torch.allclose(levels, whole[:, -1, processor.level_ids], atol=TOLERANCE)


def test_bfloat16_is_close(model: Any, mixed: list) -> None:
    """In bfloat16 the level distribution stays near the float32 one."""
    low = copy.deepcopy(model).bfloat16()
    sample = dict(mixed[0])
    high, rough = (logits_of(m, sample)[:, -1].float().softmax(-1) for m in (model, low))
    assert (high - rough).abs().sum() < 0.15


def test_gradient_checkpointing_changes_nothing(model: Any, mixed: list) -> None:
    """Loss and gradients are the same with activations computed twice."""
    sample = dict(mixed[0])
    sample["labels"] = sample["input_ids"]
    results = []
    for checkpointing in (False, True):
        trained = copy.deepcopy(model)
        trained.model.vision_tower.requires_grad_(False)
        if checkpointing:
            trained.gradient_checkpointing_enable()
        trained.train()
        for module in trained.modules():  # dropout would draw anew
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = 0.0
            if hasattr(module, "drop_prob"):  # Swin leaves out whole blocks
                module.drop_prob = 0.0
        loss = trained(**sample).loss
        loss.backward()
        results.append((loss.item(), trained.model.multi_modal_projector.qformers["low"].queries.grad))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-5)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-5)
    assert results[0][1].abs().sum() > 0


def test_lora_wraps_learns_and_saves(model: Any, mixed: list, tmp_path: Path) -> None:
    """peft finds the language model's layers; a step changes the answer; the saved adapter gives the changed answer back."""
    sample = dict(mixed[0])
    before = logits_of(model, sample)
    config = LoraConfig(r=2, target_modules=r".*language_model.*\.(q_proj|v_proj)", modules_to_save=["multi_modal_projector"])
    adapted = get_peft_model(copy.deepcopy(model), config)
    optimizer = torch.optim.SGD([weight for weight in adapted.parameters() if weight.requires_grad], lr=0.5)
    for _ in range(2):
        adapted(**sample, labels=sample["input_ids"]).loss.backward()
        optimizer.step()
    adapted.eval()
    after = logits_of(adapted, sample)
    assert not torch.allclose(before, after, atol=1e-4)
    adapted.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(copy.deepcopy(model), tmp_path).eval()
    assert torch.allclose(after, logits_of(again, sample), atol=TOLERANCE)


def test_garbage_in_padded_cells_changes_no_token(model: Any, mixed: list) -> None:
    """Padding cells are neither keys nor pooled, whichever widths the tower's maps have."""
    sample = mixed[0]
    projector = model.model.multi_modal_projector
    sizes = sample["image_sizes"]
    torch.manual_seed(1)
    maps = {}
    for group, layer in model.model.feature_layers.items():
        maps[group] = torch.randn(1, 8, 8, tower_channels(model.config.vision_config, layer))
    spoiled = {group: features.clone() for group, features in maps.items()}
    rows, columns = (-(-int(size) // (CANVAS // 8)) for size in sizes[0])
    for features in spoiled.values():
        features[:, rows:], features[:, :, columns:] = 1e3, -1e3
    with torch.inference_mode():
        clean, dirty = (projector(m, sizes, (CANVAS, CANVAS)) for m in (maps, spoiled))
    for group in clean:
        assert torch.allclose(clean[group], dirty[group], atol=TOLERANCE), group
