"""Whether comments on photos are true, varied, and nobody's words.

A checkpoint comments twice: without looking at measurements, and as it does by default, where a claim is made only if the photo's
measurements bear it out. So that the check does not mark its own work, photos are measured here at another size, by cut points of
other photos measured at that size. Beside the precision of claims ("the light is dark") stands that of the same comments each
held against another photo.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..editing.claims.claim_rules import CLAIM_RULES, MAIN_ATTRIBUTES
from ..editing.claims.comment_claims import CheckedClaim, check_claims
from ..editing.claims.comment_faults import inner_faults, unfounded_claims
from ..editing.claims.photo_evidence import PhotoEvidence
from ..editing.measurements import measure
from ..editing.measurements.pool_statistics import PoolStatistics
from ..processing.image_loading import ImageSource, load_image
from ..tasks.ngram_overlap import words_of
from .byte_perplexity import byte_perplexity
from .claim_precision import claim_precision, precision_by
from .text_overlap import SharedNgrams, distinct_n, share_identical

if TYPE_CHECKING:
    from ..inference.assessor import AestheticAssessor

ATTRIBUTES = tuple(sorted({rule.attribute for rule in CLAIM_RULES.values()}))
SIDE = 224  # pixels of the long side at which photos are measured here


def measured_bins(photos: Mapping[str, ImageSource], pool: Iterable[ImageSource], side: int = SIDE) -> dict[str, dict[str, int]]:
    """Bins of all that claims can be about, by photo.

    Args:
        photos: that are commented on.
        pool: other photos, which set the cut points; some 150 are enough.
        side: pixels of the long side at which all are measured; choose another than the checkpoint's.

    Raises:
        ImageError: a photo cannot be read.
    """
    statistics = PoolStatistics.of((_small(source, side) for source in pool), ATTRIBUTES)
    return {
        key: {name: statistics.bin(name, value) for name, value in measure(_small(source, side), ATTRIBUTES).items()}
        for key, source in photos.items()
    }


def _small(source: ImageSource, side: int) -> Image.Image:
    photo = load_image(source)
    photo.thumbnail((side, side), Image.Resampling.LANCZOS)
    return photo


def write_comments(
    assessor: "AestheticAssessor",
    photos: Mapping[str, ImageSource],
    style: str,
    aspect: str | None = None,
    batch_size: int = 8,
) -> tuple[dict[str, str], dict[str, str]]:
    """Comments by photo without and with a look at measurements; those with nothing to correct are the same, and written once."""

    def write(keys: Sequence[str]) -> dict[str, str]:
        written = assessor.comment([photos[key] for key in keys], style=style, aspect=aspect, batch_size=batch_size)
        return dict(zip(keys, written, strict=True))

    processor, cuts = assessor.processor, assessor.processor.measurement_cuts
    try:
        processor.measurement_cuts = {}
        unchecked = write(list(photos))
    finally:
        processor.measurement_cuts = cuts

    def has_faults(key: str) -> bool:
        evidence = PhotoEvidence(processor.image_processor.read(photos[key]), cuts)
        return bool(inner_faults(unchecked[key]) | unfounded_claims(unchecked[key], evidence))

    return unchecked, unchecked | write([key for key in photos if cuts and has_faults(key)])


def check_all(comments: Mapping[str, str], bins: Mapping[str, Mapping[str, int]]) -> list[list[CheckedClaim]]:
    """The claims of each comment, held against its photo."""
    return [check_claims(comment, bins[photo]) for photo, comment in comments.items()]


def at_another_photo(comments: Mapping[str, str]) -> dict[str, str]:
    """Each photo's comment at the photo before it; what is right of that is chance."""
    texts = list(comments.values())
    return dict(zip(comments, texts[1:] + texts[:1], strict=True))


def _precisions(claims: Sequence[CheckedClaim]) -> dict[str, Any]:
    """Of all claims, of those on the main attributes, and of each attribute and claim."""
    return {
        "all": claim_precision(claims),
        "main attributes": claim_precision([one for one in claims if one.claim.attribute in MAIN_ATTRIBUTES]),
        "by attribute": precision_by(claims, "attribute"),
        "by claim": precision_by(claims, "name"),
    }


def evaluate_comments(
    comments: Mapping[str, str],
    bins: Mapping[str, Mapping[str, int]],
    corpora: Mapping[str, SharedNgrams] | None = None,
) -> dict[str, Any]:
    """All that is asked of comments.

    Args:
        comments: by photo, at least one.
        bins: of the same photos ([`measured_bins`]).
        corpora: texts to find shared n-grams of words in, by name.
    """
    checked = check_all(comments, bins)
    texts = list(comments.values())
    photos = list(comments)
    kinds = [{fault[0] for fault in inner_faults(text)} for text in texts]
    elsewhere = at_another_photo(comments)
    return {
        "comments": len(texts),
        "words": sum(len(words_of(text)) for text in texts) / len(texts),
        "claims a comment": sum(map(len, checked)) / len(texts),
        "without claims": sum(not claims for claims in checked) / len(texts),
        "contradicting themselves": sum("contradiction" in found for found in kinds) / len(texts),
        "repeating a claim": sum("repeated" in found for found in kinds) / len(texts),
        "precision": _precisions([one for claims in checked for one in claims]),
        "at another photo": _precisions([one for claims in check_all(elsewhere, bins) for one in claims]),
        "distinct-2": distinct_n(texts),
        "identical": share_identical(texts),
        "shared_ngrams": {name: corpus.summary(texts) for name, corpus in (corpora or {}).items()},
        "texts": [
            {"photo": photo, "comment": text, "wrong": [one.claim.name for one in claims if not one.right]}
            for photo, text, claims in zip(photos, texts, checked, strict=True)
        ],
    }


def critique_perplexity(assessor: "AestheticAssessor", critiques: Sequence[tuple[str, str]], batch_size: int = 8) -> float:
    """Perplexity per byte of a checkpoint's language model on what people wrote: question and answer, without a photo."""
    processor = assessor.processor

    def prompt(text: str) -> str:
        turns = [{"role": "user", "content": [{"type": "text", "text": text}]}]
        return processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)

    asked = [(prompt(question), answer) for question, answer in critiques]
    return byte_perplexity(assessor.model, processor.tokenizer, asked, batch_size)


def comments_table(report: Mapping[str, Mapping[str, Any]]) -> str:
    """Reports of [`evaluate_comments`] by name, as Markdown."""
    lines = []
    for name, found in report.items():
        lines += [
            f"## {name}",
            "",
            f"{found['comments']} comments of {found['words']:.1f} words and {found['claims a comment']:.2f} claims, "
            f"{100 * found['without claims']:.0f}% without claims; distinct-2 {found['distinct-2']:.3f}; "
            f"said of another photo too {100 * found['identical']:.1f}%; contradicting themselves "
            f"{100 * found['contradicting themselves']:.1f}%, repeating a claim {100 * found['repeating a claim']:.1f}%.",
            "",
            "| claims about | claims | right, percent | at another photo |",
            "|---|---|---|---|",
        ]
        own, elsewhere = found["precision"], found["at another photo"]
        rows = [(f"**{part}**", own[part], elsewhere[part]) for part in ("all", "main attributes")]
        rows += [(part, one, elsewhere["by attribute"].get(part)) for part, one in own["by attribute"].items()]
        lines += [f"| {part} | {one['claims']} | {_percent(one)} | {_percent(other)} |" for part, one, other in rows]
        lines.append("")
        for corpus, shared in found["shared_ngrams"].items():
            lines.append(
                f"{len(shared['sharing'])} comments share {shared['length']} words in a row with the {corpus}; the longest: "
                f"{shared['longest_ngram']} ({shared['longest_words']!r})."
            )
        lines.append("")
    return "\n".join(lines)


def _percent(found: Mapping[str, Any] | None) -> str:
    if not found or found["precision"] is None:
        return "-"
    low, high = found["interval"]
    return f"{100 * found['precision']:.1f} ({100 * low:.1f}-{100 * high:.1f})"
