"""Comments are held against their photos."""

from pathlib import Path

import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.evaluation.byte_perplexity import byte_perplexity
from aesthetic_mllm.evaluation.eval_comments import (
    at_another_photo,
    check_all,
    critique_perplexity,
    measured_bins,
    write_comments,
)
from lively_assessor import lively_assessor
from synthetic_photos import midtone_photo, scene_photo

CRITIQUE = "I like the number b of this small picture very much"


@pytest.fixture(scope="module")
def photos() -> dict[str, object]:
    return {"scene": scene_photo(), "soft": midtone_photo(), "dark": scene_photo().point(lambda value: value // 8)}


def test_given_comments_are_held_against_their_photos(photos: dict[str, object]) -> None:
    """A right claim and a wrong one; at the other photo they are right elsewhere."""
    given = {"dark": "The light is very dark.", "scene": "The light is dark."}
    bins = measured_bins(photos, photos.values())
    for comments, right in ((given, [True, False]), (at_another_photo(given), [True, False])):
        assert [[one.right for one in claims] for claims in check_all(comments, bins)] == [[each] for each in right]
    assert at_another_photo(given) == {"dark": given["scene"], "scene": given["dark"]}


def test_a_checkpoint_writes_with_and_without_a_look_at_measurements(photos: dict[str, object], tmp_path: Path) -> None:
    """The checkpoint's cut points are as before; comments with no fault are the same in both."""
    assessor = lively_assessor()
    cuts = assessor.processor.measurement_cuts
    unchecked, written = write_comments(assessor, photos, "brief")
    assert unchecked.keys() == written.keys() == photos.keys() and all(written.values())
    assert assessor.processor.measurement_cuts == cuts
    assert written == unchecked  # the tiny checkpoint has no cut points


def test_perplexity_is_that_of_the_checkpoints_own_prompt() -> None:
    assessor: AestheticAssessor = lively_assessor()
    turns = [{"role": "user", "content": [{"type": "text", "text": "Comment on this photo."}]}]
    prompt = assessor.processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    wanted = byte_perplexity(assessor.model, assessor.processor.tokenizer, [(prompt, CRITIQUE)])
    assert critique_perplexity(assessor, [("Comment on this photo.", CRITIQUE)]) == pytest.approx(wanted)
