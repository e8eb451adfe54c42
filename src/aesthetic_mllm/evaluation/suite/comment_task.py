"""Comments: claims that measurements bear out, variety, words shared with people's, and with references where there are some."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...data.record import Record
from ...processing.image_loading import ImageError
from ...tasks.commenting import STYLES
from ...tasks.ngram_overlap import words_of
from ..eval_comments import at_another_photo, check_all, measured_bins, write_comments
from ..reference_overlap import bleu, can_compute, cider
from ..resampling import Sampled, sampled_mean, sampled_ratio
from ..text_overlap import SharedNgrams, distinct_n, share_identical
from .bench import BATCH_SIZE, Bench, Finding
from .evaluated_data import EvaluatedData
from .rating_task import ALL
from .system import System

COMMENTS = "comments"
UNCHECKED = "unchecked"


def comment_findings(bench: Bench, system: System, data: EvaluatedData) -> list[Finding]:
    """In each style, without a look at measurements ("unchecked") and as the checkpoint does by default."""
    if not system.assessor.processor.writes_comments:
        bench.note(f"{system.name} was not taught to comment.")
        return []
    photos = data.keyed(data.some(bench.sizes.comments))
    written = {style: _write(bench, system, data, photos, style) for style in STYLES}
    photos = {key: record for key, record in photos.items() if data.path_of(record) not in data.failed}
    if not photos:
        return []
    pool = data.train(bench.sizes.train)[: bench.sizes.comment_pool] or data.some(bench.sizes.comment_pool)
    readable = [path for path in (record.image for record in pool) if path.is_file()]
    bins = measured_bins({key: record.image for key, record in photos.items()}, readable)
    references = {key: [comment.text for comment in record.comments] for key, record in photos.items()}
    corpus = [comment.text for record in data.train(bench.sizes.train) for comment in record.comments]
    findings = []
    for style, texts in written.items():
        for name, place in ((f"{style}, {UNCHECKED}", 0), (style, 1)):
            own = {key: texts[key][place] for key in photos if key in texts}
            figures = comment_figures(own, bins, SharedNgrams(corpus) if corpus else None, references)
            findings.append(Finding(COMMENTS, data.name, name, ALL, system.name, len(own), "comments", figures))
    return findings


def _write(
    bench: Bench, system: System, data: EvaluatedData, photos: Mapping[str, Record], style: str
) -> dict[str, Sequence[str]]:
    """Comments without and with a look at measurements, by photo."""

    def ask(records: list[Record]) -> Iterable[list[str] | ImageError]:
        found: list[ImageError | None] = []
        for record in records:
            try:
                system.assessor.engine.read(record.image)
                found.append(None)
            except ImageError as error:
                found.append(error)
        good = {str(place): record.image for place, record in enumerate(records) if found[place] is None}
        unchecked, checked = write_comments(system.assessor, good, style, batch_size=BATCH_SIZE) if good else ({}, {})
        return [error or [unchecked[str(place)], checked[str(place)]] for place, error in enumerate(found)]

    answers = bench.cache.answers(
        COMMENTS,
        {"checkpoint": system.identity, "style": style},
        photos,
        ask,
        BATCH_SIZE,
        f"{system.name}: {style} comments, {data.name}",
        _texts,
    )
    data.fail(answers.failed, photos)
    return answers.found


def _texts(found: Sequence[Any]) -> Sequence[str]:
    unchecked, checked = found
    if not isinstance(unchecked, str) or not isinstance(checked, str):
        raise TypeError(f"{found!r} are no comments.")
    return unchecked, checked


def comment_figures(
    comments: Mapping[str, str],
    bins: Mapping[str, Mapping[str, int]],
    corpus: SharedNgrams | None = None,
    references: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Sampled]:
    """Figures of comments by photo, at least one.

    Args:
        bins: of the photos ([`measured_bins`]).
        corpus: what people wrote of other photos.
        references: what people wrote of the same photos; BLEU and CIDEr are of those that have some.
    """
    texts = list(comments.values())
    own, elsewhere = (_counts(check_all(given, bins)) for given in (comments, at_another_photo(comments)))
    found: dict[str, Sampled | None] = {
        "claim_precision": sampled_ratio(own[:, 0], own[:, 1]),
        "claim_precision_elsewhere": sampled_ratio(elsewhere[:, 0], elsewhere[:, 1]),
        "claims": sampled_mean(own[:, 1]),
        "words": Sampled(sum(len(words_of(text)) for text in texts) / len(texts)),
        "distinct_2": Sampled(distinct_n(texts)),
        "identical": Sampled(share_identical(texts)),
    }
    if corpus is not None:
        found["shared_ngrams"] = sampled_mean([corpus.shares(text) for text in texts])
    referred = [key for key in comments if references and references.get(key)]
    for name, compute in (("bleu", bleu), ("cider", cider)):
        if len(referred) > 1 and references and can_compute(name):
            found[name] = Sampled(compute([comments[key] for key in referred], [references[key] for key in referred]))
    return {name: figure for name, figure in found.items() if figure is not None}


def _counts(checked: Sequence[Sequence[Any]]) -> np.ndarray:
    """Right claims and claims of each comment, [n, 2]."""
    return np.array([(sum(one.right for one in claims), len(claims)) for claims in checked], dtype=np.float64)
