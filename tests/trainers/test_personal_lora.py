"""LoRA for one person: learned of that person's ratings alone, and nothing of it is in the model that all people share."""

import numpy as np
import pytest
import torch
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.inference.lora_method import LoraMethod
from aesthetic_mllm.inference.personal_assessor import PersonalAssessor
from aesthetic_mllm.inference.photo_stream import read_photo
from aesthetic_mllm.inference.taste_prior import TastePrior, fit_taste
from aesthetic_mllm.tasks.personalizing import ProfileError
from aesthetic_mllm.trainers.personal_lora import PersonalLoraConfig, tune_lora
from lively_assessor import lively_assessor
from photo_files import scene

THOROUGH = PersonalLoraConfig(epochs=80, learning_rate=3e-2, batch_size=4, spread=0.5)
GIVEN = (1.0, 10.0, 1.0, 10.0)


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    return lively_assessor()


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return [scene(60 + 9 * number, 50) for number in range(len(GIVEN))]


def profile_of(assessor: AestheticAssessor, images: list[Image.Image], given: tuple[float, ...]) -> PersonalAssessor:
    """A profile whose photos hold the tokens that are learned from; what it learns by itself is not looked at."""
    return assessor.personalize(list(zip(images, given, strict=True)), score_range=(1, 10), method="lora")


def learned(assessor: AestheticAssessor, images: list[Image.Image], given: tuple[float, ...]) -> np.ndarray:
    """A person's ratings of their own photos, thoroughly learned."""
    person = profile_of(assessor, images, given)
    assert person._photos is not None
    prior = TastePrior.isotropic(person._photos.embeddings)
    method = tune_lora(assessor.model, assessor.processor, person.profile, person._photos, prior, THOROUGH)
    with torch.inference_mode():
        seen = assessor._see([read_photo(assessor.processor.image_processor, image) for image in images])
    return np.array([rating.mean for rating in method.rate(seen, ())])


def test_it_comes_near_what_ratings_let_expect(assessor: AestheticAssessor, images: list) -> None:
    """Thoroughly learned, it puts the person's photos in the order of ridge regression, whose taste it learns; those who like the
    opposite get the opposite."""
    general = np.array([rating.mean for rating in assessor.score(images)])
    found = []
    for given in (GIVEN, GIVEN[::-1]):
        photos = profile_of(assessor, images, given)._photos
        assert photos is not None
        fitted = fit_taste(photos.embeddings, general, np.array(given) - general, TastePrior.isotropic(photos.embeddings))
        found.append(learned(assessor, images, given))
        expected = general + fitted.shift(photos.embeddings, general)
        assert np.corrcoef(found[-1], expected)[0, 1] > max(0.9, np.corrcoef(general, expected)[0, 1])
    likes = np.array(GIVEN) > 5
    assert (found[0] - found[1])[likes].min() > 0.1 and (found[0] - found[1])[~likes].max() < -0.1


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


def test_a_persons_level_is_added(assessor: AestheticAssessor, images: list) -> None:
    """Of two people with the same taste, one who rates two points higher gets ratings that lie higher by most of that."""
    low, high = (learned(assessor, images, given) for given in ((3.0, 4.0, 3.5, 4.0), (5.0, 6.0, 5.5, 6.0)))
    assert (high - low > 1).all() and (high - low < 2).all()
    assert high - low == pytest.approx((high - low)[0], abs=0.05)


def test_what_cannot_be_learned_says_why(assessor: AestheticAssessor, images: list) -> None:
    """A profile without whole tokens, a model in 8-bit integers, which has no weights to change, and one with others."""
    ridge = assessor.personalize(list(zip(images, GIVEN, strict=True)), method="ridge")
    with pytest.raises(ProfileError, match="does not hold the visual tokens"):
        tune_lora(assessor.model, assessor.processor, ridge.profile, ridge._photos)
    with pytest.raises(ProfileError, match="does not hold the visual tokens"):
        ridge.update([(scene(200, 150), 4.0)], method="lora")
    from aesthetic_mllm.inference.int8_linear import quantize_linears

    rounded = lively_assessor()
    quantize_linears(rounded.model.model.language_model)
    with pytest.raises(ProfileError, match="8-bit integers"):
        profile_of(rounded, images, GIVEN)
    method = profile_of(assessor, images, GIVEN).method
    assert isinstance(method, LoraMethod)
    foreign = {name.replace("layers.0", "layers.99"): values for name, values in method.learned.items()}
    with pytest.raises(ProfileError, match="layers.99"):
        LoraMethod(assessor.model, assessor.processor, "aesthetic", foreign)
