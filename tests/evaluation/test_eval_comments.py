"""Comments are held against their photos, and against other texts."""

from pathlib import Path

import pytest

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.evaluation.byte_perplexity import byte_perplexity
from aesthetic_mllm.evaluation.eval_comments import (
    comments_table,
    critique_perplexity,
    evaluate_comments,
    measured_bins,
    write_comments,
)
from aesthetic_mllm.evaluation.text_overlap import SharedNgrams
from lively_assessor import lively_assessor
from synthetic_photos import midtone_photo, scene_photo

CRITIQUE = "I like the number b of this small picture very much"


@pytest.fixture(scope="module")
def photos() -> dict[str, object]:
    return {"scene": scene_photo(), "soft": midtone_photo(), "dark": scene_photo().point(lambda value: value // 8)}


@pytest.fixture(scope="module")
def bins(photos: dict[str, object]) -> dict[str, dict[str, int]]:
    return measured_bins(photos, photos.values())


def test_given_comments_are_held_against_their_photos(bins: dict[str, dict[str, int]]) -> None:
    """A right claim, a wrong one, a quotation; at the other photo they are right elsewhere."""
    given = {"dark": "The light is very dark.", "scene": f"The light is dark, and {CRITIQUE}."}
    found = evaluate_comments(given, bins, {"critiques": SharedNgrams([CRITIQUE]), "itself": SharedNgrams(given.values())})
    assert found["precision"]["all"] | {"interval": None} == {"claims": 2, "right": 1, "precision": 0.5, "interval": None}
    assert [row["wrong"] for row in found["texts"]] == [[], ["dark"]]
    assert found["shared_ngrams"]["critiques"]["sharing"] == [given["scene"]]
    assert found["shared_ngrams"]["critiques"]["longest_ngram"] == 11 < found["shared_ngrams"]["itself"]["longest_ngram"]
    table = comments_table({"given": found})
    assert "| brightness | 2 | 50.0" in table and "1 comments share 8 words in a row with the critiques" in table


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
