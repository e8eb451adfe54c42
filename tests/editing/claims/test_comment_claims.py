"""Claims are found where a photo is described, not where a word merely occurs, and are right by the measured bins alone."""

import re

import pytest

from aesthetic_mllm.editing.claims.claim_rules import CLAIM_RULES, HIGH, LOW, MAIN_ATTRIBUTES
from aesthetic_mllm.editing.claims.comment_claims import CommentClaimError, check_claims, find_claims
from aesthetic_mllm.pretext.phrase_bank import BINS, PhraseBank


def names(text: str) -> list[str]:
    return [claim.name for claim in find_claims(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The light is very dark.", ["dark"]),
        ("It is underexposed and a bit blurry.", ["dark", "soft"]),
        ("A dark, moody picture with vivid colors", ["dark", "vivid"]),
        ("Too bright an exposure; the colours are washed out.", ["bright", "pale"]),
        ("The image is tack sharp, the detail crisp.", ["sharp"]),
        ("Everything is out of focus!", ["soft"]),
        ("It lacks contrast and sharpness.", ["flat"]),
        ("There is too much contrast? No: the contrast is harsh.", ["strong_contrast"]),
        ("The tones are warm and golden.", ["warm"]),
        ("a strong cold cast", ["cool"]),
        ("There is visible noise in the sky.", ["noisy"]),
        ("the image is clean", ["clean"]),
        ("A veil of haze lies over it.", ["hazy"]),
        ("The subject is dead centre.", ["centred"]),
        ("The subject sits far from the middle and is large.", ["off_centre", "large_subject"]),
        ("The horizon leans to the left.", ["tilted_left"]),
        ("It is tilted clockwise", ["tilted_right"]),
        ("The horizon is crooked.", ["tilted"]),
        ("The lines are level.", ["level"]),
        ("A soft background makes the subject stand out.", ["shallow"]),
        ("the background is as sharp as the subject", ["deep"]),
    ],
)
def test_what_is_said_of_the_photo_is_a_claim(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The light is not dark.",
        "It isn't too bright and wasn't overexposed.",
        "It is neither dark nor bright.",
        "The colours are never garish.",
        "The contrast is hardly harsh.",
        "It is not a dark photo.",
        "It is far from dark.",
    ],
)
def test_what_is_denied_is_no_claim(text: str) -> None:
    assert names(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is not sharp.", ["soft"]),
        ("It isn't in focus.", ["soft"]),
        ("There is no visible noise.", ["clean"]),
        ("Clear tones without haze.", ["clear"]),
        ("The horizon is not level.", ["tilted"]),
        ("The colours do not go together.", ["clashing"]),
        ("It is far too dark.", ["dark"]),
        ("Not only dark but noisy.", ["dark", "noisy"]),
        ("There is hardly any colour, and the detail is sharp.", ["pale", "sharp"]),
        ("With no noise and sharp detail.", ["clean", "sharp"]),
    ],
)
def test_a_denial_that_claims_is_a_claim_and_reaches_no_further(text: str, expected: list[str]) -> None:
    assert sorted(names(text)) == sorted(expected)


@pytest.mark.parametrize(
    "text",
    [
        "The sky is dark.",
        "Bright leaves and a dark horse.",
        "The background is bright.",
        "A strong photo with a strong idea.",
        "It could be bright if the sun were out.",
        "I would like it sharp.",
        "A photo of fog.",
        "It shows a cheerful scene.",
        "A good photo of a dark street, and nothing stands out.",
        "The shadows are blocked, the highlights dull.",
        "This is clear to me.",
        "The moment is well caught.",
    ],
)
def test_what_is_said_of_a_part_wished_or_shown_is_no_claim(text: str) -> None:
    assert names(text) == []


def test_a_claim_counts_once_however_often_it_is_made() -> None:
    assert names("It is dark. The light is very dark, and the tones are dark.") == ["dark"]
    assert names("It is dark, and it is bright.") == ["dark", "bright"]


def test_left_and_right_are_of_the_words_they_belong_to() -> None:
    assert sorted(names("It is tilted to the left and the subject is on the right.")) == ["far_right", "tilted_left"]
    assert sorted(names("A subject on the left and a tilt to the right.")) == ["far_left", "tilted_right"]


@pytest.mark.parametrize("bin", range(BINS))
def test_a_claim_is_right_on_its_side_of_the_middle(bin: int) -> None:
    """In the outer two bins, very or not; level in the middle one, tilted in all others."""

    def right(text: str, attribute: str) -> bool:
        (checked,) = check_claims(text, {attribute: bin})
        return checked.right

    for word in ("dark", "very dark", "a little dark"):
        assert right(f"It is {word}.", "brightness") == (bin in (0, 1))
    assert right("It is bright.", "brightness") == (bin in (3, 4))
    assert right("The horizon is level.", "tilt") == (bin == 2)
    assert right("The horizon is crooked.", "tilt") == (bin != 2)
    assert right("It is tilted to the right.", "tilt") == (bin in (3, 4))


def test_rules_are_of_what_is_measured_and_of_sides() -> None:
    """Every attribute can be claimed both ways where it has two sides that photographers speak of."""
    attributes = PhraseBank().attributes
    sides: dict[str, set[frozenset[int]]] = {}
    for name, rule in CLAIM_RULES.items():
        assert rule.attribute in attributes, name
        assert rule.denied is None or CLAIM_RULES[rule.denied].attribute == rule.attribute
        sides.setdefault(rule.attribute, set()).add(rule.bins)
        for pattern in rule.patterns:
            re.compile(pattern)
    assert all({LOW, HIGH} <= sides[attribute] for attribute in MAIN_ATTRIBUTES)


def test_the_pretext_samples_words_at_both_ends_are_claims_of_their_side_or_none() -> None:
    """Of the phrase bank's wordings of brightness, warmth and sharpness none is taken for the other side."""
    bank = PhraseBank().attributes
    nouns = {"brightness": "light", "warmth": "tone", "sharpness": "detail"}
    found = 0
    for attribute, noun in nouns.items():
        for bin, words in enumerate(bank[attribute]["bins"]):
            for word in words:
                for checked in check_claims(f"The {noun} is {word}.", dict.fromkeys(bank, bin)):
                    if checked.claim.attribute == attribute:
                        assert checked.right, (attribute, word)
                        found += 1
    assert found > 15


def test_a_claim_about_what_was_not_measured_is_an_error() -> None:
    with pytest.raises(CommentClaimError, match="'dark', but brightness was not measured"):
        check_claims("It is dark.", {"warmth": 0})
