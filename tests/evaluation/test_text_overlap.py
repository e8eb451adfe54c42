"""Diversity and shared words are counted by words, and by nothing else."""

import random

import pytest

from aesthetic_mllm.evaluation.text_overlap import SharedNgrams, distinct_n, share_identical
from aesthetic_mllm.tasks.ngram_overlap import words_of

CORPUS = ["The light in this photo isn't good at all, sorry.", "Nice colors!", "one two three four", "five six seven eight nine"]


def shares_by_hand(text: str, corpus: list[str], length: int) -> bool:
    known = {tuple(row[start : start + length]) for row in map(words_of, corpus) for start in range(len(row) - length + 1)}
    words = words_of(text)
    return any(tuple(words[start : start + length]) in known for start in range(len(words) - length + 1))


def test_eight_words_in_a_row_are_found_whatever_stands_between_them() -> None:
    shared = SharedNgrams(CORPUS)
    assert shared.shares("I think the light, in THIS photo, isnt good at that.")
    assert not shared.shares("the light in this photo isn't good")  # seven
    assert not shared.shares("one two three four five six seven eight nine")  # of two texts


@pytest.mark.parametrize("length", [1, 3, 5])
def test_words_in_a_row_are_those_that_a_search_by_hand_finds(length: int) -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choice("abcdefgh"[: length + 2]) for _ in range(rng.randrange(1, 30))) for _ in range(60)]
    shared = SharedNgrams(texts[:9])
    found = [shared.shares(text, length) for text in texts[9:]]
    assert found == [shares_by_hand(text, texts[:9], length) for text in texts[9:]]


def test_an_empty_corpus_shares_nothing() -> None:
    shared = SharedNgrams([])
    assert not shared.shares("a b c d e f g h i")


def test_distinct_counts_pairs_of_words_over_all_texts() -> None:
    assert distinct_n(["a b c", "A b, d"]) == pytest.approx(3 / 4)
    assert distinct_n(["a a a a"]) == pytest.approx(1 / 3)
    assert distinct_n(["a", ""]) == 0.0


def test_identical_texts_are_all_counted() -> None:
    assert share_identical(["a b", "A b!", "c", "d"]) == 0.5
    with pytest.raises(ValueError, match="No texts"):
        share_identical([])
