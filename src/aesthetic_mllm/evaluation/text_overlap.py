"""How varied texts are, and how many words in a row they share with a corpus."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from ..tasks.ngram_overlap import SHARED_WORDS, ngrams_of, words_of

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that a word's place in an n-gram changes its part of the hash


def distinct_n(texts: Iterable[str], n: int = 2) -> float:
    """Different n-grams of words among all n-grams of the texts (Li et al. 2016), 0 to 1; 0 where no text has n words."""
    grams = [gram for text in texts for gram in ngrams_of(words_of(text), n)]
    return len(set(grams)) / max(len(grams), 1)


def share_identical(texts: Sequence[str]) -> float:
    """Share of texts that another one equals word for word, 0 to 1.

    Raises:
        ValueError: no texts.
    """
    if not texts:
        raise ValueError("No texts to compare.")
    counts = Counter(tuple(words_of(text)) for text in texts)
    return sum(count for count in counts.values() if count > 1) / len(texts)


class SharedNgrams:
    """Finds the words in a row that texts share with a corpus.

    N-grams are compared as 64-bit hashes: of a million about one in ten million that is not in the corpus is taken for shared.

    Args:
        corpus: texts; an n-gram lies within one of them. Two million words take about 40 MB, and 16 MB for each length asked for.
    """

    def __init__(self, corpus: Iterable[str]):
        self._ids: dict[str, int] = {}
        ids, numbers = [], []
        for number, text in enumerate(corpus):
            for word in words_of(text):
                ids.append(self._ids.setdefault(word, len(self._ids) + 1))
                numbers.append(number)
        self._corpus = np.array(ids, dtype=np.uint64)
        self._numbers = np.array(numbers, dtype=np.int32)
        self._known = lru_cache(maxsize=None)(self._index)

    def shares(self, text: str, length: int = SHARED_WORDS) -> bool:
        """Whether some `length` words in a row stand in the corpus too."""
        return bool(self._found(words_of(text), length).any())

    def _found(self, words: Sequence[str], length: int) -> np.ndarray:
        """For each place whether the n-gram that starts there stands in the corpus: bool [words - length + 1]."""
        if len(words) < length:
            return np.zeros(0, dtype=bool)
        index = self._known(length)
        if not len(index):
            return np.zeros(len(words) - length + 1, dtype=bool)
        ids = np.array([self._ids.get(word, 0) for word in words], dtype=np.uint64)
        known = np.lib.stride_tricks.sliding_window_view(ids > 0, length).all(axis=1)
        hashes = _hashes(ids, length)
        return known & (index[np.searchsorted(index, hashes).clip(max=len(index) - 1)] == hashes)

    def _index(self, length: int) -> np.ndarray:
        """The hashes of all n-grams of the corpus, in order."""
        if len(self._corpus) < length:
            return np.zeros(0, dtype=np.uint64)
        within = self._numbers[length - 1 :] == self._numbers[: len(self._numbers) - length + 1]
        return np.unique(_hashes(self._corpus, length)[within])


def _hashes(ids: np.ndarray, length: int) -> np.ndarray:
    """A hash of each n-gram: uint64 [len(ids) - length + 1]."""
    mixed = ids * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(32)
    count = len(ids) - length + 1
    hashes = np.zeros(count, dtype=np.uint64)
    for place in range(length):
        hashes = hashes * _BASE + mixed[place : place + count]
    return hashes
