"""The loss of codes is least for tokens that are made as the language model was taught to read them."""

from typing import Any

import pytest
import torch

from aesthetic_mllm.pretext.phrase_bank import BINS, PhraseBank
from aesthetic_mllm.pretext.pretext_samples import PretextSample
from aesthetic_mllm.trainers.pretext_cache import CachedSample
from recipes.nano.codebook import EDIT_UNITS, Codebook
from recipes.nano.coded_alignment import CANVAS, CodeLoss, mirrored
from recipes.nano.prompts import nano_processor
from tiny_models import tiny_tokenizer


@pytest.fixture(scope="module")
def loss() -> Any:
    processor = nano_processor(tiny_tokenizer())
    embedding = torch.randn(len(processor.tokenizer), 96, generator=torch.Generator().manual_seed(0))
    return CodeLoss(Codebook(embedding, processor, PhraseBank()).requires_grad_(False))


def photo(loss: Any, level: str, bins: dict[str, int], edits: dict[str, float], content: str = "") -> torch.Tensor:
    torch.manual_seed(0)
    values = {name: bin - (BINS - 1) / 2 for name, bin in bins.items()}
    return loss.book.tokens(
        level, {name: values.get(name, 0) for name in loss.book.vocabulary.attributes[level]}, edits, {}, content
    )


def sample(kind: str, level: str, subject: str, **told: Any) -> CachedSample:
    return CachedSample(PretextSample(level, kind, subject, (), "?", ".", told.pop("label", ""), **told))


def test_all_attributes_of_a_photo_are_read_at_once(loss: Any) -> None:
    """True codes are read right, whatever edits lie on them; with one bin wrong the loss rises and the log says so."""
    bins = {name: number % BINS for number, name in enumerate(loss.book.vocabulary.attributes["low"])}
    pretext_sample = sample("measured", "low", "brightness", bin=0)
    right, found = loss(pretext_sample, bins, photo(loss, "low", bins, {"exposure": 1.0})[None])
    assert len(found) == 8 and all(read for _, read in found)
    wrong, found = loss(pretext_sample, bins | {"contrast": (bins["contrast"] + 2) % BINS}, photo(loss, "low", bins, {})[None])
    assert wrong > right and sum(read for _, read in found) == 7
    one, found = loss(pretext_sample, None, photo(loss, "low", bins, {})[None])  # where only the pretext sample's own is known
    assert found == [("low measured", True)] and one < wrong


def test_an_edit_is_a_change_along_its_direction(loss: Any) -> None:
    """The change that was made costs least; none, the opposite, or another one's costs more and is read wrong."""
    pretext_sample = sample("altered", "low", "exposure", signed_strength=0.8)
    before = photo(loss, "low", {}, {})
    costs = {}
    for name, edits in {
        "made": {"exposure": 0.8 * EDIT_UNITS},
        "none": {},
        "opposite": {"exposure": -0.8 * EDIT_UNITS},
        "other": {"noise": 0.8 * EDIT_UNITS},
    }.items():
        cost, found = loss(pretext_sample, None, torch.stack([before, photo(loss, "low", {}, edits)]))
        costs[name] = float(cost)
        assert found == [("low altered", name == "made")], name
    assert costs["made"] == min(costs.values()) and costs["opposite"] > costs["none"]


def test_a_mirrored_photo_teaches_no_direction(loss: Any) -> None:
    """Mirroring twice gives the photo back, so a direction would have to be its own opposite."""
    tokens = torch.stack([photo(loss, "middle", {}, {}), photo(loss, "middle", {}, {"tilt": 2.0})]).requires_grad_()
    cost, found = loss(sample("altered", "middle", "flip", signed_strength=1.0), None, tokens)
    cost.backward()
    assert cost == 0 and found == [] and tokens.grad.abs().sum() == 0


def test_contents_stand_in_the_tokens_that_attributes_leave(loss: Any) -> None:
    pretext_sample = sample("content", "high", "content", label="content:a cat")
    bins = {name: 2 for name in loss.book.vocabulary.attributes["high"]}
    cat, dog = (loss(pretext_sample, bins, photo(loss, "high", bins, {}, words)[None])[0] for words in ("a cat", "my dog"))
    assert cat < dog


def test_a_mirrored_pretext_sample_is_mirrored_back() -> None:
    """Twice mirrored is the same pretext sample; once, what lies on the left lies on the right, and padding stays where it is."""
    maps = torch.zeros(1, 18, 18, 4)
    maps[:, :, :9] = torch.rand(1, 18, 9, 4)  # the photo fills the canvas's left half
    pretext_sample = sample("altered", "middle", "tilt", signed_strength=0.5)
    pretext_sample = CachedSample(
        pretext_sample.pretext_sample, feature_maps=maps, image_sizes=torch.tensor([[CANVAS, CANVAS // 2]])
    )
    once, bins = mirrored(pretext_sample, {"subject_x": 0, "subject_y": 0})
    assert bins == {"subject_x": BINS - 1, "subject_y": 0} and once.pretext_sample.signed_strength == -0.5
    assert torch.equal(once.feature_maps[0, :, 0], maps[0, :, 8]) and not once.feature_maps[:, :, 9:].any()
    twice, bins = mirrored(once, bins)
    assert torch.equal(twice.feature_maps, maps) and bins == {"subject_x": 0, "subject_y": 0}
    assert twice.pretext_sample.signed_strength == 0.5
