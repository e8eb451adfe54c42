"""The evaluation of suggestions counts what its rules say."""

from collections import Counter
from typing import Any

import numpy as np

from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.evaluation.eval_suggestions import (
    SuggestionAnswer,
    evaluate_photo,
    evaluate_suggestions,
    mean_likeness,
    names_inverse,
    plan_damages,
    suggestions_table,
    summarise,
)
from aesthetic_mllm.inference.suggestion_search import Step, apply_steps
from aesthetic_mllm.tasks.suggesting import Suggestion
from lively_assessor import lively_assessor
from synthetic_photos import scene_photo


def test_every_edit_damages_as_many_photos_in_each_of_its_directions() -> None:
    """At the strong amount, within the edit's range, and never in a direction that makes a photo better."""
    photos = [str(number) for number in range(48)]
    plan = plan_damages(photos, seed=0)
    assert {photo for photo, _, _ in plan} == set(photos)
    assert set(Counter(edit for _, edit, _ in plan).values()) == {4}
    assert Counter(amount for _, edit, amount in plan if edit == "tilt") == {-8.0: 2, 8.0: 2}
    for _, edit, amount in plan:
        assert amount in (-get_edit(edit).strong, get_edit(edit).strong, *get_edit(edit).range)
        assert get_edit(edit).verdict(amount) != "better"
    edits = {edit for _, edit, _ in plan}
    assert sum(get_edit(edit).in_pretext_samples for edit in edits) >= 8
    assert {edit for edit in edits if not get_edit(edit).in_pretext_samples} == {"gamma", "tint", "vignette"}


def test_the_inverse_is_the_same_edit_the_other_way() -> None:
    """Straightening undoes a tilt as well; what does much the same counts only as kindred."""
    assert names_inverse(("exposure", 1), "exposure", -1.0)
    assert not names_inverse(("exposure", -1), "exposure", -1.0)
    assert not names_inverse(("gamma", 1), "exposure", -1.0)
    assert names_inverse(("gamma", 1), "exposure", -1.0, kindred=True)
    assert not names_inverse(("gamma", -1), "exposure", -1.0, kindred=True)
    assert names_inverse(("straighten", 1), "tilt", 8.0) and names_inverse(("tilt", -1), "tilt", 8.0)
    assert not names_inverse(("", 0), "tilt", 8.0)


def test_a_photo_turned_back_is_nearer_in_the_frame_that_is_left() -> None:
    """Photos are compared where both can be seen: turning back by the right angle comes out nearer, by the wrong one further."""
    before, after = get_edit("tilt").pair(scene_photo(480, 360), 8.0)

    class Found:
        def __init__(self, *steps: Step):
            self.steps = steps

        def suggest(self, photo: Any, verify: bool, limit: int) -> list[Suggestion]:
            return [Suggestion("", *step, "") for step in self.steps]

        def apply(self, photo: Any, suggestions: Any) -> Any:
            return apply_steps(photo, self.steps)

    *_, psnr, ssim = evaluate_photo(Found(Step("tilt", -8.0), Step("zoom", 0.2)), before, after)
    assert psnr[1] > psnr[0] + 2 and ssim[1] > ssim[0] + 0.1
    *_, psnr, ssim = evaluate_photo(Found(Step("tilt", 8.0)), before, after)
    assert psnr[1] < psnr[0] and ssim[1] < ssim[0]
    *_, applied, psnr, ssim = evaluate_photo(Found(), before, after)
    assert psnr[0] == psnr[1] and ssim[0] == ssim[1] and applied.tobytes() == after.tobytes()


def test_a_summary_counts_photos_left_as_they_are_against_the_suggestions() -> None:
    """Shares are of all photos, unless they say otherwise, and a photo that is not changed is neither nearer nor better."""
    found = [("exposure", 1), ("tint", 1)]
    answers = [
        SuggestionAnswer("a", "exposure", -1.0, found, found, True, (20.0, 23.0), (0.8, 0.7)),
        SuggestionAnswer("b", "exposure", -1.0, found[::-1], [], False, (20.0, 20.0), (0.8, 0.8)),
    ]
    judged = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, -1.0]])
    row = summarise(answers, judged)
    assert (row["plain top 1"], row["plain top 3"], row["verified top 3"]) == (0.5, 1.0, 0.5)
    assert (row["changed"], row["nearer"], row["nearer, of changed"]) == (0.5, 0.5, 1.0)
    assert (row["PSNR rises"], row["SSIM rises"]) == (0.5, 0.0)
    assert (row["judge agrees"], row["judge agrees, of changed"], row["judge prefers undamaged"]) == (0.5, 1.0, 0.5)
    assert "judge agrees" not in summarise(answers)


def test_likeness_is_of_the_photos_that_were_changed() -> None:
    """Those left as they are would hide how much an edit does; a single photo has no interval."""

    def answer(changed: bool, psnr: tuple[float, float]) -> SuggestionAnswer:
        return SuggestionAnswer("a", "exposure", -1.0, [], [], changed, psnr, (0.8, 0.9))

    left, changed = answer(False, (20.0, 20.0)), [answer(True, (20.0, 23.0)), answer(True, (22.0, 21.0))]
    found = mean_likeness([left, *changed])["PSNR"]
    assert (found["photos"], found["before"], found["after"], found["rise"]) == (2, 21.0, 22.0, 1.0)
    assert found["interval"] == [-1.0, 3.0]
    assert mean_likeness(changed[:1])["SSIM"]["interval"] is None
    assert mean_likeness([left]) == {}


def test_a_checkpoint_is_asked_about_damaged_and_undamaged_photos() -> None:
    """Without a judge nothing is said of one; with one its opinion stands beside."""
    assessor = lively_assessor()
    photos = {str(number): scene_photo(64 + 8 * number, 48) for number in range(2)}
    report = evaluate_suggestions(assessor, photos, undamaged=1)
    assert [answer["photo"] in photos for answer in report["answers"]] == [True, True]
    assert report["damaged"]["all in pretext samples"]["photos"] == 2 and report["undamaged"]["photos"] == 1
    assert report["undamaged"]["told nothing without verify"] in (0, 1)
    judged = evaluate_suggestions(assessor, photos, undamaged=0, judge=lambda images: np.zeros(len(images)))
    assert judged["damaged"]["all in pretext samples"]["judge agrees"] == 0 and judged["undamaged"] is None
    assert suggestions_table(judged["damaged"]).count("\n") == 1 + len(judged["damaged"])
