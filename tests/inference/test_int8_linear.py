"""Linear layers in 8 bits: nearly the same result, whatever else is in the batch."""

from pathlib import Path

import pytest
import torch
from torch import nn

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.inference.int8_linear import Int8Linear, quantize_linears

SAMPLES = sorted((Path(__file__).parents[2] / "examples" / "photos").glob("*.jpg"))
RANGE = 9  # of the scores, 1 to 10


@pytest.mark.parametrize("bias", [True, False])
def test_eight_bits_are_close(bias: bool) -> None:
    """The result differs from the float layer's by about a hundredth of its spread, for inputs of any shape and scale."""
    torch.manual_seed(0)
    linear = nn.Linear(96, 40, bias=bias)
    inputs = torch.randn(3, 7, 96) * torch.logspace(-3, 3, 7)[None, :, None]
    with torch.inference_mode():
        exact, found = linear(inputs), Int8Linear(linear)(inputs)
    assert found.shape == exact.shape and found.dtype == exact.dtype
    assert ((found - exact).std(-1) / exact.std(-1)).max() < 0.03
    assert torch.equal(Int8Linear(linear)(torch.zeros(1, 96)), torch.zeros(1, 40) if linear.bias is None else linear.bias[None])


def test_rows_do_not_depend_on_each_other() -> None:
    """A row gives the same to the last bit alone and beside rows a thousand times as large."""
    torch.manual_seed(0)
    layer = Int8Linear(nn.Linear(64, 24))
    rows = torch.randn(5, 64) * torch.tensor([1, 1000, 0.001, 1, 30])[:, None]
    together = layer(rows)
    assert all(torch.equal(layer(row[None])[0], together[place]) for place, row in enumerate(rows))


def test_layers_are_found_at_any_depth_and_some_are_kept() -> None:
    """All linear layers are replaced, wherever they are, but for the sensitive ones."""
    block = nn.ModuleDict({"up_proj": nn.Linear(8, 8), "down_proj": nn.Linear(8, 8), "norm": nn.LayerNorm(8)})
    module = nn.Sequential(nn.ModuleDict({"mlp": block}))
    quantize_linears(module)
    assert isinstance(block["up_proj"], Int8Linear) and type(block["down_proj"]) is nn.Linear
    assert type(block["norm"]) is nn.LayerNorm


def test_int8_ratings_stay_within_their_tolerance() -> None:
    """int8 ratings lie within 1% of the range of the float32 ones, in any batch, and words are still written."""
    exact = AestheticAssessor.from_pretrained(device="cpu").score(SAMPLES)
    fast = AestheticAssessor.from_pretrained(dtype="int8", device="cpu")
    for batch_size in (1, 8):
        pairs = zip(exact, fast.score(SAMPLES, batch_size=batch_size), strict=True)
        assert max(abs(a.mean - b.mean) for a, b in pairs) < 0.01 * RANGE
    fast.processor.writes_comments = True
    assert fast.comment(SAMPLES[0])


def test_int8_is_for_cpus() -> None:
    """Another device is refused by name, before anything is loaded."""
    with pytest.raises(ValueError, match="int8 is for CPUs.*'meta'"):
        AestheticAssessor.from_pretrained("nowhere", dtype="int8", device="meta")
