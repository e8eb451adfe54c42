"""Rated examples before a photo: read once for a profile, whatever photos are asked about then."""

import copy
from collections.abc import Mapping, Sequence

import torch
from transformers import DynamicCache

from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..modeling.token_placement import image_features, mean_of_neighbours
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor


def example_tokens(tokens: Mapping[str, torch.Tensor], counts: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """The few tokens that a photo shows as an example: means of neighbours.

    Args:
        tokens: [N, T, D] of each group.
        counts: how many there are to be of each group; groups with none are left out.
    """
    return {group: mean_of_neighbours(values, counts[group]) for group, values in tokens.items() if counts.get(group)}


class ExamplePrefix:
    """A person's rated photos in the language model's cache.

    No example sees another, and all stand at the same positions, right after what the prompt begins with; the photo that is asked
    about sees all of them. So the order of the examples means nothing, each costs the same, and nothing need be averaged over
    orders. (A language model with sliding windows still tells them apart once they are longer than its window.)

    Args:
        model: in evaluation mode.
        processor: its own; `reads_examples`.
        levels: the level word's number of each of k examples, at least one.
        tokens: of the examples, [k, T, D] of each group, as [`example_tokens`] gives them.
        question: that the examples answer.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: AestheticMLLMForConditionalGeneration,
        processor: AestheticMLLMProcessor,
        levels: Sequence[int],
        tokens: Mapping[str, torch.Tensor],
        question: str,
    ):
        self.model, self.level_ids = model, processor.level_ids
        start, examples, self._asked = processor.example_prompt_ids(question)
        rows = torch.tensor([[*start, *examples[level]] for level in levels], device=model.device)
        placed = {group: values.to(model.device) for group, values in tokens.items()}
        cache = DynamicCache()  # without the model's configuration: layers with a sliding window forget nothing
        model.model(input_ids=rows, mm_encoder_outputs={"image": image_features(placed)}, cache=cache, use_cache=True)
        self._position = rows.shape[1]
        self._cache = DynamicCache()
        for number, layer in enumerate(cache.layers):
            self._cache.update(*(_in_a_row(states, len(start)) for states in (layer.keys, layer.values)), number)

    @torch.inference_mode()
    def level_logits(self, tokens: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Logits of the level words for B photos with these tokens, [B, T, D] of each group: [B, levels], float32."""
        count = len(next(iter(tokens.values())))
        ids = torch.tensor([self._asked], device=self.model.device).expand(count, -1)
        places = torch.arange(self._position, self._position + len(self._asked), device=self.model.device)
        states = self.model.model(
            input_ids=ids,
            position_ids=places.expand(count, -1),
            mm_encoder_outputs={"image": image_features(tokens)},
            cache=self._expanded(count),
            use_cache=True,
        ).last_hidden_state
        return self.model.token_logits(states[:, -1], self.level_ids)

    def _expanded(self, count: int) -> DynamicCache:
        """The cache for so many photos. Nothing is copied: layers put what follows behind it in memory of its own."""
        expanded = DynamicCache()
        for layer in self._cache.layers:
            own = copy.copy(layer)
            own.keys, own.values = (states.expand(count, -1, -1, -1) for states in (layer.keys, layer.values))
            expanded.layers.append(own)
        return expanded


def _in_a_row(states: torch.Tensor, start: int) -> torch.Tensor:
    """[k, heads, start + E, d] keys or values of k examples -> [1, heads, start + k * E, d], the common start once."""
    examples = states[:, :, start:].permute(1, 0, 2, 3).flatten(1, 2)[None]
    return torch.cat([states[:1, :, :start], examples], dim=2)
