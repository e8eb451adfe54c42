"""Whether comments on photos are true, and how well a checkpoint expects what people write.

A checkpoint comments twice: without looking at measurements, and as it does by default, where a claim is made only if the photo's
measurements bear it out. So that the check does not mark its own work, photos are measured here at another size, by cut points of
other photos measured at that size. Beside the precision of claims ("the light is dark") stands that of the same comments each
held against another photo.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from ..editing.claims.claim_rules import CLAIM_RULES
from ..editing.claims.comment_claims import CheckedClaim, check_claims
from ..editing.claims.comment_faults import inner_faults, unfounded_claims
from ..editing.claims.photo_evidence import PhotoEvidence
from ..editing.measurements import measure
from ..editing.measurements.pool_statistics import PoolStatistics
from ..processing.image_loading import ImageSource, load_image
from .byte_perplexity import byte_perplexity

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


def critique_perplexity(assessor: "AestheticAssessor", critiques: Sequence[tuple[str, str]], batch_size: int = 8) -> float:
    """Perplexity per byte of a checkpoint's language model on what people wrote: question and answer, without a photo."""
    processor = assessor.processor

    def prompt(text: str) -> str:
        turns = [{"role": "user", "content": [{"type": "text", "text": text}]}]
        return processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)

    asked = [(prompt(question), answer) for question, answer in critiques]
    return byte_perplexity(assessor.model, processor.tokenizer, asked, batch_size)
