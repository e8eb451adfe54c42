"""The multi-scale feature alignment module (MFAM) of CALM (arXiv:2412.11952).

One fully connected path gives thematic tokens, three Q-Formers give low-, middle- and high-level aesthetic tokens. That there
are these four groups, in this order, is the paper's; which feature maps they read, their sizes and the position embeddings are
our choice.
"""

import math
from collections.abc import Mapping

import torch
from torch import nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerMultiHeadAttention

from .configuration_aesthetic_mllm import QUERY_GROUPS, TOKEN_GROUPS, MultiScaleFeatureAlignmentConfig
from .modeling_efficientnet_lite import photo_mask

# Frequencies of the position features: up to eight periods across the photo, finer than a third of it.
POSITION_FREQUENCIES = 4


class HeadProjection(nn.Module):
    """The weights of a linear layer from C to H * d channels, used head by head.

    It is no `nn.Linear`, because servers pack or quantize those, after which nothing but their own forward can read the weights.
    """

    def __init__(self, in_features: int, num_heads: int, head_size: int):
        super().__init__()
        self.shape = (num_heads, head_size, in_features)
        self.weight = nn.Parameter(torch.empty(num_heads * head_size, in_features))
        self.bias = nn.Parameter(torch.empty(num_heads * head_size))


class KeyProjection(HeadProjection):
    """Takes queries through the projection of the keys, so that they can be compared with the cells themselves.

    The keys' bias shifts all of a query's scores alike, so it drops out of the softmax and has no part in this.
    """

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        """[B, Nq, H, d] -> [B, H, Nq, C]."""
        return torch.einsum("bqhd,hdc->bhqc", queries, self.weight.view(self.shape))


class ValueProjection(HeadProjection):
    """Projects weighted sums of cells, as if the cells had been projected before they were summed."""

    def forward(self, summed: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        """[B, H, Nq, C] sums and [B, H, Nq] sums of their weights, which dropout leaves other than 1 -> [B, Nq, H, d]."""
        bias = self.bias.view(self.shape[:2]) * total.transpose(1, 2)[..., None]  # [B, Nq, H, d]
        return torch.einsum("bhqc,hdc->bqhd", summed, self.weight.view(self.shape)) + bias


class FewQueriesCrossAttention(Blip2QFormerMultiHeadAttention):
    """BLIP-2's cross-attention, computed in another order because there are few queries and many cells.

    The parent projects every cell to a key and a value. Here the queries are taken through the key projection instead, and the
    value projection follows the weighted sum: with 8 queries and 1,296 cells about an eighth of the operations, and the same
    result from the same weights under the same names.
    """

    def __init__(self, config: Blip2QFormerConfig):
        super().__init__(config, is_cross_attention=True)
        shape = (config.encoder_hidden_size, self.num_attention_heads, self.attention_head_size)
        self.key = KeyProjection(*shape)
        self.value = ValueProjection(*shape)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        encoder_hidden_states: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        **kwargs: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, Nq, hidden] queries, [B, N, C] cells, mask of the cells (boolean or added) -> [B, Nq, hidden], [B, H, Nq, N]."""
        cells = encoder_hidden_states
        queries = self.query(hidden_states).unflatten(-1, (self.num_attention_heads, self.attention_head_size))  # [B, Nq, H, d]
        scores = torch.einsum("bhqc,bnc->bhqn", self.key(queries), cells) * self.scaling
        if encoder_attention_mask is not None:
            if encoder_attention_mask.dtype == torch.bool:
                scores = scores.masked_fill(~encoder_attention_mask, torch.finfo(scores.dtype).min)
            else:
                scores = scores + encoder_attention_mask
        weights = scores.softmax(-1)
        dropped = nn.functional.dropout(weights, self.attention_dropout, self.training)
        summed = torch.einsum("bhqn,bnc->bhqc", dropped, cells)
        return self.value(summed, dropped.sum(-1)).flatten(2), weights


class FewQueriesQFormer(Blip2QFormerModel):
    """BLIP-2's Q-Former with [`FewQueriesCrossAttention`]."""

    def __init__(self, config: Blip2QFormerConfig):
        super().__init__(config)
        for layer in self.encoder.layer:
            layer.crossattention.attention = FewQueriesCrossAttention(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, HeadProjection):  # as a linear layer
            init.normal_(module.weight, std=self.config.initializer_range)
            init.zeros_(module.bias)


class AestheticQFormer(nn.Module):
    """BLIP-2's Q-Former with learnable queries of one level, reading one feature map and where its cells lie."""

    def __init__(self, config: MultiScaleFeatureAlignmentConfig, feature_size: int, num_queries: int, output_size: int):
        super().__init__()
        self.feature_norm = nn.LayerNorm(feature_size, eps=config.layer_norm_eps)
        self.feature_projection = nn.Linear(feature_size, config.hidden_size)
        self.position_projection = nn.Linear(2 + 4 * POSITION_FREQUENCIES + 1, config.hidden_size, bias=False)
        self.queries = nn.Parameter(torch.empty(1, num_queries, config.hidden_size))
        qformer_config = Blip2QFormerConfig(
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            intermediate_size=config.intermediate_size,
            hidden_act=config.hidden_act,
            hidden_dropout_prob=config.hidden_dropout_prob,
            attention_probs_dropout_prob=config.attention_probs_dropout_prob,
            initializer_range=config.initializer_range,
            # the parent's 1e-12 vanishes in bf16, the parent's 2 skips the features in every other layer
            layer_norm_eps=config.layer_norm_eps,
            cross_attention_frequency=1,
            encoder_hidden_size=config.hidden_size,
        )
        # BLIP-2's Q-Former refuses flash attention, which the tower and the language model may use
        wanted = config._attn_implementation
        self.qformer = FewQueriesQFormer._from_config(
            qformer_config, attn_implementation="eager" if wanted == "eager" else "sdpa"
        )
        self.output_projection = nn.Linear(config.hidden_size, output_size)

    def forward(self, features: torch.Tensor, positions: torch.Tensor, padding_mask: torch.Tensor | None) -> torch.Tensor:
        """[B, h*w, C] features, [B or 1, h*w, P] positions, [B, h*w] mask of the photo's cells -> [B, Nq, D]."""
        keys = self.feature_projection(self.feature_norm(features)) + self.position_projection(positions)
        queries = self.queries.expand(features.shape[0], -1, -1)  # [B, Nq, hidden]
        states = self.qformer(
            query_embeds=queries, encoder_hidden_states=keys, encoder_attention_mask=padding_mask
        ).last_hidden_state
        return self.output_projection(states)


class ThematicPath(nn.Module):
    """Two fully connected layers over the deepest features, pooled to a grid over the photo or left as they are."""

    def __init__(self, config: MultiScaleFeatureAlignmentConfig, feature_size: int, output_size: int):
        super().__init__()
        self.grid = config.thematic_grid
        self.norm = nn.LayerNorm(feature_size, eps=config.layer_norm_eps) if config.thematic_norm else nn.Identity()
        self.linear_1 = nn.Linear(feature_size, output_size, bias=config.thematic_bias)
        self.act = ACT2FN[config.thematic_act]
        self.linear_2 = nn.Linear(output_size, output_size, bias=config.thematic_bias)

    def forward(self, features: torch.Tensor, image_sizes: torch.Tensor | None, stride: tuple[int, int]) -> torch.Tensor:
        """[B, h, w, C] features -> [B, grid*grid, D], or [B, h*w, D] without a grid."""
        if self.grid is None:
            features = features.flatten(1, 2)
        else:
            features = pool_photo(features, image_sizes, stride, self.grid)
        return self.linear_2(self.act(self.linear_1(self.norm(features))))


class MultiScaleFeatureAlignment(nn.Module):
    """Turns a tower's feature maps into the four groups of visual tokens.

    Args:
        feature_sizes: channels of the feature map that each of `TOKEN_GROUPS` reads.
        output_size: width of the language model.
    """

    def __init__(self, config: MultiScaleFeatureAlignmentConfig, feature_sizes: Mapping[str, int], output_size: int):
        super().__init__()
        self.config = config
        self.qformers = nn.ModuleDict(
            {
                group: AestheticQFormer(config, feature_sizes[group], config.num_query_tokens[group], output_size)
                for group in QUERY_GROUPS
            }
        )
        self.thematic = ThematicPath(config, feature_sizes["thematic"], output_size)

    def forward(
        self, feature_maps: Mapping[str, torch.Tensor], image_sizes: torch.Tensor | None, canvas: tuple[int, int]
    ) -> dict[str, torch.Tensor]:
        """The token groups of a batch of photos.

        Args:
            feature_maps: for each group asked for, its [B, h, w, C] map.
            image_sizes: [B, 2], height and width in pixels of each photo's rectangle; `None`: it fills the canvas.
            canvas: height and width of the canvas in pixels.

        Returns:
            For each group asked for its [B, N, D] tokens, in the order of `TOKEN_GROUPS`. N does not depend on the photo.
        """
        tokens = {}
        for group in TOKEN_GROUPS:
            if group not in feature_maps:
                continue
            features = feature_maps[group]  # [B, h, w, C]
            rows, columns = features.shape[1:3]
            stride = (canvas[0] // rows, canvas[1] // columns)
            if group == "thematic":
                tokens[group] = self.thematic(features, image_sizes, stride)
                continue
            mask = photo_mask(image_sizes, rows, columns, stride[0], features)
            tokens[group] = self.qformers[group](
                features.flatten(1, 2),
                cell_positions(image_sizes, rows, columns, stride, canvas, features),
                None if mask is None else mask.flatten(1).bool(),
            )
        return tokens


def cell_positions(
    image_sizes: torch.Tensor | None,
    rows: int,
    columns: int,
    stride: tuple[int, int],
    canvas: tuple[int, int],
    like: torch.Tensor,
) -> torch.Tensor:
    """Where each cell lies in the photo, and the photo's shape: [B or 1, rows*columns, 3 + 4 * POSITION_FREQUENCIES].

    The features are y and x of the cell's centre (0 top left, 1 bottom right of the photo, so not of the canvas), their sines
    and cosines, and the logarithm of width over height.
    """
    if image_sizes is None:
        sizes = torch.tensor([canvas], device=like.device, dtype=torch.float32)
    else:
        sizes = image_sizes.to(torch.float32)
    y = (torch.arange(rows, device=like.device) + 0.5) * stride[0] / sizes[:, :1]  # [B, rows]
    x = (torch.arange(columns, device=like.device) + 0.5) * stride[1] / sizes[:, 1:]  # [B, columns]
    batch = sizes.shape[0]
    place = torch.stack([y[:, :, None].expand(batch, rows, columns), x[:, None, :].expand(batch, rows, columns)], dim=-1).flatten(
        1, 2
    )  # [B, rows*columns, 2]
    frequencies = math.pi * 2.0 ** torch.arange(POSITION_FREQUENCIES, device=like.device)
    angles = (place[..., None] * frequencies).flatten(2)  # [B, rows*columns, 2F]
    aspect = torch.log(sizes[:, 1] / sizes[:, 0])[:, None, None].expand(batch, rows * columns, 1)
    return torch.cat([place, angles.sin(), angles.cos(), aspect], dim=-1).to(like.dtype)


def pool_photo(features: torch.Tensor, image_sizes: torch.Tensor | None, stride: tuple[int, int], grid: int) -> torch.Tensor:
    """Mean of the features over a grid x grid division of the photo's rectangle: [B, h, w, C] -> [B, grid*grid, C].

    A cell counts by the area it shares with a grid field, so padding weighs nothing and no field is empty.
    """
    rows, columns = features.shape[1:3]
    if image_sizes is None:
        image_sizes = torch.tensor([[rows * stride[0], columns * stride[1]]], device=features.device)
    over_rows = _overlap(image_sizes[:, 0], rows, stride[0], grid, features)  # [B, grid, h]
    over_columns = _overlap(image_sizes[:, 1], columns, stride[1], grid, features)  # [B, grid, w]
    pooled = torch.einsum("bgh,bhwc->bgwc", over_rows.expand(features.shape[0], -1, -1), features)
    return torch.einsum("bkw,bgwc->bgkc", over_columns.expand(features.shape[0], -1, -1), pooled).flatten(1, 2)


def _overlap(length: torch.Tensor, cells: int, stride: int, fields: int, like: torch.Tensor) -> torch.Tensor:
    """Share of each field that lies in each cell along one axis; rows sum to 1: [B, fields, cells]."""
    length = length.to(torch.float32)[:, None, None]  # [B, 1, 1]
    field = torch.arange(fields, device=like.device)[:, None] * (length / fields)  # [B, fields, 1]
    cell = torch.arange(cells, device=like.device)[None, None] * float(stride)  # [1, 1, cells]
    shared = torch.minimum(field + length / fields, cell + stride) - torch.maximum(field, cell)
    shared = shared.clamp(min=0)
    return (shared / shared.sum(-1, keepdim=True)).to(like.dtype)
