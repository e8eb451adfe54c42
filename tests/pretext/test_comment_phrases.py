"""Wordings of comments say what they are meant to say, and nothing else that could be checked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aesthetic_mllm.editing import EDITS
from aesthetic_mllm.editing.claims.claim_rules import CLAIM_RULES
from aesthetic_mllm.editing.claims.comment_claims import find_claims
from aesthetic_mllm.pretext.comment_phrases import DEFAULT_PHRASES, CommentPhrases, CommentPhrasesError, Wordings
from aesthetic_mllm.pretext.phrase_bank import STRENGTHS, PhraseBank

BANK = PhraseBank()
PHRASES = CommentPhrases(BANK)


def in_sentences(words: Wordings, **filled: str) -> Iterator[str]:
    """Each wording as it stands in comments."""
    yield from (clause.format(**filled) for clause in words.clauses)
    for frame in ("A good photo with {}.", "A good photo of a castle, despite {}."):
        yield from (frame.format(phrase.format(**filled)) for phrase in words.phrases)


def claimed(text: str) -> set[tuple[str, frozenset[int]]]:
    return {(claim.attribute, CLAIM_RULES[claim.name].bins) for claim in find_claims(text)}


def test_each_wording_of_a_fact_claims_that_fact_alone() -> None:
    """In the words of the checker, and right in the bins in which the fact may be told."""
    for fact in PHRASES.facts.values():
        for words in filter(None, (*fact.words.values(), fact.hedged)):
            for text in in_sentences(words):
                assert claimed(text) == {(fact.attribute, fact.its_side)}, text


def test_wordings_of_damage_claim_what_they_say_they_claim() -> None:
    for key, damage in PHRASES.damages.items():
        expected = {(damage.says.attribute, damage.says.its_side)} if damage.says else set()
        for words in PHRASES.strengths.values():
            for word in words:
                for text in in_sentences(damage.words, strength=word):
                    assert claimed(text) == expected, (key, text)
        if damage.says:
            assert damage.vague, f"{key} can be said only where it was measured"
            assert not any(map(claimed, in_sentences(damage.vague))), key


def test_opinions_claim_nothing() -> None:
    for opinion in PHRASES.opinions:
        assert not any(map(claimed, (*opinion.photos, *opinion.closings)))
    for bands in PHRASES.aspects.values():
        assert not any(claimed(text) for words in bands.values() for text in in_sentences(words))


def test_every_aspect_has_facts_to_tell_and_every_fact_can_be_told() -> None:
    for aspect in PHRASES.aspects:
        assert sum(aspect in fact.aspects for fact in PHRASES.facts.values()) >= 2, aspect
    for fact in PHRASES.facts.values():
        # what is told only of its aspect stands in clauses
        assert all(words.clauses and bool(words.phrases) == (fact.weight > 0) for words in fact.words.values()), fact.name


def test_damage_is_what_makes_photos_worse_in_pretext_samples() -> None:
    """All edits of the pretext samples whose verdict is "worse", and none that is kept out of them."""
    worse = {
        (name, direction)
        for name, edit in EDITS.items()
        for direction, verdict in zip(("more", "less"), edit.verdicts, strict=True)
        if edit.in_pretext_samples and verdict == "worse" and (direction == "more" or edit.less)
    }
    assert set(PHRASES.damages) == worse
    with pytest.raises(CommentPhrasesError, match=r"'gamma' \('more'\), only of exposure \(more\)"):
        PHRASES.damage("gamma", "more")


def test_strengths_are_those_that_can_be_seen() -> None:
    assert list(PHRASES.strengths) == [strength for strength in STRENGTHS if strength != "barely"]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda read: read.pop("aspect"), "no part 'aspect'"),
        (lambda read: read["facts"]["dark"].update(attribute="charm"), "no attribute 'charm'"),
        (lambda read: read["facts"]["dark"].update(aspects=["charm"]), "no aspect 'charm'"),
        (lambda read: read["facts"]["hazy"].update(needs={"charm": [0]}), "no attribute 'charm'"),
        (lambda read: read["edits"].update(gamma=read["edits"]["noise"]), "no edit 'gamma'"),
        (lambda read: read["edits"]["noise"]["more"].update(says="charm"), "no fact 'charm'"),
        (lambda read: read["strengths"].update(clearly=["noticeably"]), "no word of 'clearly' 'noticeably'"),
        (lambda read: read["aspects"].pop("mood"), "no wordings of the aspect 'mood'"),
        (lambda read: read["opinions"].pop(), "until 10"),
    ],
)
def test_wordings_with_a_fault_are_refused_by_name(break_it, message: str, tmp_path: Path) -> None:
    read = yaml.safe_load(DEFAULT_PHRASES.read_text(encoding="utf-8"))
    break_it(read)
    path = tmp_path / "phrases.yaml"
    path.write_text(yaml.safe_dump(read), encoding="utf-8")
    with pytest.raises(CommentPhrasesError, match=message):
        CommentPhrases(BANK, path)
