"""torch.compile takes the whole forward as one graph."""

from typing import Any

import pytest
import torch

from photo_files import scene
from tiny_models import LANGUAGE_MODELS, TOWERS, tiny_model

# Every tower and every language model once; a compilation takes seconds, so by default the embedded kind and one of each sort.
LANGUAGES = list(LANGUAGE_MODELS)
PAIRS = [(tower, LANGUAGES[index % len(LANGUAGES)]) for index, tower in enumerate(TOWERS)]
DEFAULT = ("efficientnet_lite", "clip", "siglip")


@torch.inference_mode()
@pytest.mark.parametrize(
    ("tower", "language"),
    [pytest.param(*pair, marks=() if pair[0] in DEFAULT else pytest.mark.slow, id="-".join(pair)) for pair in PAIRS],
)
def test_compiled_equals_eager(tower: str, language: str, processor: Any) -> None:
    """At fixed shapes the forward compiles without a graph break; other photos of other shapes need no second compilation."""
    torch._dynamo.reset()
    model = tiny_model(tower, language, processor)
    compiled = torch.compile(model, fullgraph=True, dynamic=False, backend="aot_eager")
    for stance, photos in (
        ("default", [scene(60, 30), scene(40, 64)]),
        ("fail_on_recompile", [scene(20, 64), scene(64, 64)]),
    ):
        inputs = processor.rating_inputs(photos)
        expected = model(**inputs, use_cache=False, logits_to_keep=1).logits
        with torch.compiler.set_stance(stance):
            assert torch.allclose(compiled(**inputs, use_cache=False, logits_to_keep=1).logits, expected, atol=1e-5)
