"""What may stand in a comment beside what, and what of it a photo's measurements bear out."""

import itertools

import pytest
from PIL import Image

from aesthetic_mllm.editing.claims.claim_rules import CLAIM_RULES, HIGH, LOW, contradict
from aesthetic_mllm.editing.claims.comment_faults import inner_faults, unfounded_claims
from aesthetic_mllm.editing.claims.photo_evidence import PhotoEvidence

GREY = Image.linear_gradient("L").convert("RGB")  # brightness 0.5
WARM = Image.merge("RGB", [GREY.getchannel(0), GREY.getchannel(0).point(lambda value: value // 2), Image.new("L", GREY.size)])


def evidence(photo: Image.Image = GREY, **bins: int) -> PhotoEvidence:
    """Evidence whose cut points put the photo's attributes into these bins."""
    measured = PhotoEvidence(photo, {})
    cuts = {}
    for name, found in bins.items():
        value = measured.value(name)
        cuts[name] = [value + step for step in (-4, -3, -2, -1)[4 - found :]] + [
            value + step for step in (1, 2, 3, 4)[: 4 - found]
        ]
    return PhotoEvidence(photo, cuts)


def test_claims_that_one_photo_bears_out_do_not_contradict_each_other() -> None:
    """Two claims about one attribute contradict each other just where no bin bears out both; the order does not matter."""
    for first, second in itertools.combinations(CLAIM_RULES, 2):
        assert contradict(first, second) == contradict(second, first)
        one, other = CLAIM_RULES[first], CLAIM_RULES[second]
        if one.attribute == other.attribute:
            assert contradict(first, second) == (not one.bins & other.bins)
    assert not any(contradict(name, name) for name in CLAIM_RULES)
    assert contradict("centred", "far_left") and not contradict("dark", "sharp")


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("Rich colours, despite pale colours.", {("contradiction", "pale", "vivid")}),
        ("A warm tone. The colours are cool.", {("contradiction", "cool", "warm")}),
        ("With dull, pale colours, despite muted colours.", {("repeated", "pale")}),
        ("With rich colours, warm colours and a strong warm cast.", {("repeated", "warm")}),
        ("The detail is crisp. Still, it is sharp and full of detail.", {("repeated", "sharp")}),
        ("With dull, pale colours and a dark, quiet light.", set()),
        ("The colours are rich and strong. It is not dark.", set()),
    ],
)
def test_a_comment_neither_contradicts_itself_nor_says_a_claim_twice(comment: str, expected: set[tuple[str, ...]]) -> None:
    assert inner_faults(comment) == expected


@pytest.mark.parametrize(("found", "plain", "strong"), [(0, True, True), (1, True, False), (2, False, False), (4, False, False)])
def test_plain_words_need_their_side_and_strong_ones_the_extreme(found: int, plain: bool, strong: bool) -> None:
    photo = evidence(brightness=found)
    for text, borne_out in (("The light is dark.", plain), ("It is much too dark.", strong), ("It is not very bright.", True)):
        assert not unfounded_claims(text, photo) == borne_out, text


def test_bears_out_and_refutes_leave_the_middle_to_neither() -> None:
    for name, rule in CLAIM_RULES.items():
        if rule.bins not in (LOW, HIGH) or rule.least is not None or rule.attribute in ("warmth", "harmony", "palette_spread"):
            continue
        for found in range(5):
            photo = evidence(**{rule.attribute: found})
            assert photo.bears_out(name) == (found in rule.bins) and photo.refutes(name) == (
                min(abs(found - b) for b in rule.bins) > 1
            )
            assert not photo.bears_out(name, is_strong=True) or photo.bears_out(name)


def test_of_a_black_and_white_photo_no_colours_are_told() -> None:
    grey = evidence(GREY, saturation=0, warmth=4, harmony=4, palette_spread=0)
    for comment in ("With pale colours.", "With good colors.", "A warm cast.", "A narrow palette.", "The hues are fine."):
        assert unfounded_claims(comment, grey), comment
    for comment in ("It is a monochrome photo.", "There is hardly any colour.", "The light is good."):
        assert not unfounded_claims(comment, grey), comment
    warm = evidence(WARM, saturation=4, warmth=4)
    assert not unfounded_claims("With rich colours and a strong warm cast.", warm)


def test_noise_that_nobody_sees_is_not_told_of() -> None:
    assert unfounded_claims("Noise is visible.", evidence(noise=4))
    noisy = Image.effect_noise((64, 64), 40).convert("RGB")
    assert not unfounded_claims("Noise is visible.", evidence(noisy, noise=4))


def test_what_has_no_cut_points_is_not_checked() -> None:
    assert not unfounded_claims("The light is very dark and the mood is calm.", PhotoEvidence(WARM, {}))
