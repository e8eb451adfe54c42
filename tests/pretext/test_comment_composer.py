"""Composed comments are true, as long as they should be, varied, and the same for the same seed."""

import random
import re
from collections.abc import Iterator

import pytest

from aesthetic_mllm.editing.claims.comment_claims import check_claims, find_claims
from aesthetic_mllm.pretext.comment_composer import ASPECTS, STYLES, CommentComposer, PhotoFacts
from aesthetic_mllm.pretext.comment_phrases import CommentPhrasesError
from aesthetic_mllm.pretext.phrase_bank import STRENGTHS, PhraseBank
from aesthetic_mllm.pretext.teachers import CONTENT_LABELS
from aesthetic_mllm.tasks import commenting
from aesthetic_mllm.tasks.ngram_overlap import words_of

COMPOSER = CommentComposer(PhraseBank())
ATTRIBUTES = list(COMPOSER.bank.attributes)
MIDDLING = dict.fromkeys(ATTRIBUTES, 2) | {"tilt": 1}  # nothing is at its end, and level is no middle


def some_facts(rng: random.Random) -> PhotoFacts:
    """Anything that can be known of a photo, consistent or not."""
    share = rng.choice((0.3, 1.0))
    damages = rng.choice((0, 0, 1, 2))
    return PhotoFacts(
        {name: rng.randrange(5) for name in ATTRIBUTES if rng.random() < share},
        rng.uniform(1, 10),
        {name: rng.uniform(1, 10) for name in ASPECTS if rng.random() < rng.choice((0.0, 0.5))},
        rng.choice((None, *CONTENT_LABELS)),
        tuple((*rng.choice(list(COMPOSER.phrases.damages)), rng.choice(STRENGTHS)) for _ in range(damages)),
    )


def some_comments(count: int) -> Iterator[tuple[str, str | None, PhotoFacts, str]]:
    for seed in range(count):
        rng = random.Random(seed)
        facts, style, aspect = some_facts(rng), rng.choice(STYLES), rng.choice((None, None, None, *ASPECTS))
        yield style, aspect, facts, COMPOSER.compose(facts, rng, style, aspect)


def test_every_claim_of_a_comment_is_right() -> None:
    """By the checker, for whatever is known; what was not measured is not spoken of."""
    claims = 0
    for _, _, facts, text in some_comments(4_000):
        checked = check_claims(text, facts.bins)
        assert all(one.right for one in checked), text
        claims += len(checked)
    assert claims > 3_000


def test_a_comment_is_as_long_as_its_style_says() -> None:
    for style, aspect, _, text in some_comments(2_000):
        fewest, most = commenting.STYLES[style].sentences
        assert fewest <= len(re.findall(r"[.](?= |$)", text)) <= most, text
        low, high = (6, 26) if style == "brief" else (15, 50)
        assert low <= len(words_of(text)) <= high, (aspect, text)
        assert re.fullmatch(r"(?:[A-Z][^.{}_]*\.(?: |$))+", text), text


def test_styles_and_aspects_are_those_that_can_be_asked_for() -> None:
    assert STYLES == tuple(commenting.STYLES) and ASPECTS == tuple(commenting.ASPECTS)


@pytest.mark.parametrize("style", STYLES)
def test_same_seed_same_comment(style: str) -> None:
    for seed in range(50):
        facts = some_facts(random.Random(seed))
        first, again = (COMPOSER.compose(facts, random.Random(f"{seed}"), style) for _ in range(2))
        assert first == again


def test_opinion_follows_the_rating() -> None:
    """Of the same photo a worse rating never says a better thing."""
    bands = [opinion.photos for opinion in COMPOSER.phrases.opinions]
    said = []
    for rating in (1.0, 2.5, 3.3, 5.0, 5.6, 7.0, 8.1, 10.0):
        text = COMPOSER.compose(PhotoFacts({}, rating), random.Random(0), "brief").lower()
        (band,) = [number for number, photos in enumerate(bands) if any(photo in text for photo in photos)]
        said.append(band)
    assert said == sorted(said) and set(said) == set(range(len(bands)))


@pytest.mark.parametrize(("bin", "name"), [(0, "dark"), (4, "bright")])
def test_a_fact_at_its_end_is_told(bin: int, name: str) -> None:
    for style in STYLES:
        text = COMPOSER.compose(PhotoFacts({"brightness": bin}, 7.0), random.Random(1), style)
        assert [claim.name for claim in find_claims(text)] == [name]


def test_what_is_nearly_telling_is_told_rarely_and_with_a_hedge() -> None:
    def share(others: dict[str, int]) -> float:
        facts = PhotoFacts(MIDDLING | {"brightness": 1} | others, 7.0)
        texts = [COMPOSER.compose(facts, random.Random(seed), "brief") for seed in range(300)]
        dark = [text for text in texts if "dark" in {claim.name for claim in find_claims(text)}]
        assert all("rather dark" in text for text in dark)
        return len(dark) / len(texts)

    alone, beside_others = share({}), share({"saturation": 4, "sharpness": 4, "contrast": 4})
    assert 0.3 < alone < 0.9 and beside_others < 0.1


def test_facts_that_would_mislead_are_not_told() -> None:
    """A bright photo measures as hazy, and a blurred one has no sharp background."""
    high_key = PhotoFacts({"haziness": 4, "contrast": 4, "saturation": 4, "sharpness": 4, "brightness": 4}, 8.0)
    texts = [COMPOSER.compose(high_key, random.Random(seed), "detailed", "light") for seed in range(200)]
    assert not any("hazy" in {claim.name for claim in find_claims(text)} for text in texts)


def test_a_fact_gives_way_to_what_its_aspect_is_rated() -> None:
    """Where people found the sharpness poor, a measured "sharp" is not held against them."""
    bins = {"sharpness": 4}
    agree, differ = (PhotoFacts(bins, 7.0, {"sharpness": rating}) for rating in (9.0, 2.0))
    texts = {facts.attributes["sharpness"]: COMPOSER.compose(facts, random.Random(0), "detailed") for facts in (agree, differ)}
    assert find_claims(texts[9.0]) and not find_claims(texts[2.0])


def test_damage_is_told_and_named_only_where_it_was_measured() -> None:
    edits = (("exposure", "less", "strongly"),)
    seen, unseen = (PhotoFacts({"brightness": bin}, 3.0, edits=edits) for bin in (0, 3))
    for seed in range(50):
        told = COMPOSER.compose(seen, random.Random(seed), "detailed")
        assert {claim.name for claim in find_claims(told)} == {"dark"} and ("expos" in told)
        vague = COMPOSER.compose(unseen, random.Random(seed), "detailed")
        assert "exposure is off" in vague and "dark" not in vague
    barely = PhotoFacts({}, 3.0, edits=(("exposure", "less", "barely"),))
    assert "expos" not in COMPOSER.compose(barely, random.Random(0), "detailed")


def test_an_aspect_tells_of_that_aspect_alone() -> None:
    own = {
        aspect: {fact.attribute for fact in COMPOSER.phrases.facts.values() if aspect in fact.aspects}
        | {damage.says.attribute for damage in COMPOSER.phrases.damages.values() if damage.says and aspect in damage.aspects}
        for aspect in ASPECTS
    }
    for _, aspect, _, text in some_comments(2_000):
        if aspect:
            assert {claim.attribute for claim in find_claims(text)} <= own[aspect], (aspect, text)


def test_content_is_named_where_it_is_known() -> None:
    texts = [COMPOSER.compose(PhotoFacts({}, 7.0, content="a castle"), random.Random(seed), "brief") for seed in range(100)]
    assert 40 < sum(" of a castle" in text for text in texts) < 80


def test_every_wording_is_reachable() -> None:
    """All wordings of facts, damage, opinions and aspects come up, and all frames of sentences."""
    phrases = COMPOSER.phrases
    rng = random.Random(0)
    texts = []
    for fact in phrases.facts.values():
        needs = {attribute: max(needed) for attribute, needed in fact.needs.items()}
        for rating in (2.0, 4.7, 6.5, 8.5):
            for bins in (fact.bins, fact.near):
                facts = PhotoFacts(needs | dict.fromkeys([fact.attribute] if bins else [], min(bins, default=0)), rating)
                texts += [COMPOSER.compose(facts, rng, style, fact.aspects[0]) for style in STYLES for _ in range(12)]
                texts += [COMPOSER.compose(facts, rng, "brief") for _ in range(24)] if fact.weight else []
    for (edit, direction), damage in phrases.damages.items():
        for bins in ({}, {damage.says.attribute: min(damage.says.bins)} if damage.says else {}):
            for strength in phrases.strengths:
                facts = PhotoFacts(bins, 3.0, edits=((edit, direction, strength),))
                texts += [COMPOSER.compose(facts, rng, style) for style in STYLES for _ in range(25)]
    for aspect in ASPECTS:
        for rating in (2.0, 5.5, 9.0):
            texts += [COMPOSER.compose(PhotoFacts({}, 5.0, {aspect: rating}), rng, "detailed", aspect) for _ in range(12)]
            texts += [COMPOSER.compose(PhotoFacts({}, 5.0, {aspect: rating}), rng, "brief") for _ in range(40)]
    for rating in (1.0, 3.0, 5.0, 6.0, 7.5, 9.0):
        texts += [COMPOSER.compose(PhotoFacts({}, rating), rng, style) for style in STYLES for _ in range(40)]
    said = "\n".join(texts).lower()

    def wordings() -> Iterator[str]:
        for fact in phrases.facts.values():
            for words in filter(None, (*fact.words.values(), fact.hedged)):
                yield from words.clauses
                yield from words.phrases if fact.weight else ()
        for damage in phrases.damages.values():
            for words in filter(None, (damage.words, damage.vague)):
                for wording in (*words.clauses, *words.phrases):
                    yield from (wording.format(strength=word) for words in phrases.strengths.values() for word in words)
        for opinion in phrases.opinions:
            yield from (*opinion.photos, *opinion.closings)
        for bands in phrases.aspects.values():
            for words in bands.values():
                yield from (*words.clauses, *words.phrases)
        yield from (
            *phrases.detailed["nothing"],
            *phrases.detailed["alone"],
            *(one for band in phrases.aspect["closings"].values() for one in band),
        )

    missing = [wording for wording in wordings() if wording.lower() not in said]
    assert not missing


def test_comments_are_varied() -> None:
    """Thousands of different brief comments of what is usual."""
    texts = {text for style, aspect, _, text in some_comments(6_000) if style == "brief" and aspect is None}
    assert len(texts) > 700


@pytest.mark.parametrize(
    ("facts", "style", "aspect", "message"),
    [
        ({}, "rude", None, "no style 'rude'; choose of brief, detailed"),
        ({}, "brief", "charm", "no aspect 'charm'; choose of composition"),
        ({"bins": {"charm": 2}}, "brief", None, "no measured attribute 'charm'"),
        ({"bins": {"brightness": 5}}, "brief", None, "bin of brightness is 5; bins are 0 to 4"),
        ({"rating": 0.5}, "brief", None, "rating of the photo is 0.5; give one of 1 to 10"),
        ({"attributes": {"charm": 5.0}}, "brief", None, "no aspect 'charm'"),
        ({"edits": (("exposure", "less", "terribly"),)}, "brief", None, "no strength 'terribly'"),
        ({"edits": (("flip", "more", "clearly"),)}, "brief", None, r"damage 'flip' \('more'\)"),
    ],
)
def test_what_there_is_not_is_refused_by_name(facts: dict, style: str, aspect: str | None, message: str) -> None:
    with pytest.raises(CommentPhrasesError, match=message):
        COMPOSER.compose(PhotoFacts(**({"bins": {}, "rating": 5.0} | facts)), random.Random(0), style, aspect)


def test_every_comment_says_something_in_known_wordings() -> None:
    """`wordings` knows all that a comment tells of its photo: what is left without them are frames, which are few."""
    wordings = sorted(COMPOSER.phrases.wordings(), key=len, reverse=True)
    known = re.compile("|".join(rf"\b{re.escape(one)}\b" for one in wordings), re.IGNORECASE)
    assert not [one for one in wordings if "{" in one]
    for _, _, facts, comment in some_comments(400):
        assert known.search(comment)
        rest = known.sub("it", comment.replace(facts.content, "something") if facts.content else comment)
        assert not find_claims(rest), (comment, rest)
