"""A checkpoint is loaded whole, or not at all."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from aesthetic_mllm import (
    AestheticMLLMConfig,
    AestheticMLLMForConditionalGeneration,
    AestheticMLLMModel,
    AestheticMLLMProcessor,
    CheckpointError,
)
from photo_files import scene
from tiny_models import tiny_model


@pytest.fixture
def folder(tmp_path: Path, processor: AestheticMLLMProcessor) -> Path:
    tiny_model("efficientnet_lite", "llama", processor).save_pretrained(tmp_path)
    return tmp_path


def change(folder: Path, name: str, weight: torch.Tensor | None) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop(name, None)
    if weight is not None:
        weights[name] = weight
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


NAME = "model.multi_modal_projector.qformers.low.queries"


@pytest.mark.parametrize(
    ("name", "weight"),
    [(NAME, None), ("model.surprise.weight", torch.zeros(2)), (NAME, torch.zeros(1, 2, 3))],
    ids=["missing", "unexpected", "misshapen"],
)
def test_a_wrong_weight_is_an_error_that_names_it(folder: Path, name: str, weight: torch.Tensor | None) -> None:
    """Missing, unexpected and misshapen weights stop the loading, in both doors."""
    change(folder, name, weight)
    for door in (AestheticMLLMForConditionalGeneration, AestheticMLLMModel):
        with pytest.raises(CheckpointError, match=name.removeprefix("model.").replace(".", r"\.")):
            door.from_pretrained(folder)


def test_only_safetensors_load(folder: Path) -> None:
    """A pickled checkpoint is refused, because loading one can run code."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match="safetensors"):
        AestheticMLLMForConditionalGeneration.from_pretrained(folder)


def test_dtype_and_device_are_the_callers(folder: Path) -> None:
    """dtype="auto" is the stored one, another is what was asked for; device_map="auto" works."""
    AestheticMLLMForConditionalGeneration.from_pretrained(folder).bfloat16().save_pretrained(folder)
    load = AestheticMLLMForConditionalGeneration.from_pretrained
    assert load(folder, dtype="auto", device_map="auto").dtype == torch.bfloat16
    assert load(folder, dtype=torch.float32).dtype == torch.float32


def test_the_headless_door_gives_embeddings(folder: Path, processor: AestheticMLLMProcessor) -> None:
    """AutoModel's class gives tokens [N, T, D] and an embedding [N, D] for each group, equal to the whole model's."""
    pixels = processor.image_processor([scene(), scene(40, 90)], return_tensors="pt")
    model = AestheticMLLMModel.from_pretrained(folder).eval()
    whole = AestheticMLLMForConditionalGeneration.from_pretrained(folder).eval()
    with torch.inference_mode():
        output, features = model(**pixels), whole.get_image_features(**pixels)
    assert output.image_hidden_states.shape == (2, processor.num_image_tokens, 32)
    assert len(features.pooler_output) == 2 and features.pooler_output[0].shape == (processor.num_image_tokens, 32)
    for group in ("low", "middle", "high", "thematic"):
        embedding = getattr(output, f"{group}_embeds")
        assert embedding.shape == (2, 32)
        assert torch.allclose(embedding, getattr(features, f"{group}_embeds"), atol=1e-6)


def test_input_mistakes_are_named(folder: Path, processor: AestheticMLLMProcessor) -> None:
    """A prompt without placeholders, two photos for one place, or no input at all is an error that says so."""
    model = AestheticMLLMForConditionalGeneration.from_pretrained(folder)
    inputs = dict(processor.rating_inputs(scene()))
    with pytest.raises(ValueError, match="no placeholder"):
        model(**inputs | {"input_ids": torch.tensor([[9, 9]]), "attention_mask": None})
    with pytest.raises(ValueError, match="exactly one"):
        model()
    features = model.get_image_features(inputs["pixel_values"], inputs["image_sizes"])
    with pytest.raises(ValueError, match="not both"):
        model(**inputs, mm_encoder_outputs={"image": features})


def test_configuration_survives_saving(tmp_path: Path) -> None:
    """A configuration with every part set comes back equal; wrong placeholders are refused."""
    config = AestheticMLLMConfig(alignment_config={"hidden_size": 64, "thematic_grid": None, "feature_layers": None})
    config.save_pretrained(tmp_path)
    assert AestheticMLLMConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()
    with pytest.raises(ValueError, match="placeholder id of its own"):
        AestheticMLLMConfig(group_token_ids={"low": 1, "middle": 1, "high": 2, "thematic": 3})
