"""How many photos, people and texts each task takes."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Sizes:
    """Of each data set. Parts are chosen by a hash of the photo's name: always the same, and of fewer a part of the more.

    Args:
        photos: that are rated; `None`: all of the split.
        train: of the source's training photos, that baselines are fitted on.
        damaged: put through the damage exam, of some sixty views each.
        suggestions: damaged, and asked suggestions for.
        undamaged: asked suggestions for as they are.
        comments: commented on, in each style.
        comment_pool: whose measurements say what is usual.
        series: of each kind, that the best photo is picked of.
        people: whose ratings are predicted; `None`: all of the protocol.
        label_draws: how often a share of the labels is drawn.
    """

    photos: int | None = None
    train: int = 2_000
    damaged: int = 8
    suggestions: int = 24
    undamaged: int = 12
    comments: int = 24
    comment_pool: int = 150
    series: int = 30
    people: int | None = None
    label_draws: int = 3

    def at_most(self, limit: int | None) -> "Sizes":
        """No number of photos or people above a limit."""
        if limit is None:
            return self
        names = [field.name for field in fields(self) if field.name != "label_draws"]
        found = {name: getattr(self, name) for name in names}
        return replace(self, **{name: limit if size is None else min(size, limit) for name, size in found.items()})
