"""How a checkpoint is loaded: where and as what it was asked to be, by the assessor and by the pipeline."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BitsAndBytesConfig, QuantoConfig, TorchAoConfig, pipeline

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.engine.loading import KEPT_IN_FULL, sparing_alignment
from aesthetic_mllm.inference.personal_assessor import PersonalAssessor
from int8_quantizer import Int8Config, Int8Linear
from photo_files import scene

TASK = "image-aesthetic-assessment"
PHOTOS = [scene(90, 60), scene(60, 90)]


@pytest.fixture(scope="module")
def means(checkpoint: Path) -> list[float]:
    return [rating.mean for rating in AestheticAssessor.from_pretrained(checkpoint).score(PHOTOS)]


@pytest.mark.parametrize("device_map", ["cpu", {"": "cpu"}, "auto"])
def test_a_device_map_places_the_model(checkpoint: Path, means: list[float], device_map: Any) -> None:
    if device_map == "auto" and torch.cuda.is_available():
        pytest.skip("places it on the GPU")
    assessor = AestheticAssessor.from_pretrained(checkpoint, device_map=device_map)
    assert assessor.model.device.type == "cpu"
    assert [rating.mean for rating in assessor.score(PHOTOS)] == pytest.approx(means, abs=1e-4)
    assess = pipeline(TASK, model=str(checkpoint), device_map=device_map)
    assert [each["rating"]["mean"] for each in assess(PHOTOS)] == pytest.approx(means, abs=1e-3)


def test_a_dispatched_model_is_not_moved(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one with a device map nor a quantized one: transformers refuses it."""
    kind, moved = AestheticMLLMForConditionalGeneration, []
    monkeypatch.setattr(kind, "to", lambda model, *args, **kwargs: moved.append(args) or model)
    AestheticAssessor.from_pretrained(checkpoint, device_map={"": "cpu"})
    with monkeypatch.context() as stored_quantized:
        stored_quantized.setattr(kind, "hf_quantizer", object(), raising=False)
        AestheticAssessor.from_pretrained(checkpoint)
    assert moved == []
    AestheticAssessor.from_pretrained(checkpoint, device="cpu")
    assert moved == [(torch.device("cpu"),)]


def test_two_places_are_one_too_many(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="Both device 'cpu' and a device_map"):
        AestheticAssessor.from_pretrained(checkpoint, device="cpu", device_map="auto")


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_is_that_which_was_asked_for(checkpoint: Path, means: list[float], attention: str) -> None:
    assessor = AestheticAssessor.from_pretrained(checkpoint, attn_implementation=attention)
    text = assessor.model.config.get_text_config()
    assert getattr(text, "_attn_implementation") == attention  # noqa: B009 (the name is transformers')
    assert [rating.mean for rating in assessor.score(PHOTOS)] == pytest.approx(means, abs=1e-3)
    assess = pipeline(TASK, model=str(checkpoint), model_kwargs={"attn_implementation": attention})
    assert getattr(assess.model.config.get_text_config(), "_attn_implementation") == attention  # noqa: B009


def test_the_dtype_is_never_swallowed(checkpoint: Path) -> None:
    """The assessor knows `dtype` alone and says so; the pipeline takes both names, as transformers does."""
    assert AestheticAssessor.from_pretrained(checkpoint).model.lm_head.weight.dtype == torch.float32
    assert AestheticAssessor.from_pretrained(checkpoint, dtype=torch.bfloat16).model.lm_head.weight.dtype == torch.bfloat16
    with pytest.raises(TypeError, match="torch_dtype is called dtype; give dtype='bfloat16'"):
        AestheticAssessor.from_pretrained(checkpoint, torch_dtype="bfloat16")
    for asked in ({"dtype": "bfloat16"}, {"torch_dtype": torch.bfloat16}, {"model_kwargs": {"torch_dtype": torch.bfloat16}}):
        assert pipeline(TASK, model=str(checkpoint), **asked).model.lm_head.weight.dtype == torch.bfloat16, asked


def test_head_and_alignment_module_are_not_quantized() -> None:
    """Whatever else is left out; the configuration that was given stays as it is."""
    for given, name in (
        (QuantoConfig("int8", modules_to_not_convert=["lm_head", "model.vision_tower"]), "modules_to_not_convert"),
        (BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["lm_head", "model.vision_tower"]), "llm_int8_skip_modules"),
    ):
        assert set(getattr(sparing_alignment(given), name)) == {*KEPT_IN_FULL, "model.vision_tower"}
        assert getattr(given, name) == ["lm_head", "model.vision_tower"]
    assert sparing_alignment({"quant_method": "quanto"})["modules_to_not_convert"] == list(KEPT_IN_FULL)


def test_a_quantized_model_is_neither_moved_nor_quantized_in_full(checkpoint: Path, means: list[float]) -> None:
    """Whatever quantizes it: with a device, a device map or nothing, by assessor and pipeline."""
    places: list[dict[str, Any]] = [{"device": "cpu"}, {"device_map": "cpu"}, {"device_map": {"": "cpu"}}]
    models = [AestheticAssessor.from_pretrained(checkpoint, quantization_config=Int8Config(), **place) for place in places]
    for place in places:  # which pipelines write into what they are given
        assess = pipeline(TASK, model=str(checkpoint), model_kwargs={"quantization_config": Int8Config()}, **place)
        models.append(assess.assessor)
    for assessor in models:
        kinds = {name: type(module) for name, module in assessor.model.named_modules()}
        assert kinds["model.language_model.layers.0.mlp.up_proj"] is Int8Linear
        assert Int8Linear not in {kind for name, kind in kinds.items() if name.startswith(KEPT_IN_FULL)}
        found = [rating.mean for rating in assessor.score(PHOTOS)]
        assert found == pytest.approx(means, abs=0.18) and found != pytest.approx(means, abs=1e-6)


def test_a_quantized_model_judges(tmp_path: Path) -> None:
    """The embedded checkpoint in 8 bits rates within 2% of the range, by assessor and pipeline; a profile serves both."""
    quantization = pytest.importorskip("torchao.quantization")
    config = TorchAoConfig(quantization.Int8WeightOnlyConfig())
    whole = AestheticAssessor.from_pretrained(device="cpu")
    loaded = AestheticAssessor.from_pretrained(quantization_config=config, device="cpu")
    means = [rating.mean for rating in whole.score(PHOTOS)]
    assert [rating.mean for rating in loaded.score(PHOTOS)] == pytest.approx(means, abs=0.18)
    modules = dict(loaded.model.named_modules())
    assert type(modules["model.language_model.layers.0.mlp.up_proj"].weight) is not torch.nn.Parameter
    assert type(modules["model.multi_modal_projector.qformers.low.feature_projection"].weight) is torch.nn.Parameter
    assert loaded.attributes(PHOTOS[0]).keys() == whole.attributes(PHOTOS[0]).keys() and loaded.comment(PHOTOS[0])
    whole.personalize([(photo, 1.0 + 4 * number) for number, photo in enumerate(PHOTOS)]).save(tmp_path / "me.profile")
    assert PersonalAssessor.load(tmp_path / "me.profile", loaded).score(PHOTOS[0]).mean > 0
    assess = pipeline(TASK, model=embedded_checkpoint(), device_map="cpu", model_kwargs={"quantization_config": config})
    assert [each["rating"]["mean"] for each in assess(PHOTOS)] == pytest.approx(means, abs=0.18)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named(checkpoint: Path) -> None:
    """torch raises an AssertionError, which nobody would catch."""
    with pytest.raises(ValueError, match="device 'cuda' cannot be used here"):
        AestheticAssessor.from_pretrained(checkpoint, device="cuda")
