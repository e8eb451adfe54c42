"""torch.compile."""

import torch

from aesthetic_mllm import AestheticMLLMProcessor
from photo_files import scene
from tiny_models import tiny_model


@torch.inference_mode()
def test_the_forward_compiles_without_graph_breaks(processor: AestheticMLLMProcessor) -> None:
    """At fixed shapes the whole forward is one graph with the eager logits."""
    model = tiny_model("efficientnet_lite", "llama", processor)
    inputs = dict(processor.rating_inputs([scene(), scene(30, 60)]))
    eager = model(**inputs, use_cache=False).logits
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")(**inputs, use_cache=False).logits
    assert torch.allclose(eager, compiled, atol=1e-5)
