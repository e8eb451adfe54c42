"""What is wrong with a comment's claims: not borne out by its photo, contradicting each other, or made twice."""

import itertools
import re

from .claim_rules import COLOUR, contradict
from .comment_claims import find_claims
from .photo_evidence import PhotoEvidence

Fault = tuple[str, ...]  # the kind, then the claims

_COLOUR_WORDS = re.compile(rf"\b(?:{'|'.join(sorted(COLOUR | {'palette', 'cast'}))})|colour")
_COLOURLESS = re.compile(r"\b(?:hardly any|no|without|lack of|lacks|lacking) colours?\b|colourless|monochrome|black and white")


def inner_faults(comment: str) -> set[Fault]:
    """What is wrong whatever the photo shows.

    Returns:
        ("repeated", claim) and ("contradiction", claim, claim).
    """
    claims = find_claims(comment)
    faults: set[Fault] = {("repeated", claim.name) for claim in claims if claim.is_repeated}
    pairs = itertools.combinations((claim.name for claim in claims), 2)
    return faults | {("contradiction", *sorted(pair)) for pair in pairs if contradict(*pair)}


def unfounded_claims(comment: str, evidence: PhotoEvidence) -> set[Fault]:
    """What the photo's measurements do not bear out.

    Returns:
        ("unfounded", claim), and ("colours",) where a comment speaks of the colours of a black-and-white photo, but for saying
        that it has none.
    """
    text = _COLOURLESS.sub("", comment.lower().replace("color", "colour"))
    if _COLOUR_WORDS.search(text) and evidence.grey:
        return {("colours",)} | _unfounded(text, evidence)
    return _unfounded(comment, evidence)


def _unfounded(comment: str, evidence: PhotoEvidence) -> set[Fault]:
    return {("unfounded", claim.name) for claim in find_claims(comment) if not evidence.bears_out(claim.name, claim.is_strong)}
