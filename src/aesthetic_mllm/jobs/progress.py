"""How far a job is, for whoever shows it."""

from collections.abc import Callable
from dataclasses import dataclass

RATING, TRYING_AGAIN, COMPARING = "rating", "trying again", "comparing"
# Photos that are done already are told in such portions, so that a long look through them is seen to go on.
KNOWN_AT_ONCE = 1000


@dataclass(frozen=True)
class Progress:
    """How far a step of a run is.

    Args:
        step: `RATING`; before it, where they are asked for, `TRYING_AGAIN` or `COMPARING` with what was rated before.
        done: photos that this run has done in the step.
        known: photos of the input that earlier runs have done.
        total: photos of the step; `None` where it is not known, as of archives.
    """

    step: str
    done: int
    known: int = 0
    total: int | None = None


Tell = Callable[[Progress], object]


def untold(progress: Progress) -> None:
    """Shows nothing."""


class Counter:
    """Counts what a step has done, and tells.

    Args:
        tell: is told.
        step, total: as of [`Progress`].
    """

    def __init__(self, tell: Tell, step: str, total: int | None):
        self._tell, self._step, self._total = tell, step, total
        self._done = self._known = 0
        self._now()

    def did(self, photos: int = 1) -> None:
        """So many more are done."""
        self._done += photos
        self._now()

    def knew(self) -> None:
        """One more was done before."""
        self._known += 1
        if self._known % KNOWN_AT_ONCE == 0:
            self._now()

    def _now(self) -> None:
        self._tell(Progress(self._step, self._done, self._known, self._total))
