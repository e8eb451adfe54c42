"""How commands end: what was wrongly asked for is a message and not a trace, and Ctrl-C is no error."""

import argparse
import functools
import sys
from collections.abc import Callable

WRONG_USAGE, INTERRUPTED = 2, 130
Run = Callable[[argparse.Namespace], int]


class UsageError(Exception):
    """What a user asked for that there is not; the message is all that is printed."""


def with_exit_codes(run: Run) -> Run:
    """A command whose exit code is 2 for a `UsageError`, which is told on the error stream, and 130 when interrupted."""

    @functools.wraps(run)
    def ends_with_code(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except UsageError as error:
            print(f"aesthetic-mllm {options.command}: {error}", file=sys.stderr)
            return WRONG_USAGE
        except KeyboardInterrupt:
            return INTERRUPTED

    return ends_with_code


def positive(text: str) -> int:
    """The number of an option that must be at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value
