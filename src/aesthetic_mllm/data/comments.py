"""Comments that are fit to learn from, and a count of those that are not."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

from .record import Comment

MIN_WORDS, MAX_CHARACTERS = 3, 600
MIN_LETTER_SHARE = 0.75  # of all characters; less is a table, a link or a picture made of signs
# Commonest words: of an English comment of twelve words or more at least this share is among them.
MIN_FUNCTION_SHARE = 0.1
FUNCTION_WORDS = frozenset(
    "the a an of to in on at is are was be it its this that and but or with for as i you your my very not have has would like "
    "more so too from by if there".split()
)
LANGUAGE_WORDS = 12
# What speaks to a person, mostly by name, tells nothing of the photo.
GREETING = re.compile(r"\b(hi|hello|hey|dear|thanks|thank you|congrats|congratulations|welcome)\b", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://|www\.|@\w+|\b\w+@\w+\.\w+", re.IGNORECASE)
_SIGNED = re.compile(r"(?:[-~]+\s*|\b(?i:cheers|regards|best)[,!. ]+)[A-Z]\w+\s*[.!]?$")


def cleaned(text: str) -> str:
    """White space and repeated signs made single."""
    text = " ".join(text.split())
    return re.sub(r"([!?.,])\1{2,}", r"\1", text)


def _is_other_language(text: str) -> bool:
    if not text.isascii() and sum(character.isascii() for character in text) / len(text) < 0.95:
        return True
    words = re.findall(r"[a-z']+", text.lower())
    return len(words) >= LANGUAGE_WORDS and sum(word in FUNCTION_WORDS for word in words) / len(words) < MIN_FUNCTION_SHARE


# In this order; the first that holds is the reason.
REASONS: dict[str, Callable[[str], bool]] = {
    "too short": lambda text: len(text.split()) < MIN_WORDS,
    "too long": lambda text: len(text) > MAX_CHARACTERS,
    "hardly words": lambda text: sum(c.isalpha() or c == " " for c in text) / len(text) < MIN_LETTER_SHARE,
    "other language": _is_other_language,
    "link or address": lambda text: bool(_ADDRESS.search(text)),
    "speaks to a person": lambda text: bool(GREETING.search(text) or _SIGNED.search(text)),
}


def why_unfit(text: str) -> str | None:
    """The first of [`REASONS`] that holds, or `None` for a comment to learn from."""
    return next((reason for reason, holds in REASONS.items() if holds(text)), None)


def clean_comments(comments: Iterable[Comment], dropped: Counter[str] | None = None) -> list[Comment]:
    """The comments to learn from, each once, tidied.

    Args:
        dropped: gets how many were left out for each reason, "repeated" among them.
    """
    counts: Counter[str] = Counter() if dropped is None else dropped
    kept: dict[tuple[str, str], Comment] = {}
    for comment in comments:
        text = cleaned(comment.text)
        reason = why_unfit(text)
        if reason is None and (comment.aspect, text) in kept:
            reason = "repeated"
        if reason:
            counts[reason] += 1
        else:
            kept[comment.aspect, text] = Comment(text, comment.aspect)
    return list(kept.values())
