"""The exam asks each method what a user's profile would be asked."""

from typing import Any

import numpy as np
import pytest
import torch

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.evaluation.personal_protocols import Person, Protocol
from aesthetic_mllm.inference.personal_assessor import PersonalAssessor
from aesthetic_mllm.personalization.profile_photos import ProfilePhotos
from lively_assessor import lively_assessor
from photo_files import scene

COUNTS = {"low": 2, "middle": 1, "high": 1, "thematic": 0}


@pytest.fixture(scope="module")
def assessor() -> AestheticAssessor:
    found = lively_assessor()
    found.processor.num_example_tokens = dict(COUNTS)
    return found


def seen_of(assessor: AestheticAssessor, images: list) -> Any:
    """What the exam holds of photos."""
    from seen_people import SeenPeople

    photos = [assessor.engine.read(image, note=lambda upright: upright) for image in images]
    question = assessor.processor.rating_scale.default_question
    seen = [assessor.engine.encode([photo], statistics=True).features for photo in photos]
    ratings = [{question: rating} for rating in assessor.score(images)]
    parts = [
        ProfilePhotos.from_features([photo], one, [rated], question, COUNTS, False)
        for photo, one, rated in zip(photos, seen, ratings, strict=True)
    ]
    tokens = {group: torch.cat([one.tokens[group] for one in seen]) for group in seen[0].tokens}
    statistics = torch.cat([one.map_statistics for one in seen])
    return SeenPeople(ProfilePhotos.concat(parts), tokens, statistics)


def test_some_people_are_the_first_ones() -> None:
    """So the people of fewer are among those of more, and every method that is asked of as many meets the same."""
    from personal_exam import some_of

    people = tuple(Person(name, {}, ()) for name in "abcd")
    whole = Protocol("own", (), people, shots=(5, 10), draws=5)
    assert some_of(whole, None) == whole
    part = some_of(whole, (3, 2))
    assert (part.people, part.draws, part.shots) == (people[:3], 2, (5, 10))


@pytest.mark.parametrize("method", ["ridge", "in_context"])
def test_a_methods_answers_are_those_of_a_profile(
    assessor: AestheticAssessor, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a prior; asked again, nothing is computed anew."""
    from personal_exam import Methods

    images = [scene(60 + 9 * number, 50) for number in range(8)]
    values = np.array([1.0, 5.0, 2.0, 7.0, 4.0])
    methods = Methods(assessor, seen_of(assessor, images), None)
    asked = np.array([5, 6, 7])
    told = methods.named(method)("somebody", np.arange(5), values, asked)

    person = assessor.personalize(list(zip(images[:5], values, strict=True)), score_range=(1, 7), method=method)
    assert isinstance(person, PersonalAssessor)
    assert told == pytest.approx([rating.mean for rating in person.score(images[5:])], abs=2e-3)
    monkeypatch.setattr(methods, "make_personalizer", None)
    assert (methods.named(method)("somebody", np.arange(5), values, asked) == told).all()
