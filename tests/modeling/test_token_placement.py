"""Visual tokens go where the prompt says: which photo, which group, which place."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.modeling.token_placement import image_features, mean_of_neighbours, place_tokens, shown_tokens
from photo_files import scene

COUNTS = {"low": 2, "middle": 1, "high": 3, "thematic": 4}
PLACEHOLDER, TEXT = 1, 9

layouts = st.tuples(*(st.integers(0, count) for count in COUNTS.values())).filter(any)
# prompts: photos, each with a layout and the number of words before it
prompts = st.lists(st.lists(st.tuples(layouts, st.integers(0, 2)), max_size=3), min_size=1, max_size=3)


@settings(deadline=None)
@given(batch=prompts)
def test_every_token_comes_to_its_place(batch: list) -> None:
    """Any number of photos in any prompt, each with any layout: photo by photo, group by group, in order."""
    rows = [[token for layout, words in prompt for token in [TEXT] * words + [PLACEHOLDER] * sum(layout)] for prompt in batch]
    shown = [layout for prompt in batch for layout, _ in prompt]
    if not shown:
        return
    length = max(map(len, rows)) + 1
    input_ids = torch.tensor([[TEXT] * (length - 1 - len(row)) + [*row, TEXT] for row in rows])
    # a value tells the photo, the group and the token's number
    tokens = {
        group: torch.tensor([[[100.0 * photo + 10 * number + k] for k in range(COUNTS[group])] for photo in range(len(shown))])
        for number, group in enumerate(TOKEN_GROUPS)
    }
    embeds = torch.full((*input_ids.shape, 1), -1.0)
    placed = place_tokens(embeds, input_ids == PLACEHOLDER, shown_tokens(tokens, torch.tensor(shown)))

    expected = torch.cat(
        [
            mean_of_neighbours(tokens[group][[photo]], count).flatten()
            for photo, layout in enumerate(shown)
            for group, count in zip(TOKEN_GROUPS, layout, strict=True)
            if count
        ]
    )
    assert torch.equal(placed[input_ids == PLACEHOLDER].flatten(), expected)
    assert (placed[input_ids == TEXT] == -1).all() and (embeds == -1).all()


def test_fewer_tokens_are_means_of_neighbours() -> None:
    """As many as there are stay as they are, one is the mean of all, and two are the means of the halves."""
    tokens = torch.randn(2, 8, 4)
    assert torch.allclose(mean_of_neighbours(tokens, 8), tokens)
    assert torch.allclose(mean_of_neighbours(tokens, 1)[:, 0], tokens.mean(1), atol=1e-6)
    assert torch.allclose(mean_of_neighbours(tokens, 2)[:, 1], tokens[:, 4:].mean(1), atol=1e-6)


def test_groups_have_one_order(nano: Any, processor: Any) -> None:
    """Features that come from a file, whose names are sorted, enter the language model as those that were just computed."""
    pixels = processor.image_processor([scene()], return_tensors="pt")
    with torch.inference_mode():
        seen = nano.get_image_features(**pixels)
    stored = dict(sorted(seen.tokens.items()))
    assert list(stored) != list(seen.tokens) == list(TOKEN_GROUPS)
    assert torch.equal(image_features(stored).pooler_output[0], seen.pooler_output[0])


def sample(processor: Any, text: str, photos: int) -> dict[str, torch.Tensor]:
    pixels = processor.image_processor([scene(40 + 8 * i, 60) for i in range(photos)], return_tensors="pt")
    ids = processor.tokenizer(text, return_tensors="pt")["input_ids"]
    return {"input_ids": ids, **pixels}


def embeddings_at_photos(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the language model is given at the placeholders, [P, D]."""
    seen: list[torch.Tensor] = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    model(**inputs)
    hook.remove()
    return seen[0][inputs["input_ids"] == model.config.image_token_id]


@torch.inference_mode()
def test_a_whole_photo_an_example_and_one_group_in_one_prompt(nano: Any, processor: Any) -> None:
    """Each photo is placed as its row of `image_layouts` says, also where two layouts have the same length."""
    whole, low, example = processor.image_layout(), processor.image_layout(["low"]), [2, 2, 2, 2]
    assert sum(low) == sum(example) == 8  # so that lengths do not tell them apart
    placeholders = [processor.image_token * sum(layout) for layout in (whole, low, example)]
    inputs = sample(processor, "{} good {} bad {}".format(*placeholders), 3)
    features = nano.get_image_features(inputs["pixel_values"], inputs["image_sizes"])
    few = [mean_of_neighbours(features.tokens[group], 2)[2] for group in TOKEN_GROUPS]
    expected = torch.cat([features.pooler_output[0], features.tokens["low"][1], *few])
    inputs["image_layouts"] = torch.tensor([whole, low, example])
    assert torch.allclose(embeddings_at_photos(nano, inputs), expected, atol=1e-5)
    inputs["image_layouts"] = torch.tensor([whole, example, low])
    assert not torch.allclose(embeddings_at_photos(nano, inputs), expected, atol=1e-3)
    before = {"image": image_features(features.tokens, torch.tensor([whole, low, example]))}
    assert torch.allclose(embeddings_at_photos(nano, {"input_ids": inputs["input_ids"], "mm_encoder_outputs": before}), expected)
    output = nano.model(**inputs)
    assert output.image_hidden_states.shape == (sum(whole) + 16, nano.config.text_config.hidden_size)


@torch.inference_mode()
def test_generation_honours_layouts(nano: Any, processor: Any) -> None:
    """What is generated from photos of different layouts has the logits of the forward; also for several sequences a prompt."""
    layouts = torch.tensor([processor.image_layout(["low"]), [2, 2, 2, 2]])
    block = processor.image_token * 8
    inputs = sample(processor, f"{block} good {block} bad", 2) | {"image_layouts": layouts}
    options = {"max_new_tokens": 2, "do_sample": True, "top_k": 1, "return_dict_in_generate": True, "output_logits": True}
    found = nano.generate(**inputs, num_return_sequences=2, **options).logits[0]
    expected = nano(**inputs).logits[:, -1]
    assert torch.allclose(found, expected.expand(2, -1), atol=1e-5)
    swapped = inputs | {"image_layouts": layouts.flip(0)}
    assert not torch.allclose(nano.generate(**swapped, **options).logits[0], expected, atol=1e-4)


@torch.inference_mode()
def test_groups_that_no_prompt_shows_are_not_computed(nano: Any, processor: Any) -> None:
    """With thematic tokens alone no Q-Former runs, and the output says that there are no such embeddings."""
    ran: list[Any] = []
    hooks = [
        qformer.register_forward_hook(lambda *args: ran.append(args))
        for qformer in nano.model.multi_modal_projector.qformers.values()
    ]
    thematic = {"image_layouts": torch.tensor([processor.image_layout(["thematic"])])}
    output = nano.model(**sample(processor, processor.image_placeholders(["thematic"]) + " good", 1), **thematic)
    for hook in hooks:
        hook.remove()
    assert not ran
    assert output.low_embeds is None and output.middle_embeds is None and output.high_embeds is None
    assert output.thematic_embeds.shape == (1, nano.config.text_config.hidden_size)


@pytest.mark.parametrize(
    ("prompt", "photos"),
    [
        ("{all} good {all}", 1),  # a photo is missing
        ("{all} good", 2),  # one too many
        ("good", 1),  # nothing to put it at
        ("{all}<image> good", 1),  # a placeholder too many
        ("{all}<image> good {all}", 2),
        ("{most} good <image>{all}", 2),  # as many as two photos have, but not in two blocks of a photo's length
    ],
)
def test_wrong_numbers_are_refused(nano: Any, processor: Any, prompt: str, photos: int) -> None:
    """Prompts whose placeholders do not make up the photos raise; tokens never land in a neighbour's place."""
    block = processor.image_placeholders()
    inputs = sample(processor, prompt.format(all=block, most=block.removesuffix("<image>")), photos)
    with pytest.raises(ValueError, match="placeholder"):
        nano(**inputs)


def test_placeholders_of_one_prompt_are_not_filled_from_the_next(nano: Any, processor: Any) -> None:
    """A prompt that lacks a placeholder is refused though the next one has it to spare."""
    block = processor.image_placeholders()
    texts = [block.removesuffix("<image>") + " is good", "<image>" + block + " good"]
    ids = processor.tokenizer(texts, padding=True, return_tensors="pt")["input_ids"]
    pixels = processor.image_processor([scene(), scene(50, 60)], return_tensors="pt")
    with pytest.raises(ValueError, match="placeholder"):
        nano(input_ids=ids, **pixels)


@pytest.mark.parametrize(
    ("layouts", "message"),
    [
        ([[8, 8, 8, 9]], "1 photos, but there are 2"),
        ([[8, 8, 8, 9], [9, 0, 0, 0]], "9 low tokens of a photo, which has 8"),
        ([[8, 8, 8, 9], [0, 0, 0, 0]], "at least one token"),
        ([[8, 8, 8], [8, 8, 8]], "low, middle, high, thematic"),
    ],
)
def test_layouts_that_cannot_be_are_refused(nano: Any, processor: Any, layouts: list, message: str) -> None:
    inputs = sample(processor, processor.image_placeholders() * 2, 2)
    with pytest.raises(ValueError, match=message):
        nano(**inputs, image_layouts=torch.tensor(layouts))


@torch.inference_mode()
def test_embeddings_instead_of_ids(nano: Any, processor: Any) -> None:
    """`inputs_embeds` of the same prompt give the same logits as `input_ids`."""
    inputs = sample(processor, processor.image_placeholders() + " is good", 1)
    embeds = nano.get_input_embeddings()(inputs["input_ids"])
    photo = {name: inputs[name] for name in ("pixel_values", "image_sizes")}
    assert torch.allclose(nano(**inputs).logits, nano(inputs_embeds=embeds, **photo).logits, atol=1e-6)


@torch.inference_mode()
def test_features_can_be_computed_beforehand(nano: Any, processor: Any) -> None:
    """`mm_encoder_outputs` in place of `pixel_values` give the same logits; both at once are refused."""
    inputs = sample(processor, processor.image_placeholders() + " is good", 1)
    features = nano.get_image_features(inputs["pixel_values"], inputs["image_sizes"])
    later = nano(input_ids=inputs["input_ids"], mm_encoder_outputs={"image": features}).logits
    assert torch.allclose(nano(**inputs).logits, later, atol=1e-6)
    layouts = {"image_layouts": torch.tensor([processor.image_layout()])}
    for twice in (inputs, layouts | {"input_ids": inputs["input_ids"]}):
        with pytest.raises(ValueError, match="not both"):
            nano(**twice, mm_encoder_outputs={"image": features})


@torch.inference_mode()
@pytest.mark.parametrize("options", [{"do_sample": True, "top_k": 1, "num_return_sequences": 3}, {"num_beams": 3}])
def test_several_sequences_of_a_prompt_see_its_photos(nano: Any, processor: Any, options: dict) -> None:
    """Generating several sequences for prompts of one and two photos gives each the photos of its own prompt, in order."""
    photos = [scene(90, 40), scene(33, 80).point(lambda value: 255 - value), scene(64, 64)]
    image = processor.image_token
    text = [f"{image} fair {image} excellent", f"{image} is good"]
    batch = processor(images=photos, text=text, padding=True, return_tensors="pt")
    options |= {"max_new_tokens": 6, "return_dict_in_generate": True, "output_logits": True}
    seen = nano.generate(**batch, **options)
    rows = len(seen.logits[0]) // 2  # of each prompt
    for index, chosen in enumerate((photos[:2], photos[2:])):
        alone = processor(images=chosen, text=[text[index]], return_tensors="pt")
        expected = nano.generate(**alone, **options)
        # random models often repeat one word whatever they see, so the first step's logits tell more than the words
        assert torch.allclose(seen.logits[0][index * rows : (index + 1) * rows], expected.logits[0], atol=1e-5)
        returned = len(expected.sequences)
        assert torch.equal(seen.sequences[index * returned : (index + 1) * returned, -6:], expected.sequences[:, -6:])
    assert not torch.allclose(seen.logits[0][0], seen.logits[0][-1], atol=1e-3)


@torch.inference_mode()
def test_several_sequences_without_a_photo(nano: Any, processor: Any) -> None:
    """A prompt of words alone can be answered several times too."""
    words = processor.tokenizer(["How good is this photo?"], return_tensors="pt")
    ids = {name: words[name] for name in ("input_ids", "attention_mask")}
    assert len(nano.generate(**ids, max_new_tokens=3, num_beams=2, num_return_sequences=2)) == 2


@torch.inference_mode()
def test_a_prompt_read_in_chunks_sees_its_photos(nano: Any, processor: Any) -> None:
    """Generation may cut prompts anywhere, within a photo too; each chunk gets the tokens of its own places."""
    text = ["<image> fair <image> excellent", "<image> is good"]
    batch = processor(images=[scene(), scene(33, 80), scene(64, 64)], text=text, padding=True, return_tensors="pt")
    options = {"max_new_tokens": 3, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
    whole, chunked = nano.generate(**batch, **options), nano.generate(**batch, **options, prefill_chunk_size=10)
    for one, other in zip(whole.logits, chunked.logits, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("layouts", [[[8, 8, 8, 9]], torch.tensor([[7.5, 8, 8, 9]]), torch.tensor([[True] * 4])])
def test_layouts_are_tensors_of_integers(nano: Any, processor: Any, layouts: Any) -> None:
    inputs = sample(processor, processor.image_placeholders(), 1)
    with pytest.raises(ValueError, match="image_layouts is of .*tensor of integers"):
        nano(**inputs, image_layouts=layouts)


def test_layouts_of_no_photo_are_refused(nano: Any, processor: Any) -> None:
    inputs = sample(processor, processor.image_placeholders(), 1)
    with pytest.raises(ValueError, match="has the shape"):
        nano(**inputs, image_layouts=torch.zeros((0, 4), dtype=torch.long))
