"""Whose words a comment's are: n-grams of words that it shares with the texts a checkpoint was trained on."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from ..processing.checkpoint_side_files import SideFile

SHARED_WORDS = 8  # in a row; more is a quotation, fewer are what everybody says
REPEATED_WORDS = 3  # in a row, said twice in one comment, are noticed
TRAINING_NGRAMS = "training_ngrams"  # side file of a checkpoint
_CLAUSE_END = re.compile(r"[,;:.!?]|\band\b")
_HASHES = 8  # of each n-gram; 16 bits for each then make one n-gram in two thousand a false alarm
_BITS_AN_NGRAM = 16


def words_of(text: str) -> list[str]:
    """The words of a text, without case, apostrophes and the spelling of "colour"."""
    return re.findall(r"[a-z0-9]+", re.sub(r"['’]", "", text.lower()).replace("color", "colour"))


def ngrams_of(words: Sequence[str], length: int = SHARED_WORDS) -> Iterator[tuple[str, ...]]:
    """All n-grams: so many words in a row each."""
    return (tuple(words[start : start + length]) for start in range(len(words) - length + 1))


class TrainingNgrams:
    """The n-grams of words of a corpus, as a Bloom filter (Bloom 1970): it forgets none, and takes few others for known.

    The corpus cannot be read from it. It travels with a checkpoint, so that comments can do without its training texts' sentences
    wherever the checkpoint goes.

    Args:
        bits: uint8 [M], eight bits each; M is a power of 2.
        length: words in an n-gram.
    """

    def __init__(self, bits: np.ndarray, length: int = SHARED_WORDS):
        if bits.dtype != np.uint8 or bits.ndim != 1 or len(bits) & (len(bits) - 1) or not len(bits):
            raise ValueError(f"Training n-grams are uint8 [a power of 2], not {bits.dtype} {list(bits.shape)}.")
        self.bits, self.length = bits, length

    @classmethod
    def of_texts(cls, texts: Iterable[str], length: int = SHARED_WORDS) -> "TrainingNgrams":
        """Of a corpus; an n-gram lies within one text."""
        ngrams = {ngram for text in texts for ngram in ngrams_of(words_of(text), length)}
        known = cls(np.zeros(1 << (max(len(ngrams) * _BITS_AN_NGRAM, 64) // 8 - 1).bit_length(), np.uint8), length)
        for ngram in ngrams:
            for place in known._places(ngram):
                known.bits[place >> 3] |= 1 << (place & 7)
        return known

    def shares(self, text: str) -> bool:
        """Whether some words in a row stand in the corpus too."""
        return any(self._has(ngram) for ngram in ngrams_of(words_of(text), self.length))

    def to_side_file(self) -> SideFile:
        """As a checkpoint carries it, by the name of [`TRAINING_NGRAMS`]."""
        return SideFile({"bits": torch.from_numpy(self.bits)}, {"length": str(self.length)})

    @classmethod
    def from_side_file(cls, file: SideFile) -> "TrainingNgrams":
        """What `to_side_file` made."""
        return cls(file.tensors["bits"].numpy(), int(file.metadata["length"]))

    def _has(self, ngram: tuple[str, ...]) -> bool:
        return all(self.bits[place >> 3] >> (place & 7) & 1 for place in self._places(ngram))

    def _places(self, ngram: tuple[str, ...]) -> list[int]:
        """The bits that stand for an n-gram: two hashes mixed (Kirsch and Mitzenmacher 2006)."""
        digest = hashlib.blake2b(" ".join(ngram).encode(), digest_size=16).digest()
        first, second = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little") | 1
        return [(first + number * second) % (8 * len(self.bits)) for number in range(_HASHES)]


def repeats(text: str) -> bool:
    """Whether a text says [`REPEATED_WORDS`] in a row twice, or a whole clause of two words that stands before it already.

    The last clause is looked at once something ends it.
    """
    ngrams = list(ngrams_of(words_of(text), REPEATED_WORDS))
    if len(set(ngrams)) < len(ngrams):
        return True
    before: list[str] = []
    for clause in _CLAUSE_END.split(text)[:-1]:
        words = words_of(clause)
        if len(words) > 1 and tuple(words) in ngrams_of(before, len(words)):
            return True
        before += words
    return False
