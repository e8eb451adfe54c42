"""Words that comments share with what people wrote of the same photos: BLEU and CIDEr.

Both tell little of whether a comment is right, and are low for comments in other words than the references'. They are here
because published work reports them. BLEU needs sacrebleu, CIDEr needs pycocoevalcap.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from ..tasks.ngram_overlap import words_of


class MissingPackageError(ImportError):
    """What a figure is computed with is not installed."""


def can_compute(figure: str) -> bool:
    """Whether the package for "bleu" or "cider" is installed."""
    return find_spec({"bleu": "sacrebleu", "cider": "pycocoevalcap"}[figure]) is not None


def bleu(texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU of sacrebleu (Papineni et al. 2002; Post 2018), 0 to 100; its own tokenizer, regardless of case.

    Args:
        texts: one a photo.
        references: of each photo at least one.

    Raises:
        MissingPackageError: sacrebleu is not installed.
        ValueError: other numbers of texts and references, or a photo without one.
    """
    _check("bleu", texts, references)
    import sacrebleu

    most = max(map(len, references))
    columns: list[Any] = [[given[place] if place < len(given) else None for given in references] for place in range(most)]
    return float(sacrebleu.corpus_bleu(list(texts), columns, lowercase=True).score)


def cider(texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """CIDEr-D of pycocoevalcap (Vedantam et al. 2015), from 0 up to 10; words weigh by how rare they are in the references.

    Words are split by this package and not by the Java tokenizer of the original, so figures differ slightly from its.

    Args:
        texts, references: as of [`bleu`]; of one photo alone it is always 0, because no word is rare.

    Raises:
        MissingPackageError: pycocoevalcap is not installed.
        ValueError: as of [`bleu`].
    """
    _check("cider", texts, references)
    from pycocoevalcap.cider.cider import Cider

    def split(text: str) -> str:
        return " ".join(words_of(text))

    given = {number: [split(text) for text in each] for number, each in enumerate(references)}
    value, _ = Cider().compute_score(given, {number: [split(text)] for number, text in enumerate(texts)})
    return float(value)


def _check(figure: str, texts: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not can_compute(figure):
        package = {"bleu": "sacrebleu", "cider": "pycocoevalcap"}[figure]
        raise MissingPackageError(f"{figure} needs {package}; install it with pip install {package}.")
    if len(texts) != len(references) or not texts or not all(references):
        raise ValueError(f"{len(texts)} texts need references of as many photos, at least one each; got {len(references)}.")
