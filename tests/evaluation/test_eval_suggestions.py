"""The evaluation of suggestions counts what its rules say."""

from collections import Counter
from typing import Any

from aesthetic_mllm.editing import get_edit
from aesthetic_mllm.evaluation.eval_suggestions import (
    SuggestionAnswer,
    answer_damaged,
    evaluate_photo,
    improve,
    left_alone,
    names_inverse,
    plan_damages,
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
    """Shares are of all photos, unless they say otherwise, and a photo that is not changed is not nearer."""
    found = [("exposure", 1), ("tint", 1)]
    answers = [
        SuggestionAnswer("a", "exposure", -1.0, found, found, True, (20.0, 23.0), (0.8, 0.7)),
        SuggestionAnswer("b", "exposure", -1.0, found[::-1], [], False, (20.0, 20.0), (0.8, 0.8)),
    ]
    row = summarise(answers)
    assert (row["plain top 1"], row["plain top 3"], row["verified top 3"]) == (0.5, 1.0, 0.5)
    assert (row["changed"], row["nearer"], row["nearer, of changed"]) == (0.5, 0.5, 1.0)
    assert (row["PSNR rises"], row["SSIM rises"]) == (0.5, 0.0)


def test_a_checkpoint_is_asked_about_damaged_and_undamaged_photos() -> None:
    """Of a damaged photo come the photos that the answer is about; one that nothing was done to is left alone."""
    search = lively_assessor().suggestion_search()
    photo = scene_photo(64, 48)
    (damage,) = plan_damages(["scene"], seed=0)
    answer, images = answer_damaged(search, photo, damage, seed=0)
    assert (answer.photo, answer.edit, answer.amount) == damage and len(images) == 3
    assert answer.changed == (images[0].tobytes() != images[1].tobytes())
    plain, result = improve(search, photo)
    found = left_alone(search, [photo], [plain], [result])
    assert found["photos"] == 1 and found["told nothing without verify"] == (not plain)
    kept = left_alone(search, [photo], [()], [photo])
    assert kept["left alone"] == 1 and kept["mean change of the judgement, in points"] == 0
