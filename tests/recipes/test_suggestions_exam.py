"""The exam of suggestions counts what its rules say."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.inference.suggestion_search import Step
from aesthetic_mllm.tasks.suggesting import Suggestion
from synthetic_photos import scene_photo


@pytest.fixture(scope="module")
def exam() -> Any:
    import suggestions_exam

    return suggestions_exam


def test_every_edit_damages_as_many_photos_in_each_of_its_directions(exam: Any) -> None:
    """At the strong amount, within the edit's range, and never in a direction that makes a photo better."""
    from data import RatedPhoto

    photos = [RatedPhoto(Path(str(number)), str(number), 5.0, None) for number in range(48)]
    plan = exam.plan_damages(photos, seed=0)
    assert {photo.name for photo, _, _ in plan} == {photo.name for photo in photos}
    assert set(Counter(edit for _, edit, _ in plan).values()) == {4}
    assert Counter(amount for _, edit, amount in plan if edit == "tilt") == {-8.0: 2, 8.0: 2}
    for _, edit, amount in plan:
        assert amount in (-get_edit(edit).strong, get_edit(edit).strong, *get_edit(edit).range)
        assert get_edit(edit).verdict(amount) != "better"
    edits = {edit for _, edit, _ in plan}
    assert sum(get_edit(edit).in_pretext_samples for edit in edits) >= 8
    assert {edit for edit in edits if not get_edit(edit).in_pretext_samples} == {"gamma", "tint", "vignette"}


def test_the_inverse_is_the_same_edit_the_other_way(exam: Any) -> None:
    """Straightening undoes a tilt as well; what does much the same counts only as kindred."""
    assert exam.names_inverse(("exposure", 1), "exposure", -1.0)
    assert not exam.names_inverse(("exposure", -1), "exposure", -1.0)
    assert not exam.names_inverse(("gamma", 1), "exposure", -1.0)
    assert exam.names_inverse(("gamma", 1), "exposure", -1.0, kindred=True)
    assert not exam.names_inverse(("gamma", -1), "exposure", -1.0, kindred=True)
    assert exam.names_inverse(("straighten", 1), "tilt", 8.0) and exam.names_inverse(("tilt", -1), "tilt", 8.0)
    assert not exam.names_inverse(("", 0), "tilt", 8.0)


def test_a_photo_turned_back_is_nearer_in_the_frame_that_is_left(exam: Any) -> None:
    """Photos are compared where both can be seen: turning back by the right angle comes out nearer, by the wrong one further."""
    before, after = get_edit("tilt").pair(scene_photo(480, 360), 8.0)

    class Found:
        def __init__(self, *steps: Step):
            self.steps = steps

        def suggest(self, photo: Any, verify: bool, limit: int) -> list[Suggestion]:
            return [Suggestion("", *step, "") for step in self.steps]

    *_, psnr, ssim = exam.examine(Found(Step("tilt", -8.0), Step("zoom", 0.2)), before, after)
    assert psnr > 2 and ssim > 0.1
    *_, psnr, ssim = exam.examine(Found(Step("tilt", 8.0)), before, after)
    assert psnr < 0 and ssim < 0
    *_, applied, psnr, ssim = exam.examine(Found(), before, after)
    assert (psnr, ssim) == (0, 0) and applied.tobytes() == after.tobytes()


def test_a_summary_counts_photos_left_as_they_are_against_the_suggestions(exam: Any) -> None:
    """Shares are of all photos, unless they say otherwise, and a photo that is not changed is neither nearer nor better."""
    found = [("exposure", 1), ("tint", 1)]
    answers = [
        exam.Answer("a", "exposure", -1.0, found, found, True, 3.0, -0.1),
        exam.Answer("b", "exposure", -1.0, found[::-1], [], False, 0.0, 0.0),
    ]
    judged = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, -1.0]])
    row = exam.summary(answers, judged)
    assert (row["plain top 1"], row["plain top 3"], row["verified top 3"]) == (0.5, 1.0, 0.5)
    assert (row["changed"], row["nearer"], row["nearer, of changed"]) == (0.5, 0.5, 1.0)
    assert (row["PSNR rises"], row["SSIM rises"]) == (0.5, 0.0)
    assert (row["judge agrees"], row["judge agrees, of changed"], row["judge prefers undamaged"]) == (0.5, 1.0, 0.5)
