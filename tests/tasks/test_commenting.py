"""Comments are asked for in the same words everywhere, and only in styles and of aspects that there are."""

import pytest

from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS
from aesthetic_mllm.tasks.commenting import ASPECTS, STYLES, CommentingError, comment_prompt, comment_words


def test_every_style_and_aspect_is_asked_for_in_its_own_words() -> None:
    prompts = [comment_prompt(aspect, style) for style in (None, *STYLES) for aspect in (None, *ASPECTS)]
    assert len(set(prompts)) == len(prompts) == 27
    assert all(prompt.endswith(".") and "_" not in prompt and "{" not in prompt for prompt in prompts)
    assert comment_prompt(None, "brief") == comment_prompt("", "brief") == "Comment on this photo in one sentence."
    assert comment_prompt("depth_of_field", "detailed") == "Comment on the depth of field of this photo in detail."


def test_aspects_are_the_attributes_that_are_rated() -> None:
    assert list(ASPECTS) == list(ATTRIBUTE_QUESTIONS)


def test_data_sets_may_have_aspects_of_their_own_only_where_no_style_is_asked_for() -> None:
    assert comment_prompt("use_of_camera") == "Comment on the use of camera of this photo."
    with pytest.raises(CommentingError, match="No aspect 'use_of_camera'.*composition, light.*or none"):
        comment_prompt("use_of_camera", "brief")


def test_an_unknown_style_is_refused_with_those_there_are() -> None:
    with pytest.raises(CommentingError, match="No style 'rude'.*brief, detailed"):
        comment_words("Nice light.", "light", "rude")
    assert comment_words("Nice light.", "light", "brief").prompt == comment_prompt("light", "brief")
