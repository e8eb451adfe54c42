"""What the embedded checkpoint tells of real photos: good ones are left alone, strong damages are named."""

from pathlib import Path

import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.editing.claims.photo_evidence import PhotoEvidence
from aesthetic_mllm.evaluation.flaw_ratings import damage
from aesthetic_mllm.processing.image_loading import load_image
from aesthetic_mllm.tasks.suggesting import FLAWS, asked_flaws, contradict

PHOTOS = sorted((Path(__file__).parents[2] / "examples" / "photos").glob("*.jpg"))


@pytest.fixture(scope="module")
def embedded() -> AestheticAssessor:
    return AestheticAssessor.from_pretrained()


def test_most_sample_photos_are_left_alone_and_none_is_turned(embedded: AestheticAssessor) -> None:
    """`assess` and `suggest` say the same of them."""
    told = [[each.flaw for each in found] for found in embedded.suggest(PHOTOS)]
    assert len(told) == 6 and sum(not each for each in told) >= 4
    assert not {"tilted_clockwise", "tilted_counterclockwise"} & {flaw for each in told for flaw in each}
    assert [[each.flaw for each in found.suggestions] for found in embedded.assess(PHOTOS)] == told


def test_verified_edits_leave_good_photos_alone_and_help_a_damaged_one(embedded: AestheticAssessor) -> None:
    """What `suggest --apply` would write: of the samples but the blurred clock nothing, and the darkened one brighter."""
    good = [path for path in PHOTOS if path.stem != "clock_motion"]
    assert [each for found in embedded.suggest(good, verify=True) for each in found if each.edit] == []
    (first, *_) = embedded.suggest(PHOTOS[0].parents[1] / "underexposed.jpg", verify=True)
    assert first.edit == "exposure" and first.amount is not None and first.amount > 0


@pytest.mark.parametrize("flaw", ["hazy", "out_of_focus", "noisy"])
def test_a_strong_damage_is_named_first(embedded: AestheticAssessor, flaw: str) -> None:
    """At the photo's full size, of four photos that are fine without it, for three at least."""
    fine = [load_image(path) for path in PHOTOS if path.stem in ("astronaut", "camera", "chelsea", "rocket")]
    found = embedded.suggest([damage(photo, FLAWS[flaw]) for photo in fine])
    assert sum([each.flaw for each in suggestions][:1] == [flaw] for suggestions in found) >= 3


def test_nothing_that_is_told_of_damaged_photos_is_contradicted(embedded: AestheticAssessor) -> None:
    """Neither by measurements nor by another suggestion, whatever was done to a photo of colours and to a black-and-white one."""
    processor = embedded.processor
    photos = [load_image(path) for path in PHOTOS if path.stem in ("astronaut", "camera")]
    damaged = [damage(photo, FLAWS[flaw]) for photo in photos for flaw in ("too_dark", "too_bright", "pale", "too_warm", "flat")]
    for photo, found in zip(damaged, embedded.suggest(damaged), strict=True):
        evidence = PhotoEvidence(photo, processor.measurement_cuts)
        flaws = [str(each.flaw) for each in found]
        assert set(flaws) <= set(asked_flaws(processor.rating_scale))
        assert not any(FLAWS[flaw].refuted_by(evidence) for flaw in flaws)
        assert not any(contradict(one, other) for one in flaws for other in flaws)
