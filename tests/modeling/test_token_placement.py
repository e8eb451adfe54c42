"""Visual tokens go where the prompt says: which photo, which group, which place."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.modeling.token_placement import place_tokens
from photo_files import scene

COUNTS = {"low": 2, "middle": 1, "high": 3, "thematic": 4}
IDS = {group: index for index, group in enumerate(TOKEN_GROUPS, 1)}
TEXT = 9

groups_of_a_photo = st.lists(st.sampled_from(TOKEN_GROUPS), min_size=1, unique=True).map(
    lambda groups: [group for group in TOKEN_GROUPS if group in groups]
)
# prompts: photos, each with some groups and the number of words before it
prompts = st.lists(st.lists(st.tuples(groups_of_a_photo, st.integers(0, 2)), max_size=3), min_size=1, max_size=3)


def starts_a_photo(before: list[int], groups: list[str]) -> bool:
    """Whether a photo that begins with these groups can be told from the one that ended just before."""
    return not before or before[-1] == TEXT or before[-1] >= IDS[groups[0]]


@settings(deadline=None)
@given(batch=prompts)
def test_every_token_comes_to_its_place(batch: list) -> None:
    """Any number of photos in any prompt, each with any of its groups: photo by photo, group by group, in order."""
    rows, photos = [], []
    for prompt in batch:
        ids: list[int] = []
        for groups, words in prompt:
            ids += [TEXT] * max(words, 0 if starts_a_photo(ids, groups) else 1)
            for group in groups:
                ids += [IDS[group]] * COUNTS[group]
            photos.append(groups)
        rows.append([*ids, TEXT])
    length = max(map(len, rows))
    input_ids = torch.tensor([[TEXT] * (length - len(row)) + row for row in rows])
    present = [group for group in TOKEN_GROUPS if any(group in groups for groups in photos)]
    # a value tells the photo, the group and the token's number
    tokens = {
        group: torch.tensor(
            [[[100.0 * photo + 10 * IDS[group] + k] for k in range(COUNTS[group])] for photo in range(len(photos))]
        )
        for group in present
    }
    embeds = torch.full((len(rows), length, 1), -1.0)
    placed = place_tokens(embeds, {group: input_ids == IDS[group] for group in TOKEN_GROUPS}, tokens)

    expected = [100.0 * photo + 10 * IDS[g] + k for photo, groups in enumerate(photos) for g in groups for k in range(COUNTS[g])]
    assert placed[input_ids != TEXT].flatten().tolist() == expected
    assert (placed[input_ids == TEXT] == -1).all() and (embeds == -1).all()


def sample(processor: Any, text: str, photos: int) -> dict[str, torch.Tensor]:
    pixels = processor.image_processor([scene(40 + 8 * i, 60) for i in range(photos)], return_tensors="pt")
    ids = processor.tokenizer(text, return_tensors="pt")["input_ids"]
    return {"input_ids": ids, **pixels}


@torch.inference_mode()
def test_groups_are_switched_off_photo_by_photo(nano: Any, processor: Any) -> None:
    """A second photo that shows only its aesthetic groups is placed as they are; the first is not disturbed."""
    first, second = processor.image_placeholders(), processor.image_placeholders(["low", "high"])
    both = sample(processor, f"{first} good {second}", 2)
    features = nano.get_image_features(both["pixel_values"], both["image_sizes"])
    seen: list[torch.Tensor] = []
    hook = nano.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    nano(**both)
    hook.remove()
    at_photos = seen[0][0][torch.isin(both["input_ids"][0], torch.tensor(list(processor.group_token_ids.values())))]
    expected = [features.tokens[group][0] for group in TOKEN_GROUPS] + [features.tokens[group][1] for group in ("low", "high")]
    assert torch.allclose(at_photos, torch.cat(expected), atol=1e-5)


@torch.inference_mode()
def test_groups_that_no_prompt_shows_are_not_computed(nano: Any, processor: Any) -> None:
    """With thematic tokens alone no Q-Former runs, and the output says that there are no such embeddings."""
    ran: list[Any] = []
    hooks = [
        qformer.register_forward_hook(lambda *args: ran.append(args))
        for qformer in nano.model.multi_modal_projector.qformers.values()
    ]
    output = nano.model(**sample(processor, processor.image_placeholders(["thematic"]) + " good", 1))
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
        ("{all}<low> good", 1),  # a placeholder too many
        ("{all}<image> good {all}", 2),
    ],
)
def test_wrong_numbers_are_refused(nano: Any, processor: Any, prompt: str, photos: int) -> None:
    """Prompts whose placeholders do not make up the photos raise; tokens never land in a neighbour's place."""
    inputs = sample(processor, prompt.format(all=processor.image_placeholders()), photos)
    with pytest.raises(ValueError, match="placeholder"):
        nano(**inputs)


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
    with pytest.raises(ValueError, match="not both"):
        nano(**inputs, mm_encoder_outputs={"image": features})


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
