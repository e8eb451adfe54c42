"""Doors of a checkpoint: what opens it, what each gives, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText

from aesthetic_mllm import (
    AestheticMLLMConfig,
    AestheticMLLMForConditionalGeneration,
    AestheticMLLMModel,
    CheckpointError,
    MultiScaleFeatureAlignmentConfig,
)
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from photo_files import scene
from tiny_models import LANGUAGE_MODELS, TOWERS, tiny_model

WEIGHT = "model.multi_modal_projector.qformers.low.queries"


@pytest.fixture(scope="module")
def inputs(processor: Any) -> dict[str, torch.Tensor]:
    return processor.rating_inputs([scene(60, 40), scene(30, 50)])


@pytest.fixture
def changed(checkpoint: Path, tmp_path: Path) -> Callable[[Callable[[dict], Any]], Path]:
    """The checkpoint with its weights changed."""

    def change(how: Callable[[dict], Any]) -> Path:
        folder = shutil.copytree(checkpoint, tmp_path / "changed")
        weights = load_file(folder / "model.safetensors")
        how(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return change


@pytest.mark.parametrize("door", [AestheticMLLMForConditionalGeneration, AestheticMLLMModel])
@pytest.mark.parametrize(
    ("how", "named"),
    [
        (lambda weights: weights.pop(WEIGHT), "qformers.low.queries"),
        (lambda weights: weights.update({"model.multi_modal_projector.stray": torch.ones(1)}), "multi_modal_projector.stray"),
        (lambda weights: weights.update({WEIGHT: weights[WEIGHT][..., :-1].clone()}), "qformers.low.queries"),
    ],
    ids=["missing", "unexpected", "misshapen"],
)
def test_weights_that_do_not_fit_are_an_error(changed: Any, door: Any, how: Callable, named: str) -> None:
    """A weight that is missing, unknown or of another shape is never made up or left out; the message names it and the folder."""
    folder = changed(how)
    with pytest.raises(CheckpointError) as error:
        door.from_pretrained(folder)
    assert named in str(error.value) and str(folder) in str(error.value)


def test_only_safetensors_load(checkpoint: Path, tmp_path: Path) -> None:
    """A pickled checkpoint, which could run code, is refused, also when it is asked for."""
    folder = shutil.copytree(checkpoint, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    for options in ({}, {"use_safetensors": False}):
        with pytest.raises(OSError, match="safetensors"):
            AestheticMLLMForConditionalGeneration.from_pretrained(folder, **options)


def test_loading_info_is_given_to_who_asks(checkpoint: Path) -> None:
    """`output_loading_info=True` works as in transformers, and a good checkpoint has nothing to report."""
    model, info = AestheticMLLMForConditionalGeneration.from_pretrained(checkpoint, output_loading_info=True)
    assert isinstance(model, AestheticMLLMForConditionalGeneration)
    assert not info["missing_keys"] and not info["unexpected_keys"]


def test_dtype_auto_is_the_stored_dtype(nano: Any, tmp_path: Path) -> None:
    """A checkpoint stored in bfloat16 loads as such with dtype="auto", but for the embedded tower, which rounding would hurt; and
    all of it as float32 when that is asked for."""
    loaded = AestheticMLLMForConditionalGeneration.from_pretrained(_saved_as(nano, torch.bfloat16, tmp_path), dtype="auto")
    for name, weight in loaded.named_parameters():
        assert weight.dtype == (torch.float32 if "vision_tower" in name else torch.bfloat16), name
    wide = AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    assert {weight.dtype for weight in wide.parameters()} == {torch.float32}


def _saved_as(model: Any, dtype: torch.dtype, folder: Path) -> Path:
    copy = type(model)(model.config).to(dtype)
    copy.load_state_dict(model.state_dict())
    copy.save_pretrained(folder)
    return folder


@torch.inference_mode()
def test_device_map_auto(nano: Any, checkpoint: Path, inputs: Any) -> None:
    """Accelerate's placement changes no logit."""
    placed = AestheticMLLMForConditionalGeneration.from_pretrained(checkpoint, dtype="auto", device_map="auto").eval()
    assert torch.allclose(placed(**inputs.to(placed.device)).logits.cpu(), nano(**inputs).logits, atol=1e-5)


@torch.inference_mode()
def test_sharded_checkpoints_load(nano: Any, tmp_path: Path, inputs: Any) -> None:
    """Several weight files are as good as one."""
    nano.save_pretrained(tmp_path, max_shard_size="50KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded = AestheticMLLMForConditionalGeneration.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded(**inputs).logits, nano(**inputs).logits)


@torch.inference_mode()
@pytest.mark.parametrize("language", LANGUAGE_MODELS)
def test_auto_model_gives_embeddings(processor: Any, tmp_path: Path, inputs: Any, language: str) -> None:
    """AutoModel's door: photos alone give embeddings of the documented shapes; with a prompt also the language model's states,
    those that the head of the whole model reads."""
    whole = tiny_model("clip", language, processor)
    whole.save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(tmp_path).eval()
    assert isinstance(model, AestheticMLLMModel)
    width, count = whole.config.text_config.hidden_size, processor.num_image_tokens
    photos = {name: inputs[name] for name in ("pixel_values", "image_sizes")}
    output = model(**photos)
    assert output.image_hidden_states.shape == (2, count, width)
    assert output.last_hidden_state is None
    first = 0
    for group in TOKEN_GROUPS:
        tokens = output.image_hidden_states[:, first : first + processor.num_group_tokens[group]]
        assert output[f"{group}_embeds"].shape == (2, width)
        assert torch.allclose(output[f"{group}_embeds"], tokens.mean(1), atol=1e-6)
        first += processor.num_group_tokens[group]
    features = model.get_image_features(**photos)
    assert [tuple(tokens.shape) for tokens in features.pooler_output] == [(count, width)] * 2
    assert torch.equal(torch.stack(features.pooler_output), output.image_hidden_states)
    states = model(**inputs).last_hidden_state
    assert states.shape == (*inputs["input_ids"].shape, width)
    assert torch.allclose(whole.lm_head(states), whole(**inputs).logits, atol=1e-5)


def test_each_auto_class_gives_its_class(checkpoint: Path) -> None:
    """A saved checkpoint says by itself what it is."""
    assert type(AutoConfig.from_pretrained(checkpoint)) is AestheticMLLMConfig
    assert type(AutoModelForImageTextToText.from_pretrained(checkpoint)) is AestheticMLLMForConditionalGeneration


@pytest.mark.parametrize("language", LANGUAGE_MODELS)
@pytest.mark.parametrize("tower", TOWERS)
def test_configuration_survives_saving(processor: Any, tmp_path: Path, tower: str, language: str) -> None:
    """Saved, loaded and saved again, the file is the same, byte for byte; sub-configurations come back as their own classes."""
    config = AestheticMLLMConfig(
        vision_config=TOWERS[tower],
        text_config=LANGUAGE_MODELS[language],
        alignment_config={"thematic_grid": 2, "num_query_tokens": {"low": 1, "middle": 2, "high": 3}},
        image_token_id=processor.image_token_id,
    )
    config.save_pretrained(tmp_path)
    before = (tmp_path / "config.json").read_text()
    loaded = AestheticMLLMConfig.from_pretrained(tmp_path)
    loaded.save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_text() == before
    assert type(loaded.vision_config) is type(TOWERS[tower]) and type(loaded.text_config) is type(LANGUAGE_MODELS[language])
    assert type(loaded.alignment_config) is MultiScaleFeatureAlignmentConfig
    assert loaded.image_token_id == processor.image_token_id
    assert loaded.tie_word_embeddings == LANGUAGE_MODELS[language].tie_word_embeddings
    assert json.loads(before)["model_type"] == "aesthetic_mllm"


@pytest.mark.parametrize(
    "counts",
    [{"low": 8}, dict.fromkeys(TOKEN_GROUPS, 0), {"low": 7, "middle": 8, "high": 8, "thematic": 9}],
    ids=["some groups", "none shown", "not what the queries are"],
)
def test_tokens_of_a_photo_are_what_the_alignment_module_makes(counts: dict) -> None:
    """Or none of a group; another number could never be filled."""
    with pytest.raises(ValueError, match="num_group_tokens"):
        AestheticMLLMConfig(num_group_tokens=counts)
    with pytest.raises(ValueError, match="num_group_tokens"):
        AestheticMLLMConfig(alignment_config={"thematic_grid": None})


def test_a_configuration_of_an_older_version_is_an_error_that_names_the_new_key(checkpoint: Path, tmp_path: Path) -> None:
    """A placeholder for each group, as an older checkpoint has it, is not silently left out."""
    folder = shutil.copytree(checkpoint, tmp_path / "old")
    path = folder / "config.json"
    values = json.loads(path.read_text())
    del values["image_token_id"], values["num_group_tokens"]
    path.write_text(json.dumps(values | {"group_token_ids": {"low": 3, "middle": 4, "high": 5, "thematic": 6}}))
    for door in (AestheticMLLMForConditionalGeneration, AutoModel, AutoConfig):
        with pytest.raises(CheckpointError, match="group_token_ids.*image_token_id"):
            door.from_pretrained(folder)


def test_exactly_one_prompt(nano: Any) -> None:
    """No input at all, or ids and embeddings at once, is an error that says so."""
    ids = torch.tensor([[9, 9]])
    for inputs in ({}, {"input_ids": ids, "inputs_embeds": nano.get_input_embeddings()(ids)}):
        with pytest.raises(ValueError, match="exactly one of input_ids and inputs_embeds"):
            nano(**inputs)


def test_unknown_parts_are_named() -> None:
    """A sub-configuration of a type that nobody registered is refused by name."""
    with pytest.raises(ValueError, match="no_such_tower"):
        AestheticMLLMConfig(vision_config={"model_type": "no_such_tower"})
