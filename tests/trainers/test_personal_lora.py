"""LoRA for one person: learned of that person's ratings alone, and nothing of it is in the model that all people share."""

import numpy as np
import pytest
import torch
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.inference.lora_way import LORA_TRUST, LoraWay
from aesthetic_mllm.inference.personal_assessor import PersonalAssessor
from aesthetic_mllm.inference.photo_stream import read_photo
from aesthetic_mllm.tasks.personalizing import ProfileError
from aesthetic_mllm.trainers.personal_lora import PersonalLoraConfig, tune_lora
from lively_assessor import lively_assessor
from photo_files import scene

THOROUGH = PersonalLoraConfig(epochs=40, learning_rate=1e-2, batch_size=4)
GIVEN = (1.0, 10.0, 1.0, 10.0)


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return lively_assessor()


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return [scene(60 + 9 * number, 50) for number in range(len(GIVEN))]


def profile_of(assessor: AestheticAssessor, images: list[Image.Image], given: tuple[float, ...]) -> PersonalAssessor:
    """A profile whose photos hold the tokens that are learned from; what it learns by itself is not looked at."""
    return assessor.personalize(list(zip(images, given, strict=True)), score_range=(1, 10), way="lora")


def learned(assessor: AestheticAssessor, images: list[Image.Image], given: tuple[float, ...] = GIVEN) -> list[float]:
    """A person's ratings of their own photos, thoroughly learned."""
    person = profile_of(assessor, images, given)
    way = tune_lora(assessor.model, assessor.processor, person.profile, person._photos, THOROUGH)
    with torch.inference_mode():
        seen = assessor._see([read_photo(assessor.processor.image_processor, image) for image in images])
    return [rating.mean for rating in way.rate(seen, assessor.score(images))]


def test_it_comes_near_the_persons_ratings(assessor: AestheticAssessor, images: list) -> None:
    """What is liked lies above what is not, by half of what the trusted share can reach; the other way round for whoever likes
    the opposite."""
    general = np.array([rating.mean for rating in assessor.score(images)])
    for given in (GIVEN, GIVEN[::-1]):
        means, likes = np.array(learned(assessor, images, given)), np.array(given) > 5
        assert means[likes].min() > means[~likes].max()
        apart = (means - (1 - LORA_TRUST) * general)[likes].mean() - (means - (1 - LORA_TRUST) * general)[~likes].mean()
        assert apart > LORA_TRUST * 9 / 2


def test_the_shared_model_stays_as_it_is(assessor: AestheticAssessor, images: list) -> None:
    """While one person learns and rates, all weights are the same to the last bit, and so are the general ratings and another
    person's; what could be trained can be trained."""
    before = {name: weight.detach().clone() for name, weight in assessor.model.named_parameters()}
    learns = [weight.requires_grad for weight in assessor.model.parameters()]
    general, other = assessor.score(images), profile_of(assessor, images, GIVEN[::-1])
    others = other.score(images)
    person = profile_of(assessor, images, GIVEN)
    assert person.score(images) != general != others
    assert assessor.score(images) == general and other.score(images) == others
    after = dict(assessor.model.named_parameters())
    assert after.keys() == before.keys() and all(torch.equal(after[name], weight) for name, weight in before.items())
    assert [weight.requires_grad for weight in assessor.model.parameters()] == learns
    assert all(weight.grad is None for weight in assessor.model.parameters())


def test_how_high_a_person_rates_is_not_learned(assessor: AestheticAssessor, images: list) -> None:
    """Two people who like the same and differ in their level alone get the same changes, and ratings that lie apart."""
    low, high = (profile_of(assessor, images, given).way for given in ((3.0, 4.0, 3.5, 4.0), (5.0, 6.0, 5.5, 6.0)))
    assert isinstance(low, LoraWay) and isinstance(high, LoraWay)
    for name, values in low.learned.items():
        if name != "level":
            assert values == pytest.approx(high.learned[name], abs=1e-5)
    assert 1 < high.learned["level"] - low.learned["level"] < 2


def test_what_cannot_be_learned_says_why(assessor: AestheticAssessor, images: list) -> None:
    """A profile without whole tokens, and a model in 8-bit integers, which has no weights to change."""
    adapter = assessor.personalize(list(zip(images, GIVEN, strict=True)), way="adapter")
    with pytest.raises(ProfileError, match="does not hold the visual tokens"):
        tune_lora(assessor.model, assessor.processor, adapter.profile, adapter._photos)
    with pytest.raises(ProfileError, match="does not hold the visual tokens"):
        adapter.update([(scene(200, 150), 4.0)], way="lora")
    from aesthetic_mllm.inference.int8_linear import quantize_linears

    rounded = lively_assessor()
    quantize_linears(rounded.model.model.language_model)
    with pytest.raises(ProfileError, match="8-bit integers"):
        profile_of(rounded, images, GIVEN)
