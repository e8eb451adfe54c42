"""No n-gram of words that stands in a corpus is ever overlooked, and the corpus cannot be read from what is kept of it."""

import random

import numpy as np
import pytest

from aesthetic_mllm.tasks.ngram_overlap import SHARED_WORDS, TrainingNgrams, ngrams_of, repeats, words_of


def texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(500)}" for _ in range(rng.randrange(30))) for _ in range(count)]


def test_words_are_told_apart_by_letters_alone() -> None:
    assert words_of("The light ISN'T good: 2 colors!") == ["the", "light", "isnt", "good", "2", "colours"]


def test_every_ngram_of_the_corpus_is_known() -> None:
    corpus = texts(200, seed=0)
    known = TrainingNgrams.of_texts(corpus)
    for text in corpus:
        for ngram in ngrams_of(words_of(text)):
            assert known.shares(", ".join(ngram).upper())
            assert not known.shares(" ".join(ngram[1:]))  # seven words


def test_few_other_ngrams_are_taken_for_known() -> None:
    known = TrainingNgrams.of_texts(texts(400, seed=1))
    others = [" ".join(ngram) for text in texts(2000, seed=2) for ngram in ngrams_of(words_of(text))]
    assert len(others) > 10_000
    assert np.mean([known.shares(ngram) for ngram in others]) < 0.002


def test_runs_lie_within_one_text_and_the_length_is_kept() -> None:
    known = TrainingNgrams.of_texts(["one two three", "four five six"], length=3)
    assert known.shares("Well, one two three!") and not known.shares("three four five")
    loaded = TrainingNgrams.from_side_file(known.to_side_file())
    assert loaded.length == 3 and np.array_equal(loaded.bits, known.bits)


def test_an_empty_corpus_knows_nothing() -> None:
    assert not TrainingNgrams.of_texts([]).shares("a b c d e f g h i j")
    assert not TrainingNgrams.of_texts(["too short"]).shares("a b c d e f g h i j")


@pytest.mark.parametrize(("shape", "dtype"), [(3, np.uint8), (4, np.int64), ((2, 2), np.uint8), (0, np.uint8)])
def test_other_arrays_are_refused(shape: tuple[int, ...], dtype: type) -> None:
    with pytest.raises(ValueError, match="power of 2"):
        TrainingNgrams(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    "text",
    [
        "It has a sleepy mood, despite a sleepy mood.",
        "good light, good light, good light",
        "A fair photo with warm colours, warm colours and a strong warm cast.",
        "The light is soft and warm colours, warm colours.",
    ],
)
def test_what_is_said_twice_is_noticed(text: str) -> None:
    assert repeats(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "It has a sleepy mood, despite a lively mood.",
        "The light is dark. The colours are pale and the light",  # who knows how it goes on
        "With rich colours, warm colours and a warm cast.",
        "Fine, fine and good, good.",
    ],
)
def test_what_is_said_otherwise_is_no_repetition(text: str) -> None:
    assert not repeats(text)


def test_eight_words_are_a_quotation() -> None:
    assert SHARED_WORDS == 8
