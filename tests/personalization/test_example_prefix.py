"""Rated examples in a cache: what is read once equals what is read anew, in the form that is trained."""

from typing import Any

import pytest
import torch

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.personalization.example_prefix import ExamplePrefix, example_tokens
from photo_files import scene
from tiny_models import tiny_model, tiny_processor

LEVELS = [4, 0, 2]


@pytest.fixture(scope="module")
def processor() -> AestheticMLLMProcessor:
    found = tiny_processor()
    found.num_example_tokens = {"low": 2, "middle": 1, "high": 0, "thematic": 3}
    return found


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def model(request: pytest.FixtureRequest, processor: AestheticMLLMProcessor) -> Any:
    return tiny_model("efficientnet_lite", request.param, processor)


@pytest.fixture(scope="module")
def tokens(model: Any, processor: AestheticMLLMProcessor) -> dict[str, torch.Tensor]:
    images = [scene(90, 40), scene(33, 80), scene(64, 64), scene(70, 51), scene(40, 44)]
    with torch.inference_mode():
        return model.get_image_features(**processor.image_processor(images, return_tensors="pt")).tokens


@torch.inference_mode()
def read_anew(model: Any, processor: AestheticMLLMProcessor, tokens: dict, asked: int) -> torch.Tensor:
    """The level words' logits of one whole sequence under a mask: no example sees another, the photo sees all."""
    start, examples, ids = processor.example_prompt_ids("aesthetic")
    blocks = [examples[level] for level in LEVELS]
    whole = torch.tensor([start + [token for block in blocks for token in block] + ids])
    size, long = len(start), len(blocks[0])
    places = [*range(size), *(size + place for _ in blocks for place in range(long)), *range(size + long, size + long + len(ids))]
    owners = torch.tensor([0] * size + [number for number in (1, 2, 3) for _ in range(long)] + [-1] * len(ids))
    seen = (owners[None] == 0) | (owners[None] == owners[:, None]) | (owners[:, None] < 0)
    seen = seen & torch.ones(len(owners), len(owners)).tril().bool()
    mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[None, None]
    few = example_tokens({group: values[:3] for group, values in tokens.items()}, processor.num_example_tokens)
    visual = [torch.cat([values[row] for values in few.values()]) for row in range(3)]
    visual.append(torch.cat([values[asked] for values in tokens.values()]))
    embeds = model.get_input_embeddings()(whole)
    at = whole == processor.image_token_id
    embeds = embeds.masked_scatter(at[..., None], torch.cat(visual))
    states = model.model.language_model(inputs_embeds=embeds, attention_mask=mask, position_ids=torch.tensor([places]))
    return model.token_logits(states.last_hidden_state[0, -1], processor.level_ids)


def prefix_of(model: Any, processor: AestheticMLLMProcessor, tokens: dict, order: list[int]) -> ExamplePrefix:
    few = example_tokens({group: values[order] for group, values in tokens.items()}, processor.num_example_tokens)
    return ExamplePrefix(model, processor, [LEVELS[place] for place in order], few, "aesthetic")


def test_cached_equals_whole(model: Any, processor: AestheticMLLMProcessor, tokens: dict) -> None:
    """Photos that are asked about together, after the cache, get the logits of each whole sequence; and a second time too."""
    prefix = prefix_of(model, processor, tokens, [0, 1, 2])
    queries = {group: values[3:] for group, values in tokens.items()}
    for _ in range(2):
        found = prefix.level_logits(queries)
        for row in range(2):
            assert torch.allclose(found[row], read_anew(model, processor, tokens, 3 + row), atol=1e-4)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


@pytest.mark.parametrize("language", ["llama", "gemma3"])
def test_one_example_makes_an_ordinary_prompt(language: str, processor: AestheticMLLMProcessor) -> None:
    """Read once equals read as a whole, also by a language model whose sliding window is far shorter than the prompt."""
    model = tiny_model("efficientnet_lite", language, processor)
    pixels = processor.image_processor([scene(90, 40), scene(33, 80)], return_tensors="pt")
    start, examples, asked = processor.example_prompt_ids("aesthetic")
    ids = torch.tensor([[*start, *examples[3], *asked]])
    assert ids.shape[1] > 3 * getattr(model.config.text_config, "sliding_window", 0)
    with torch.inference_mode():
        layouts = torch.tensor([processor.example_layout, processor.image_layout()])
        wanted = model.level_logits(processor.level_ids, input_ids=ids, image_layouts=layouts, **pixels)
        tokens = model.get_image_features(**pixels).tokens
    few = example_tokens({group: values[:1] for group, values in tokens.items()}, processor.num_example_tokens)
    found = ExamplePrefix(model, processor, [3], few, "aesthetic").level_logits(
        {group: values[1:] for group, values in tokens.items()}
    )
    assert torch.allclose(found, wanted, atol=1e-4)


def test_order_means_nothing_and_examples_do(model: Any, processor: AestheticMLLMProcessor, tokens: dict) -> None:
    """Examples in another order give the same logits; another example does not."""
    queries = {group: values[3:4] for group, values in tokens.items()}
    wanted = prefix_of(model, processor, tokens, [0, 1, 2]).level_logits(queries)
    assert torch.allclose(prefix_of(model, processor, tokens, [2, 0, 1]).level_logits(queries), wanted, atol=1e-4)
    assert not torch.allclose(prefix_of(model, processor, tokens, [0, 1]).level_logits(queries), wanted, atol=1e-4)


def test_example_tokens_are_means_of_neighbours() -> None:
    """As many as there are stay as they are; one is the mean; none leaves the group out."""
    tokens = {"low": torch.randn(2, 8, 4), "high": torch.randn(2, 6, 4), "middle": torch.randn(2, 5, 4)}
    few = example_tokens(tokens, {"low": 8, "high": 1, "middle": 0})
    assert list(few) == ["low", "high"]
    assert torch.allclose(few["low"], tokens["low"]) and torch.allclose(few["high"][:, 0], tokens["high"].mean(1), atol=1e-6)
