"""The rating path as one module without branches: pixels and sizes in, level logits of fixed questions out; for exporters."""

from collections.abc import Sequence

import torch
from torch import nn

from ..modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..modeling.vision_tower import tower_feature_maps
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from .prefix_cache import split_prompts


class RatingGraph(nn.Module):
    """Answers Q questions about each photo in one sequence, without a cache and without the vocabulary.

    Behind the photo and what the prompts have in common stands the rest of each prompt, one after the other. A mask lets each
    rest see the beginning and itself, at the positions that it has in its own prompt. So the answers are those to whole prompts.
    Word embeddings and the level words' rows of the head are constants.

    Args:
        model: with plain weights; its parts are used and not copied.
        processor: whose prompts are asked.
        questions: at least one that the checkpoint answers.

    Raises:
        RatingScaleError: the checkpoint does not answer a question.
    """

    positions: torch.Tensor
    mask: torch.Tensor
    last: torch.Tensor
    head: torch.Tensor
    before: torch.Tensor
    behind: torch.Tensor

    def __init__(self, model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor, questions: Sequence[str]):
        super().__init__()
        self.model = model.model
        self.groups = [group for group in TOKEN_GROUPS if processor.num_group_tokens.get(group)]
        self.layers = sorted({self.model.feature_layers[group] for group in self.groups})
        self.cap: float | None = getattr(model.config.text_config, "final_logit_softcapping", None)  # as Gemma's models have it
        beginning, rests = split_prompts([processor.rating_prompt_ids(question) for question in questions])
        first = beginning.index(processor.image_token_id)
        behind = beginning[first + beginning.count(processor.image_token_id) :] + [token for rest in rests for token in rest]
        self._constant("positions", _positions(len(beginning), rests))
        self._constant("mask", _mask(len(beginning), rests, model.dtype))
        self._constant("last", torch.tensor([len(rest) for rest in rests]).cumsum(0) + len(beginning) - 1)
        with torch.no_grad():
            words = model.get_input_embeddings()
            self._constant("before", words(torch.tensor([beginning[:first]], device=model.device)))
            self._constant("behind", words(torch.tensor([behind], device=model.device)))
            self._constant("head", model.lm_head.weight[list(processor.level_ids)].detach().float().T.contiguous())

    def forward(self, pixel_values: torch.Tensor, image_sizes: torch.Tensor) -> torch.Tensor:
        """[B, 3, H, W] photos on the whole canvas and [B, 2] heights and widths -> [B, Q, levels], float32."""
        maps = tower_feature_maps(self.model.vision_tower, pixel_values, image_sizes, self.layers)
        by_layer = dict(zip(self.layers, maps, strict=True))
        features = {group: by_layer[self.model.feature_layers[group]] for group in self.groups}
        tokens = self.model.multi_modal_projector(features, image_sizes, tuple(pixel_values.shape[-2:]))
        batch = pixel_values.shape[0]
        photo = [tokens[group] for group in self.groups]
        embeddings = torch.cat([self.before.expand(batch, -1, -1), *photo, self.behind.expand(batch, -1, -1)], dim=1)
        states = self.model.language_model(
            inputs_embeds=embeddings,
            attention_mask=self.mask.expand(batch, -1, -1, -1),
            position_ids=self.positions.expand(batch, -1),
            use_cache=False,
        ).last_hidden_state
        logits = states[:, self.last].float() @ self.head
        return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap

    def _constant(self, name: str, value: torch.Tensor) -> None:
        self.register_buffer(name, value.to(self.model.device), persistent=False)


def _positions(shared: int, rests: Sequence[Sequence[int]]) -> torch.Tensor:
    """[1, L]: each rest goes on where the beginning ends."""
    places = [*range(shared), *(shared + place for rest in rests for place in range(len(rest)))]
    return torch.tensor([places])


def _mask(shared: int, rests: Sequence[Sequence[int]], dtype: torch.dtype) -> torch.Tensor:
    """[1, 1, L, L] to be added to attention scores: 0 for what a token sees, else the lowest number."""
    owner = torch.tensor([-1] * shared + [place for place, rest in enumerate(rests) for _ in rest])  # [L], -1: all of them
    seen = (owner[None] == -1) | (owner[None] == owner[:, None])
    hidden = ~(seen & torch.ones_like(seen).tril())
    return torch.zeros(1, 1, *seen.shape, dtype=dtype).masked_fill(hidden, torch.finfo(dtype).min)
