"""Ratings by visual tokens alone are those of the photos."""

import pytest

from aesthetic_mllm.evaluation.token_ratings import rate_tokens, visual_tokens
from lively_assessor import lively_assessor
from photo_files import scene

IMAGES = [scene(60 + 9 * number, 50 + 3 * number) for number in range(9)]


def test_ratings_by_tokens_are_those_of_the_photos() -> None:
    """In batches of another size too."""
    assessor = lively_assessor()
    rated = [rating.mean for rating in assessor.score(IMAGES, "quality")]
    assert rate_tokens(assessor, visual_tokens(assessor, IMAGES, 4), "quality", 4) == pytest.approx(rated, abs=1e-3)
