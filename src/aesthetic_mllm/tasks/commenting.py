"""Commenting: what is good or bad about a photo, in whole or in one aspect, in words."""

from dataclasses import dataclass

from ..processing.rating_scale import ATTRIBUTE_QUESTIONS
from .scoring import Words


class CommentingError(ValueError):
    """A style or an aspect that comments do not have, or a checkpoint that was not taught to comment."""


@dataclass(frozen=True)
class CommentStyle:
    """How long a comment is.

    Args:
        request: what the prompt says of it, after "Comment on this photo".
        sentences: fewest and most of them.
        max_new_tokens: enough for nearly every comment of this style, with room to spare.
    """

    request: str
    sentences: tuple[int, int]
    max_new_tokens: int


STYLES: dict[str, CommentStyle] = {
    "brief": CommentStyle(" in one sentence", (1, 1), 40),
    "detailed": CommentStyle(" in detail", (2, 4), 80),
}
# The attributes that a photo is rated by, and how a prompt names them.
ASPECTS: dict[str, str] = {key: key.replace("_", " ") for key in ATTRIBUTE_QUESTIONS}
PROMPT = "Comment on this photo{style}."
ASPECT_PROMPT = "Comment on the {aspect} of this photo{style}."


def comment_prompt(aspect: str | None = "", style: str | None = None) -> str:
    """How a comment is asked for.

    Args:
        aspect: one of [`ASPECTS`]; "" or `None` for the whole photo. Without a style also what data sets have, such as
            "colour_and_lighting".
        style: one of [`STYLES`]; `None` leaves the length open, as data sets do.

    Raises:
        CommentingError: no such style; with a style, no such aspect.
    """
    if style is None:
        name, request = (aspect or "").replace("_", " ").lower(), ""
    else:
        check_style(style)
        check_aspect(aspect)
        name, request = ASPECTS[aspect] if aspect else "", STYLES[style].request
    return ASPECT_PROMPT.format(aspect=name, style=request) if name else PROMPT.format(style=request)


def comment_words(text: str, aspect: str | None = "", style: str | None = None) -> Words:
    """A comment as question and answer; raises as [`comment_prompt`]."""
    return Words(comment_prompt(aspect, style), text)


def check_style(style: str) -> None:
    """Raises `CommentingError` for a style that is none of [`STYLES`]."""
    if style not in STYLES:
        raise CommentingError(f"No style {style!r} of comments; choose of {', '.join(STYLES)}.")


def check_aspect(aspect: str | None) -> None:
    """Raises `CommentingError` for an aspect that is none of [`ASPECTS`]; none at all is the whole photo."""
    if aspect and aspect not in ASPECTS:
        raise CommentingError(f"No aspect {aspect!r} to comment on; choose of {', '.join(ASPECTS)}, or none for the whole photo.")
