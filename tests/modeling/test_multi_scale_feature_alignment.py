"""The alignment module: what it may see of a feature map, and what it must."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerMultiHeadAttention

from aesthetic_mllm import MultiScaleFeatureAlignmentConfig
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import QUERY_GROUPS, TOKEN_GROUPS
from aesthetic_mllm.modeling.multi_scale_feature_alignment import MultiScaleFeatureAlignment, cell_positions, pool_photo

CANVAS = (64, 64)
CHANNELS = {"low": 6, "middle": 8, "high": 10, "thematic": 10}
CELLS = {"low": 16, "middle": 8, "high": 4, "thematic": 4}
QUERIES = {"low": 3, "middle": 4, "high": 5}


def alignment(**options: object) -> MultiScaleFeatureAlignment:
    torch.manual_seed(0)
    config = MultiScaleFeatureAlignmentConfig(
        hidden_size=16, num_attention_heads=2, intermediate_size=32, num_query_tokens=QUERIES, **options
    )
    module = MultiScaleFeatureAlignment(config, CHANNELS, output_size=12)
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return module.eval()


def feature_maps(batch: int = 1) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {group: torch.randn(batch, CELLS[group], CELLS[group], CHANNELS[group]) for group in TOKEN_GROUPS}


@torch.inference_mode()
def tokens_of(module: MultiScaleFeatureAlignment, maps: dict, sizes: list | None) -> dict[str, torch.Tensor]:
    return module(maps, None if sizes is None else torch.tensor(sizes), CANVAS)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 64), width=st.integers(1, 64))
def test_padding_never_matters(height: int, width: int) -> None:
    """Whatever the padded cells hold, no token changes; whatever the shape, the number of tokens stays."""
    module, clean = alignment(), feature_maps()
    dirty = {}
    for group, features in clean.items():
        stride = 64 // CELLS[group]
        inside = torch.zeros(CELLS[group], CELLS[group], 1, dtype=torch.bool)
        inside[: -(-height // stride), : -(-width // stride)] = True
        dirty[group] = torch.where(inside, features, 1e3 * torch.randn_like(features))
    expected, seen = (tokens_of(module, maps, [[height, width]]) for maps in (clean, dirty))
    for group in TOKEN_GROUPS:
        assert torch.allclose(expected[group], seen[group], atol=1e-4), group
        assert expected[group].shape == (1, QUERIES.get(group, 9), 12)


def test_photo_cells_do_matter() -> None:
    """Every cell of the photo is read: changing any one of them changes its group's tokens."""
    module, clean = alignment(), feature_maps()
    before = tokens_of(module, clean, [[48, 32]])
    for group in TOKEN_GROUPS:
        stride = 64 // CELLS[group]
        for row, column in [(0, 0), (48 // stride - 1, 0), (0, 32 // stride - 1), (48 // stride - 1, 32 // stride - 1)]:
            maps = {name: features.clone() for name, features in clean.items()}
            maps[group][:, row, column] += torch.randn(CHANNELS[group])
            assert not torch.allclose(before[group], tokens_of(module, maps, [[48, 32]])[group], atol=1e-5), (group, row, column)


def test_shuffled_cells_are_another_photo() -> None:
    """Where things stand is composition: the same cells in another order give other tokens, for every group."""
    module, maps = alignment(), feature_maps()
    turned = {group: features.flip(1) for group, features in maps.items()}
    before, after = tokens_of(module, maps, None), tokens_of(module, turned, None)
    for group in TOKEN_GROUPS:
        assert not torch.allclose(before[group], after[group], atol=1e-4), group
    # the positions are what tells: without them the Q-Formers see a bag of cells
    for qformer in module.qformers.values():
        torch.nn.init.zeros_(qformer.position_projection.weight)
    before, after = tokens_of(module, maps, None), tokens_of(module, turned, None)
    for group in QUERY_GROUPS:
        assert torch.allclose(before[group], after[group], atol=1e-4), group


def test_the_shape_of_the_photo_matters() -> None:
    """The Q-Formers know a wide photo from a tall one, even where all cells look the same."""
    module, maps = alignment(), {group: torch.ones_like(features) for group, features in feature_maps().items()}
    wide, tall = tokens_of(module, maps, [[32, 64]]), tokens_of(module, maps, [[64, 32]])
    for group in QUERY_GROUPS:
        assert not torch.allclose(wide[group], tall[group], atol=1e-4), group


def test_groups_do_not_depend_on_each_other() -> None:
    """A group that is not asked for is not computed, and the others are what they were."""
    module, maps = alignment(), feature_maps()
    whole = tokens_of(module, maps, [[40, 64]])
    some = tokens_of(module, {group: maps[group] for group in ("thematic", "low")}, [[40, 64]])
    assert list(some) == ["low", "thematic"] and list(whole) == list(TOKEN_GROUPS)
    for group, tokens in some.items():
        assert torch.allclose(tokens, whole[group], atol=1e-6), group


def test_without_a_grid_every_cell_is_a_token() -> None:
    """`thematic_grid=None` is LLaVA's path: the cells in reading order through two layers, not pooled."""
    module, maps = alignment(thematic_grid=None, thematic_norm=False), feature_maps()
    tokens = tokens_of(module, maps, None)["thematic"]
    path = module.thematic
    with torch.inference_mode():
        expected = path.linear_2(F.gelu(path.linear_1(maps["thematic"].reshape(1, 16, -1))))
    assert torch.allclose(tokens, expected, atol=1e-6)


sizes = st.integers(1, 64)


@given(height=sizes, width=sizes, grid=st.integers(1, 6))
def test_pooling_is_a_mean(height: int, width: int, grid: int) -> None:
    """A constant map pools to that constant: weights sum to 1 and no field is empty, whatever the photo's size."""
    pooled = pool_photo(torch.full((1, 8, 8, 2), 3.0), torch.tensor([[height, width]]), (8, 8), grid)
    assert pooled.shape == (1, grid * grid, 2)
    assert torch.allclose(pooled, torch.full_like(pooled, 3.0), atol=1e-5)


@given(rows=st.integers(1, 8), columns=st.integers(1, 8), grid=st.integers(1, 5), seed=st.integers(0, 99))
def test_pooling_follows_a_mirror(rows: int, columns: int, grid: int, seed: int) -> None:
    """The mirrored photo pools to the mirrored grid; so does the one turned upside down."""
    features = torch.randn(1, 8, 8, 3, generator=torch.Generator().manual_seed(seed))
    size = torch.tensor([[rows * 8, columns * 8]])
    for axis, cells in ((1, rows), (2, columns)):
        mirrored = features.clone()
        mirrored.narrow(axis, 0, cells).copy_(features.narrow(axis, 0, cells).flip(axis))
        straight, turned = (pool_photo(maps, size, (8, 8), grid).view(1, grid, grid, 3) for maps in (features, mirrored))
        assert torch.allclose(straight.flip(axis), turned, atol=1e-5)


def test_pooling_equals_average_pooling_where_cells_fit() -> None:
    """6 x 6 cells over a 3 x 3 grid are plain 2 x 2 means."""
    features = torch.randn(2, 6, 6, 4)
    expected = F.avg_pool2d(features.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1).flatten(1, 2)
    assert torch.allclose(pool_photo(features, None, (8, 8), 3), expected, atol=1e-6)


def test_positions_are_the_photos_own() -> None:
    """A photo twice as large, on twice the canvas, has the same positions: 0 to 1 over the photo, not over the canvas."""
    like = torch.zeros(())
    small = cell_positions(torch.tensor([[32, 64]]), 8, 8, (8, 8), (64, 64), like).view(8, 8, -1)
    large = cell_positions(torch.tensor([[64, 128]]), 8, 8, (16, 16), (128, 128), like).view(8, 8, -1)
    assert torch.allclose(small, large)
    y, x = small[..., 0], small[..., 1]
    assert torch.allclose(y[:4, 0], torch.tensor([1, 3, 5, 7]) / 8) and torch.allclose(x[0], (torch.arange(8) + 0.5) / 8)
    assert (y[4:] > 1).all()


@pytest.mark.parametrize(
    "options",
    [
        {"num_query_tokens": {"low": 1, "middle": 1}},
        {"num_query_tokens": {"low": 1, "middle": 1, "high": 0}},
        {"feature_layers": {"low": 1}},
    ],
)
def test_levels_cannot_be_left_out(options: dict) -> None:
    """Each level needs queries, and layers are named for all groups or for none."""
    with pytest.raises(ValueError, match="must"):
        MultiScaleFeatureAlignmentConfig(**options)


@torch.inference_mode()
@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention_equals_blip2s(masked: bool) -> None:
    """Computed in the cheaper order, cross-attention gives what BLIP-2's own module gives with the same weights."""
    qformer = alignment().qformers["low"].qformer
    ours = qformer.encoder.layer[0].crossattention.attention
    theirs = Blip2QFormerMultiHeadAttention(qformer.config, is_cross_attention=True).eval()
    theirs.load_state_dict(ours.state_dict())
    assert type(ours) is not type(theirs)
    queries, cells = torch.randn(2, 3, 16), torch.randn(2, 30, 16)
    mask = torch.rand(2, 1, 1, 30) > 0.5 if masked else None
    seen = ours(queries, encoder_hidden_states=cells, encoder_attention_mask=mask)[0]
    expected = theirs(queries, encoder_hidden_states=cells, encoder_attention_mask=mask)[0]
    assert torch.allclose(seen, expected, atol=1e-5)
