"""Servers pack the weights of linear layers, quantize them or put them away: nothing but a layer's own forward may read them."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from accelerate import cpu_offload

from aesthetic_mllm.modeling.multi_scale_feature_alignment import FewQueriesQFormer, HeadProjection
from photo_files import scene


@pytest.fixture(scope="module")
def inputs(processor: Any) -> dict[str, torch.Tensor]:
    return dict(processor.rating_inputs([scene(60, 40), scene(30, 50)]))


def pack(layer: torch.nn.Linear) -> None:
    """Hides a layer's weights, as vLLM does on a CPU: its forward works on, its `weight` is empty."""
    weight, bias = layer.weight.detach().clone(), layer.bias
    layer.weight = torch.nn.Parameter(torch.empty(0))
    layer.forward = lambda values: F.linear(values, weight, bias)


@torch.inference_mode()
def test_packed_linear_layers_change_nothing(nano: Any, processor: Any, inputs: dict) -> None:
    """Every linear layer of the model is packed; logits, and those of the level words alone, stay."""
    packed = copy.deepcopy(nano)
    layers = [module for module in packed.modules() if isinstance(module, torch.nn.Linear)]
    for layer in layers:
        pack(layer)
    assert len(layers) > 20 and all(layer.weight.numel() == 0 for layer in layers)
    assert torch.allclose(packed(**inputs).logits, nano(**inputs).logits, atol=1e-6)
    found = packed.level_logits(processor.level_ids, **inputs)
    assert torch.allclose(found, nano.level_logits(processor.level_ids, **inputs), atol=1e-6)


@torch.inference_mode()
def test_offloaded_weights_change_nothing(nano: Any, processor: Any, inputs: dict) -> None:
    """Weights that accelerate brings only for the time of their layer's own forward are enough."""
    expected = nano.level_logits(processor.level_ids, **inputs)
    away = cpu_offload(copy.deepcopy(nano), execution_device=torch.device("cpu"))
    assert away.lm_head.weight.is_meta
    assert torch.allclose(away.level_logits(processor.level_ids, **inputs), expected, atol=1e-6)


def test_head_projections_begin_as_linear_layers_do(nano: Any) -> None:
    """Their weights have the Q-Former's spread, their biases are zero."""
    (qformer, *_) = [module for module in nano.modules() if isinstance(module, FewQueriesQFormer)]
    torch.manual_seed(0)
    fresh = FewQueriesQFormer._from_config(qformer.config)
    projections = [module for module in fresh.modules() if isinstance(module, HeadProjection)]
    assert len(projections) == 2 * qformer.config.num_hidden_layers
    for projection in projections:
        assert projection.weight.std().item() == pytest.approx(qformer.config.initializer_range, rel=0.2)
        assert not projection.bias.any()
