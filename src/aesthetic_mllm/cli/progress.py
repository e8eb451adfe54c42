"""How far a command is, on the error stream: a bar on a terminal; for jobs, which take hours, else lines of the log."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..jobs.progress import Progress

Item = TypeVar("Item")
LOG_SECONDS = 30.0
COLUMNS, LINES = 80, 24  # of a terminal that does not say how large it is
logger = logging.getLogger(__name__)


def follow(items: Iterable[Item], total: int, label: str | None = None, unit: str = "it") -> Iterator[Item]:
    """The items; while they come, a bar shows how far they are, their rate and the time left, where there is a terminal."""
    if not sys.stderr.isatty():
        return iter(items)
    from tqdm import tqdm

    return iter(tqdm(items, total=total, desc=label, unit=unit, file=sys.stderr, leave=False, **_size()))


@contextmanager
def job_progress() -> "Iterator[Callable[[Progress], None]]":
    """What shows how far a job is while the context lasts: a bar, or where there is no terminal lines of the log."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from tqdm.contrib.logging import logging_redirect_tqdm

    with logging_redirect_tqdm(), ExitStack() as stack:  # what is logged meanwhile comes above the bar
        yield _Bar(stack)


class _Bar:
    """A bar a step, of which one is there at a time."""

    def __init__(self, stack: ExitStack):
        self._stack, self._step = stack, ""
        self._bar: tqdm[None] | None = None

    def __call__(self, progress: "Progress") -> None:
        from tqdm import tqdm

        if self._bar is None or progress.step != self._step:
            self._stack.close()
            self._step = progress.step
            # Without smoothing the rate is that of the whole run, in which photos that were done before do not count.
            self._bar = tqdm(
                desc=self._step,
                initial=progress.known,
                total=progress.total,
                unit="photo",
                file=sys.stderr,
                leave=False,
                smoothing=0,
                **_size(),
            )
            self._stack.enter_context(self._bar)
        self._bar.initial = progress.known
        self._bar.update(progress.known + progress.done - self._bar.n)


class _Lines:
    """Lines of the log, one at the beginning of a step, then with so many seconds between them at least."""

    def __init__(self) -> None:
        self._step, self._begun, self._told = "", 0.0, 0.0

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if progress.step != self._step:
            self._step, self._begun = progress.step, now
        elif now - self._told < LOG_SECONDS:
            return
        self._told = now
        logger.info("%s: %s", self._step, _said(progress, now - self._begun))


def _said(progress: "Progress", seconds: float) -> str:
    from tqdm import tqdm

    reached = progress.known + progress.done
    of_all = "" if progress.total is None else f" of {progress.total:,}"
    parts = [f"{reached:,}{of_all} photos"]
    if not progress.done or not seconds:
        return parts[0]
    rate = progress.done / seconds
    parts.append(f"{rate:.1f} a second")
    if progress.total is not None:
        parts.append(f"{tqdm.format_interval(max(0, progress.total - reached) / rate)} left")
    return ", ".join(parts)


def _size() -> dict[str, int]:
    """Of the terminal, as `tqdm` takes it, which shows nothing on one that says it has no lines."""
    try:
        columns, lines = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        columns, lines = 0, 0
    return {"ncols": columns or COLUMNS, "nrows": lines or LINES}
