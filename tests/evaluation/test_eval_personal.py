"""Each method is asked what a user's profile would be asked."""

from pathlib import Path

import numpy as np
import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.evaluation.eval_personal import PersonalMethods, ridge_predictions
from aesthetic_mllm.evaluation.photo_features import PhotoFeatures, read_photo_features
from aesthetic_mllm.inference.personal_assessor import PersonalAssessor
from lively_assessor import lively_assessor
from photo_files import scene

COUNTS = {"low": 2, "middle": 1, "high": 1, "thematic": 0}


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    found = lively_assessor()
    found.processor.num_example_tokens = dict(COUNTS)
    return found


@pytest.mark.parametrize(("method", "question"), [("ridge", None), ("in_context", None), ("ridge", "quality")])
def test_a_methods_answers_are_those_of_a_profile(assessor: AestheticAssessor, method: str, question: str | None) -> None:
    """About the default question or another, without a prior."""
    images = [scene(60 + 9 * number, 50) for number in range(8)]
    values = np.array([1.0, 5.0, 2.0, 7.0, 4.0])
    methods = PersonalMethods(assessor, read_photo_features(assessor, images, question=question), (1, 7), None, question)
    asked = np.array([5, 6, 7])
    told = methods.named(method)("somebody", np.arange(5), values, asked)

    rated = list(zip(images[:5], values, strict=True))
    person = assessor.personalize(rated, score_range=(1, 7), method=method, question=question)
    assert isinstance(person, PersonalAssessor)
    assert told == pytest.approx([rating.mean for rating in person.score(images[5:], question)], abs=2e-3)


def test_what_is_seen_of_people_is_kept(assessor: AestheticAssessor, tmp_path: Path) -> None:
    """Batch by batch, written and read again."""
    images = [scene(60 + 9 * number, 50) for number in range(5)]
    seen = read_photo_features(assessor, images, batch_size=2)
    seen.save(tmp_path / "seen" / "people.safetensors")
    found = PhotoFeatures.load(tmp_path / "seen" / "people.safetensors")
    assert len(found) == 5 and found.photos.general == pytest.approx(seen.photos.general)
    for group, values in found.tokens.items():
        assert (values == seen.tokens[group]).all()
    assert seen.features([0]).map_statistics.shape[0] == 1
    assert seen.photos.general == pytest.approx([rating.mean for rating in assessor.score(images)], abs=1e-3)


def test_the_method_ridge_is_a_ridge_regression_on_the_embeddings(assessor: AestheticAssessor) -> None:
    """So the linear probe is the same method without other people's tastes; nothing shown, both give everybody's rating."""
    images = [scene(60 + 9 * number, 50 + number) for number in range(8)]
    seen = read_photo_features(assessor, images)
    probe = ridge_predictions(seen.photos.embeddings, seen.photos.general, assessor.processor.rating_scale, (1, 7), None)
    own = PersonalMethods(assessor, seen, (1, 7), None).named("ridge")
    values, asked = np.array([1.0, 5.0, 2.0, 7.0, 4.0]), np.array([5, 6, 7])
    for shown in (np.arange(5), np.arange(0)):
        given = ("somebody", shown, values[: len(shown)], asked)
        assert np.argsort(own(*given)).tolist() == np.argsort(probe(*given)).tolist()
