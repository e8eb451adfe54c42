"""Assessing: everything there is to say about one photo, together."""

from dataclasses import dataclass, field
from typing import Any

from ..processing.rating_scale import Rating
from .suggesting import Suggestion


@dataclass(frozen=True)
class Assessment:
    """What a checkpoint says about one photo.

    Args:
        rating: of the checkpoint's default question, for the embedded one how beautiful the photo is.
        quality: how good it is technically, or `None` where the checkpoint does not answer that.
        attributes: by name, in the checkpoint's order; empty where it rates none.
        comment: in words; empty where the checkpoint was not taught to comment.
        suggestions: what would make the photo better, the most useful first.
    """

    rating: Rating
    quality: Rating | None = None
    attributes: dict[str, Rating] = field(default_factory=dict)
    comment: str = ""
    suggestions: tuple[Suggestion, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The assessment as plain JSON values."""
        return {
            "rating": self.rating.to_dict(),
            "quality": None if self.quality is None else self.quality.to_dict(),
            "attributes": {name: rating.to_dict() for name, rating in self.attributes.items()},
            "comment": self.comment,
            "suggestions": [suggestion.to_dict() for suggestion in self.suggestions],
        }
