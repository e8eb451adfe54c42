"""Commenting: what is good or bad about a photo, in whole or in one aspect, in words."""

from .scoring import Words

PROMPT = "Comment on this photo."
ASPECT_PROMPT = "Comment on the {aspect} of this photo."


def comment_prompt(aspect: str = "") -> str:
    """How a comment is asked for; `aspect` such as "composition" or "colour_and_lighting", "" for the whole photo."""
    return ASPECT_PROMPT.format(aspect=aspect.replace("_", " ").lower()) if aspect else PROMPT


def comment_words(text: str, aspect: str = "") -> Words:
    """A comment as question and answer."""
    return Words(comment_prompt(aspect), text)
