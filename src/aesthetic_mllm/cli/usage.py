"""How commands end: what was wrongly asked for is a message and not a trace, and Ctrl-C is no error."""

import argparse
import functools
import sys
from collections.abc import Callable
from importlib.util import find_spec

WRONG_USAGE, INTERRUPTED = 2, 130
# What training and pretext samples import of the extra `train`; the recipe of the embedded checkpoint needs gguf too.
TRAIN_PACKAGES = ("accelerate", "datasets", "pandas", "peft", "skimage", "trl")
Run = Callable[[argparse.Namespace], int]


class UsageError(Exception):
    """What a user asked for that there is not; the message is all that is printed."""


def check_train_extra() -> None:
    """Raises a `UsageError` where packages of the extra `train` are missing; before anything long has begun."""
    missing = [name for name in TRAIN_PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(f"not installed: {', '.join(missing)}; install them with pip install 'aesthetic-mllm[train]'.")


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
