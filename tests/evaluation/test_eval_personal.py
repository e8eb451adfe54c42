"""Each method is asked what a user's profile would be asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.data.record import Record, Vote
from aesthetic_mllm.evaluation.eval_personal import (
    PersonalMethods,
    evaluate_personal,
    personal_table,
    ridge_predictions,
    some_of,
)
from aesthetic_mllm.evaluation.personal_protocols import Person, Protocol, oasis_beauty
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


def test_some_people_are_the_first_ones() -> None:
    """So the people of fewer are among those of more, and every method that is asked of as many meets the same."""
    people = tuple(Person(name, {}, ()) for name in "abcd")
    whole = Protocol("own", (), people, shots=(5, 10), draws=5)
    assert some_of(whole, None) == whole
    part = some_of(whole, (3, 2))
    assert (part.people, part.draws, part.shots) == (people[:3], 2, (5, 10))


@pytest.mark.parametrize(("method", "question"), [("ridge", None), ("in_context", None), ("ridge", "quality")])
def test_a_methods_answers_are_those_of_a_profile(
    assessor: AestheticAssessor, method: str, question: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About the default question or another, without a prior; asked again, nothing is computed anew."""
    images = [scene(60 + 9 * number, 50) for number in range(8)]
    values = np.array([1.0, 5.0, 2.0, 7.0, 4.0])
    methods = PersonalMethods(assessor, read_photo_features(assessor, images, question=question), (1, 7), None, question)
    asked = np.array([5, 6, 7])
    told = methods.named(method)("somebody", np.arange(5), values, asked)

    rated = list(zip(images[:5], values, strict=True))
    person = assessor.personalize(rated, score_range=(1, 7), method=method, question=question)
    assert isinstance(person, PersonalAssessor)
    assert told == pytest.approx([rating.mean for rating in person.score(images[5:], question)], abs=2e-3)
    monkeypatch.setattr(methods, "make_personalizer", None)
    assert (methods.named(method)("somebody", np.arange(5), values, asked) == told).all()


def test_what_is_seen_of_people_is_kept(assessor: AestheticAssessor, tmp_path: Path) -> None:
    """Batch by batch, written and read again, and some of it."""
    images = [scene(60 + 9 * number, 50) for number in range(5)]
    seen = read_photo_features(assessor, images, batch_size=2)
    seen.save(tmp_path / "seen" / "people.safetensors")
    for found, places in (
        (PhotoFeatures.load(tmp_path / "seen" / "people.safetensors"), range(5)),
        (seen.select([3, 1]), [3, 1]),
    ):
        assert len(found) == len(places)
        assert found.photos.general == pytest.approx(seen.photos.general[list(places)])
        for group, values in found.tokens.items():
            assert (values == seen.tokens[group][list(places)]).all()
    assert seen.features([0]).map_statistics.shape[0] == 1
    assert seen.photos.general == pytest.approx([rating.mean for rating in assessor.score(images)], abs=1e-3)


def test_methods_controls_and_baselines_are_reported_for_every_number_of_ratings(assessor: AestheticAssessor) -> None:
    """Two people; of the prompt fewer people are asked, and what stands beside it is of the same."""
    images = [scene(60 + 9 * number, 50 + number) for number in range(14)]
    rng = np.random.default_rng(0)
    records = [
        Record(Path(f"{number}.jpg"), "own", "train", votes=[Vote(name, float(rng.integers(1, 8))) for name in ("ann", "bob")])
        for number in range(14)
    ]
    protocol = replace(oasis_beauty(records, ["ann", "bob"], {f"{n}.jpg" for n in range(8)}), shots=(4,), draws=1)
    seen = read_photo_features(assessor, images)
    scale = assessor.processor.rating_scale
    ridge = ridge_predictions(seen.photos.embeddings, seen.photos.general, scale, (1, 7), None)
    report = evaluate_personal(assessor, seen, protocol, (1, 7), baselines={"pooled": ridge}, prompted=(2, 1))
    assert report["people"] == 2 and report["prior"] is False
    assert [row["k"] for row in report["methods"]["ridge"]] == [0, 4]
    assert report["methods"]["in_context"][1]["differences"].keys() == {"general", "pooled", "ridge"}
    assert len(report["controls"]) == 4
    # the method "ridge" is the same regression on the same embeddings
    assert report["methods"]["ridge"][1]["srcc"] == pytest.approx(report["baselines"]["pooled"][1]["srcc"])
    assert personal_table(report).count("| ridge |") == 2
