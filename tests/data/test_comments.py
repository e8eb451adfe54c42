"""Comments that teach are kept as they are, the others are counted by reason."""

from collections import Counter

import pytest

from aesthetic_mllm.data.comments import REASONS, clean_comments, why_unfit
from aesthetic_mllm.data.record import Comment

GOOD = [
    "The light is lovely, but the horizon is tilted.",
    "I would crop a little tighter on the left, and the sky is a bit overexposed for my taste.",
    "Sharp subject, soft background.",
]


@pytest.mark.parametrize("text", GOOD)
def test_a_plain_critique_is_fit(text: str) -> None:
    assert why_unfit(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Nice shot", "too short"),
        ("very good " * 80, "too long"),
        ("10/10 +++ *** !!! 100% #1 (8)", "hardly words"),
        (
            "Das Licht gefällt mir sehr gut, aber der Horizont ist leider schief und das Motiv etwas klein geraten",
            "other language",
        ),
        ("Очень красивый свет и хорошая композиция", "other language"),
        ("See my photos at www.example.org for more", "link or address"),
        ("Thanks for sharing this photo with us", "speaks to a person"),
        ("The colours are wonderful. Cheers, Anna", "speaks to a person"),
    ],
)
def test_the_first_reason_is_told(text: str, reason: str) -> None:
    assert reason in REASONS and why_unfit(text) == reason


def test_cleaning_tidies_counts_and_keeps_each_once() -> None:
    """White space and repeated signs go; the same words of another aspect are another comment."""
    dropped: Counter[str] = Counter()
    comments = [
        Comment("Lovely   light\nand colour!!!!", "light"),
        Comment("Lovely light and colour!", "light"),
        Comment("Lovely light and colour!", "colour"),
        Comment("wow"),
    ]
    kept = clean_comments(comments, dropped)
    assert kept == [Comment("Lovely light and colour!", "light"), Comment("Lovely light and colour!", "colour")]
    assert dropped == {"repeated": 1, "too short": 1}
