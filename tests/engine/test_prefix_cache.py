"""Many questions about one reading of a photo: the same answers as each question alone."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from aesthetic_mllm import AestheticMLLMProcessor
from aesthetic_mllm.engine.prefix_cache import GUIDANCE, LEAST_PLAUSIBLE, LEAST_POSSIBLE, NotFirst, PrefixCache, split_prompts
from aesthetic_mllm.modeling.token_placement import image_features
from photo_files import scene
from tiny_models import LANGUAGE_MODELS, tiny_model

TOLERANCE = 1e-4
# of lengths that differ by far, one ending within another
QUESTIONS = ["How good is the light?", "How good is the composition, all in all, and why?", "Rate the noise", "How good?"]


@pytest.fixture(scope="module", params=LANGUAGE_MODELS)
def model(request: pytest.FixtureRequest, processor: AestheticMLLMProcessor) -> Any:
    return tiny_model("efficientnet_lite", request.param, processor)


@pytest.fixture(scope="module")
def photos(processor: AestheticMLLMProcessor) -> dict[str, torch.Tensor]:
    """Photos of different shapes on one canvas, each with padding of its own."""
    return dict(processor.image_processor([scene(90, 40), scene(33, 80), scene(64, 64)], return_tensors="pt"))


def prompts(processor: AestheticMLLMProcessor, texts: Sequence[str]) -> list[list[int]]:
    return [processor.prompt_ids(processor.assistant_prompt(text)) for text in texts]


@torch.inference_mode()
def read_anew(model: Any, processor: AestheticMLLMProcessor, photos: dict, ids: list[int], row: int) -> torch.Tensor:
    """All logits [V] after one whole prompt about one photo, in one forward without a cache."""
    photo = {name: values[row : row + 1] for name, values in photos.items()}
    return model(input_ids=torch.tensor([ids]), use_cache=False, **photo).logits[0, -1]


def shared_part(model: Any, asked: list[list[int]], photos: dict) -> tuple[PrefixCache, list[list[int]]]:
    prefix, suffixes = split_prompts(asked)
    return PrefixCache(model, prefix, model.get_image_features(**photos)), suffixes


@pytest.mark.parametrize("count", [1, 4])
def test_the_cache_changes_no_answer(model: Any, photos: dict, processor: AestheticMLLMProcessor, count: int) -> None:
    """Every photo's logits after every question are those of the question's own prompt, whatever is padded."""
    asked = prompts(processor, QUESTIONS[:count])
    shared, suffixes = shared_part(model, asked, photos)
    assert len(set(map(len, suffixes))) == len(suffixes)
    found = shared.token_logits(suffixes, processor.level_ids)
    assert found.dtype == torch.float32
    for row in range(3):
        for column, ids in enumerate(asked):
            alone = read_anew(model, processor, photos, ids, row)[processor.level_ids]
            assert torch.allclose(found[row, column], alone, atol=TOLERANCE), (found[row, column] - alone).abs().max()
    assert not torch.allclose(found[0], found[1], atol=10 * TOLERANCE)


def test_soft_capping_is_kept(photos: dict, processor: AestheticMLLMProcessor) -> None:
    """A language model that limits its logits limits those from the cache too."""
    model = tiny_model("efficientnet_lite", "gemma3", processor)
    asked = prompts(processor, QUESTIONS)
    shared, suffixes = shared_part(model, asked, photos)
    free = shared.token_logits(suffixes, processor.level_ids)
    model.config.text_config.final_logit_softcapping = 0.01
    capped = shared.token_logits(suffixes, processor.level_ids)
    assert capped.abs().max() <= 0.01 < free.abs().max()
    alone = read_anew(model, processor, photos, asked[1], 2)[processor.level_ids]
    assert torch.allclose(capped[2, 1], alone, atol=1e-6)


def test_what_only_the_questions_share_is_read_once_more(
    model: Any, photos: dict, processor: AestheticMLLMProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions that begin alike after the prefix are read as one up to where they part, with the same result."""
    comment, *asked = prompts(processor, ["Comment.", *QUESTIONS[:2]])
    shared, (_, *suffixes) = shared_part(model, [comment, *asked], photos)
    read = []
    forward = model.model.language_model.forward

    def counting(*args: Any, **inputs: Any) -> Any:
        read.append(inputs["inputs_embeds"].shape[:2].numel())
        return forward(*args, **inputs)

    monkeypatch.setattr(model.model.language_model, "forward", counting)
    found = shared.token_logits(suffixes, processor.level_ids)
    begin, rest = split_prompts(suffixes)
    assert begin and read == [3 * len(begin), 3 * 2 * max(map(len, rest))]
    alone = read_anew(model, processor, photos, asked[0], 1)[processor.level_ids]
    assert torch.allclose(found[1, 0], alone, atol=TOLERANCE)


def test_groups_that_begin_alike_are_read_together(
    model: Any, photos: dict, processor: AestheticMLLMProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of questions in families, each family's common words are read once; the answers are those of each question alone."""
    family = "How free is this photo of the following flaw, which some photos have: "
    asked = prompts(processor, ["Good?", family + "dark", "How good is it?", family + "soft", family + "pale and tilted"])
    shared, suffixes = shared_part(model, asked, photos)
    read = []
    forward = model.model.language_model.forward

    def counting(*args: Any, **inputs: Any) -> Any:
        read.append(inputs["inputs_embeds"].shape[:2].numel() // 3)
        return forward(*args, **inputs)

    monkeypatch.setattr(model.model.language_model, "forward", counting)
    found = shared.token_logits(suffixes, processor.level_ids)
    begin, rests = split_prompts([suffixes[place] for place in (1, 3, 4)])
    assert read == [len(begin), 3 * max(map(len, rests)), 2 * max(len(suffixes[0]), len(suffixes[2]))]
    for row in range(3):
        for column, ids in enumerate(asked):
            alone = read_anew(model, processor, photos, ids, row)[processor.level_ids]
            assert torch.allclose(found[row, column], alone, atol=TOLERANCE)


def test_continuations_leave_the_prefix_as_it_was(model: Any, photos: dict, processor: AestheticMLLMProcessor) -> None:
    """Asking and writing, in any order and again, gives what asking first gives."""
    shared, suffixes = shared_part(model, prompts(processor, QUESTIONS), photos)
    first = shared.token_logits(suffixes, processor.level_ids)
    written = shared.write(suffixes[0], [0], 5)
    assert torch.equal(shared.token_logits(suffixes, processor.level_ids), first)
    assert shared.write(suffixes[0], [0], 5) == written


def test_photos_are_encoded_once(
    model: Any, photos: dict, processor: AestheticMLLMProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many questions are asked and texts are written, tower and alignment module run once for a photo."""
    encoded = []
    encode = model.model.get_image_features

    def counting(pixel_values: torch.Tensor, *args: Any, **options: Any) -> Any:
        encoded.append(len(pixel_values))
        return encode(pixel_values, *args, **options)

    monkeypatch.setattr(model.model, "get_image_features", counting)
    shared, suffixes = shared_part(model, prompts(processor, QUESTIONS), photos)
    shared.token_logits(suffixes, processor.level_ids)
    shared.write(suffixes[1], [0], 4)
    assert encoded == [3]


def test_texts_are_those_of_plain_generation(model: Any, photos: dict, processor: AestheticMLLMProcessor) -> None:
    """What is written from the cache is what generation of the whole prompt writes, word for word and photo by photo."""
    lively = copy.deepcopy(model)
    torch.manual_seed(1)
    lively.lm_head.weight = torch.nn.Parameter(torch.randn_like(lively.lm_head.weight))  # tied, it would repeat one word
    asked = prompts(processor, QUESTIONS)
    shared, suffixes = shared_part(lively, asked, photos)
    for ids, suffix in zip(asked, suffixes, strict=True):
        written = shared.write(suffix, [processor.tokenizer.pad_token_id], 8)
        for row in range(3):
            photo = {name: values[row : row + 1] for name, values in photos.items()}
            whole = lively.generate(input_ids=torch.tensor([ids]), max_new_tokens=8, do_sample=False, **photo)
            assert written[row] == whole[0, len(ids) :].tolist()
    assert len({tuple(text) for text in written}) > 1


def test_a_text_ends_where_its_turn_ends(model: Any, photos: dict, processor: AestheticMLLMProcessor) -> None:
    """Each photo's text stops before its own first stop token, and is as long as allowed where none comes."""
    shared, suffixes = shared_part(model, prompts(processor, QUESTIONS), photos)
    free = shared.write(suffixes[0], [len(processor.tokenizer)], 8)
    assert [len(text) for text in free] == [8, 8, 8]
    stop = free[1][3]
    for text, whole in zip(shared.write(suffixes[0], [stop], 8), free, strict=True):
        assert text == (whole[: whole.index(stop)] if stop in whole else whole)


def test_a_text_begins_with_what_is_possible_of_the_photo_or_not_at_all() -> None:
    """Behind a forbidden token comes one of those that are possible; without one the text ends, beside an average photo too."""
    probabilities = torch.tensor([[0.8, 0.15, 0.05, LEAST_POSSIBLE / 4]]).log()
    anything = torch.zeros_like(probabilities)
    begin = torch.zeros(2, 5, dtype=torch.long)
    for forbidden, allowed in ([0], {1, 2}), ([1], {0, 2}), ([0, 1], {2}), ([0, 1, 2], {3}):
        for rows in [probabilities], [probabilities, anything]:
            scores = NotFirst(forbidden, 1, 5, stop_id=3)(begin[: len(rows)], torch.cat(rows))
            assert all({*row.isfinite().nonzero().flatten().tolist()} == allowed for row in scores)
    later = NotFirst([0], 1, 4, stop_id=3)(begin[:1], probabilities)
    assert torch.equal(later, probabilities)  # it is about the first token alone


def test_what_may_not_come_first_does_not(model: Any, photos: dict, processor: AestheticMLLMProcessor) -> None:
    """With and without an average photo, of one photo as of all."""
    prefix, (suffix,) = split_prompts(prompts(processor, QUESTIONS[:1]))
    seen = model.get_image_features(**photos)
    mean_tokens = {group: values.mean(0, keepdim=True) for group, values in seen.tokens.items()}
    shared, mean_photo = (PrefixCache(model, prefix, features) for features in (seen, image_features(mean_tokens)))
    stop = [len(processor.tokenizer) - 1]
    for beside in None, mean_photo:
        forbidden = [text[0] for text in shared.write(suffix, stop, 4, mean_photo=beside) if text]
        others = shared.write(suffix, stop, 4, forbidden, mean_photo=beside)
        assert any(others) and not any(text[0] in forbidden for text in others if text)
        assert shared.write(suffix, stop, 4, forbidden, 1, beside) == others[1:2]


def test_prompts_are_split_where_they_part() -> None:
    """The shared part is as long as it can be while every prompt keeps a token; nothing is lost."""
    assert split_prompts([[1, 2, 3, 4], [1, 2, 5]]) == ([1, 2], [[3, 4], [5]])
    assert split_prompts([[1, 2], [1, 2, 3]]) == ([1], [[2], [2, 3]])
    assert split_prompts([[1, 2]]) == ([1], [[2]])
    assert split_prompts([[1], [2]]) == ([], [[1], [2]])


@torch.inference_mode()
def test_texts_are_guided_away_from_what_is_said_of_a_mean_visual_tokens(
    model: Any, photos: dict, processor: AestheticMLLMProcessor
) -> None:
    """Token by token, of those that the photo itself makes plausible; alone as in a batch."""
    prefix, (suffix,) = split_prompts(prompts(processor, QUESTIONS[:1]))
    seen = model.get_image_features(**photos)
    mean_tokens = {group: values.mean(0, keepdim=True) for group, values in seen.tokens.items()}
    shared, mean_photo = (PrefixCache(model, prefix, features) for features in (seen, image_features(mean_tokens)))
    written = shared.write(suffix, [0], 8, mean_photo=mean_photo)
    assert [shared.write(suffix, [0], 8, photo=row, mean_photo=mean_photo)[0] for row in range(3)] == written
    plain = image_features({group: torch.cat([values, mean_tokens[group]]) for group, values in seen.tokens.items()})
    for row, text in enumerate(written):
        for place, token in enumerate([*text, *([0] if len(text) < 8 else [])]):
            ids = torch.tensor([[*prefix, *suffix, *text[:place]]] * 4)
            logits = model(input_ids=ids, mm_encoder_outputs={"image": plain}, use_cache=False).logits[:, -1].log_softmax(-1)
            of_photo, of_mean = logits[row], logits[3]
            guided = torch.where(of_photo < of_photo.max() + math.log(LEAST_PLAUSIBLE), -torch.inf, of_mean)
            guided += GUIDANCE * (of_photo - of_mean)
            assert guided[token] >= guided.max() - TOLERANCE


def test_a_photo_that_is_usual_is_not_guided(model: Any, photos: dict, processor: AestheticMLLMProcessor) -> None:
    """Guided away from itself, a photo's text stays what it is, whatever token may not come first."""
    prefix, (suffix,) = split_prompts(prompts(processor, QUESTIONS[:1]))
    first = model.get_image_features(**{name: values[:1] for name, values in photos.items()})
    shared = PrefixCache(model, prefix, first)
    (plain,) = shared.write(suffix, [0], 8)
    assert shared.write(suffix, [0], 8, mean_photo=PrefixCache(model, prefix, first)) == [plain]
    not_first = [plain[0], 5]
    guided = shared.write(suffix, [0], 8, not_first, mean_photo=PrefixCache(model, prefix, first))
    assert guided == shared.write(suffix, [0], 8, not_first) != [plain]
