"""The embedded checkpoint rates the sample photos as it did when it was made, whatever has been changed in the code since."""

import json
from pathlib import Path

import pytest

from aesthetic_mllm import AestheticAssessor

SAMPLES = Path(__file__).parents[2] / "examples" / "photos"
STORED = json.loads(Path(__file__).with_name("sample_ratings.json").read_text())
TOLERANCE = 1e-3  # points; machines differ by less


def test_ratings_of_the_sample_photos_are_the_stored_ones() -> None:
    """All questions, all photos: mean and spread of each."""
    assessor = AestheticAssessor.from_pretrained(device="cpu")
    questions = list(assessor.processor.rating_scale.questions)
    photos = sorted(SAMPLES.glob("*.jpg"))
    assert list(STORED) == [path.name for path in photos]
    for path, ratings in zip(photos, assessor.ratings(photos, questions), strict=True):
        assert set(STORED[path.name]) == set(questions)
        for question, (mean, std) in STORED[path.name].items():
            assert ratings[question].mean == pytest.approx(mean, abs=TOLERANCE), (path.name, question)
            assert ratings[question].std == pytest.approx(std, abs=TOLERANCE), (path.name, question)
