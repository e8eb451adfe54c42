"""The command `aesthetic-mllm`."""

import argparse
import logging
from collections.abc import Sequence

from .._version import __version__
from . import (
    assess,
    card,
    comment,
    compare,
    cull,
    evaluate,
    export,
    personalize,
    pretext,
    push,
    rank,
    report,
    score,
    serve,
    suggest,
    train,
    xmp_ratings,
)

# In the order of the help.
COMMANDS = (
    score, assess, comment, suggest, rank, compare, cull, report, xmp_ratings,
    personalize, train, evaluate, card, push, export, serve, pretext,
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; heavy imports wait until a command runs."""
    parser = argparse.ArgumentParser(
        prog="aesthetic-mllm", description="Rates photographs, comments on them, and suggests and applies edits."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more on the error stream")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code: 0 all well, 1 some photos failed, 2 wrong usage, 130 interrupted."""
    options, unknown = build_parser().parse_known_args(arguments)
    overrides = getattr(options, "overrides", None)
    if overrides is not None:  # argparse gives up on what follows an option that follows them
        overrides += [text for text in unknown if "=" in text and not text.startswith("-")]
        unknown = [text for text in unknown if text not in overrides]
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(levelname)s: %(message)s")
    return options.run(options)
