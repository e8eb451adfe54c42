"""Diversity and shared words are counted by words, and by nothing else."""

import random

import pytest

from aesthetic_mllm.evaluation.text_overlap import SharedNgrams, distinct_n, share_identical
from aesthetic_mllm.tasks.ngram_overlap import words_of

CORPUS = ["The light in this photo isn't good at all, sorry.", "Nice colors!", "one two three four", "five six seven eight nine"]


def longest_by_hand(text: str, corpus: list[str]) -> int:
    words = words_of(text)
    known = {
        tuple(row[start:end])
        for row in map(words_of, corpus)
        for start in range(len(row))
        for end in range(start + 1, len(row) + 1)
    }
    return max(
        (
            end - start
            for start in range(len(words))
            for end in range(start + 1, len(words) + 1)
            if tuple(words[start:end]) in known
        ),
        default=0,
    )


def test_eight_words_in_a_row_are_found_whatever_stands_between_them() -> None:
    shared = SharedNgrams(CORPUS)
    assert shared.shares("I think the light, in THIS photo, isnt good at that.")
    assert not shared.shares("the light in this photo isn't good")  # seven
    assert not shared.shares("one two three four five six seven eight nine")  # of two texts
    assert shared.longest("Say what: one two three four five six seven.") == ("one", "two", "three", "four")
    assert shared.longest("nothing shared here") == ()


def test_longest_ngrams_are_those_that_a_search_by_hand_finds() -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choice("abcd") for _ in range(rng.randrange(1, 30))) for _ in range(60)]
    shared = SharedNgrams(texts[:30])
    for text in texts[30:]:
        found = shared.longest(text)
        assert len(found) == longest_by_hand(text, texts[:30])
        assert " ".join(found) in text


def test_an_empty_corpus_shares_nothing() -> None:
    shared = SharedNgrams([])
    assert shared.longest("the light is good") == () and not shared.shares("a b c d e f g h i")


def test_a_summary_names_the_texts_that_quote() -> None:
    quote = "the light in this photo isnt good at all"
    found = SharedNgrams(CORPUS).summary(["fine", quote])
    assert found == {"length": 8, "texts": 2, "sharing": [quote], "longest_ngram": 9, "longest_words": quote}


def test_distinct_counts_pairs_of_words_over_all_texts() -> None:
    assert distinct_n(["a b c", "A b, d"]) == pytest.approx(3 / 4)
    assert distinct_n(["a a a a"]) == pytest.approx(1 / 3)
    assert distinct_n(["a", ""]) == 0.0


def test_identical_texts_are_all_counted() -> None:
    assert share_identical(["a b", "A b!", "c", "d"]) == 0.5
    with pytest.raises(ValueError, match="No texts"):
        share_identical([])
