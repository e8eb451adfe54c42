"""What an edit is: a named change of a photo with one amount."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image

Level = Literal["low", "middle"]
Verdict = Literal["better", "worse", "equal"]
Apply = Callable[[Image.Image, float, int], Image.Image]
Pair = Callable[[Image.Image, float, int], tuple[Image.Image, Image.Image]]


class EditError(ValueError):
    """An edit that does not exist, or an amount outside its range."""


# Words for the share of an edit's strong amount, each from this share on.
STRENGTH_WORDS = ((0.0, "barely"), (0.3, "slightly"), (0.6, "clearly"), (0.9, "strongly"))


@dataclass(frozen=True)
class Edit:
    """A named, deterministic change of a photo.

    Args:
        name: unique among the edits.
        level: what it changes: "low" (light, colour, detail) or "middle" (composition).
        parameter: what the amount is, such as "exposure".
        unit: the amount's unit, such as "EV".
        range: smallest and largest amount; 0 changes nothing.
        strong, barely: the fixed amounts, without sign, that are called strong and barely visible.
        colour_space: in which it works: "linear" light, "encoded" sRGB, or "none" where no value is computed anew.
        more, less: what a positive and a negative amount do to the photo, as an adjective phrase ("brighter"); `less` is `None`
            where there is no negative amount.
        verdicts: what each direction (more, less) makes of a good photo.
        apply_to: (photo, amount, seed) -> photo.
        undone_by_opposite: the same edit with the opposite amount undoes it, but for what was clipped or cut away.
        in_pretext_samples: `False` keeps the edit out of all self-supervised pretext samples, to test generalisation.
        pair_of: (photo, amount, seed) -> before and after; default the photo itself and what `apply_to` makes of it. Edits of
            the frame show less than the whole photo before, so that they can show more after.
    """

    name: str
    level: Level
    parameter: str
    unit: str
    range: tuple[float, float]
    strong: float
    barely: float
    colour_space: Literal["linear", "encoded", "none"]
    more: str
    less: str | None
    verdicts: tuple[Verdict, Verdict]
    apply_to: Apply
    undone_by_opposite: bool = False
    in_pretext_samples: bool = True
    pair_of: Pair | None = None

    def apply(self, image: Image.Image, amount: float, seed: int = 0) -> Image.Image:
        """The photo with the edit applied: same arguments, same pixels.

        Args:
            image: a photo in RGB.
            amount: within `range`, in `unit`.
            seed: of what is random in the edit.

        Raises:
            EditError: the amount is outside the range.
        """
        self._check(amount)
        return image.copy() if amount == 0 else self.apply_to(image, amount, seed)

    def pair(self, image: Image.Image, amount: float, seed: int = 0) -> tuple[Image.Image, Image.Image]:
        """The photo before and after the edit, made so that nothing but the edit tells them apart.

        Raises:
            EditError: the amount is outside the range.
        """
        self._check(amount)
        if self.pair_of is not None:
            return self.pair_of(image, amount, seed)
        return image, self.apply(image, amount, seed)

    def inverse(self, amount: float) -> float | None:
        """The amount of this edit that undoes it; `None` where nothing does."""
        low, high = self.range
        return -amount if self.undone_by_opposite and low <= -amount <= high else None

    def direction(self, amount: float) -> str:
        """What an amount of this sign does: `more` or `less`."""
        return self.more if amount >= 0 or self.less is None else self.less

    def strength_word(self, amount: float) -> str:
        """One of [`STRENGTH_WORDS`]."""
        share = abs(amount) / self.strong
        return [word for least, word in STRENGTH_WORDS if share >= least][-1]

    def describe(self, amount: float) -> str:
        """Plain words, such as "strongly brighter (exposure +1.20 EV)"."""
        if amount == 0:
            return f"unchanged ({self.parameter} 0 {self.unit})"
        return f"{self.strength_word(amount)} {self.direction(amount)} ({self.parameter} {amount:+.2f} {self.unit})"

    def verdict(self, amount: float) -> Verdict:
        """What the amount makes of a good photo; one that is barely seen makes it neither better nor worse."""
        if abs(amount) < STRENGTH_WORDS[1][0] * self.strong:
            return "equal"
        return self.verdicts[0] if amount >= 0 else self.verdicts[1]

    def _check(self, amount: float) -> None:
        low, high = self.range
        if not low <= amount <= high:
            raise EditError(f"{self.name}: amount {amount} {self.unit} is outside {low} to {high}; choose one within.")
