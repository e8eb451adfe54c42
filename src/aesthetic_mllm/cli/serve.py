"""`aesthetic-mllm serve`: `transformers serve`, which knows nothing of this package when it is started by itself."""

import argparse
from pathlib import Path
from typing import Any

from .usage import UsageError, with_exit_codes


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="serve a checkpoint by `transformers serve`",
        description="Serves a checkpoint by `transformers serve`: chats about photos, and ratings at /v1/systemone. For speed "
        "serve it by vLLM, which needs no command of ours.",
    )
    parser.add_argument("--model", help="folder or Hub id of a checkpoint (default: the embedded one)")
    parser.add_argument("options", nargs="*", metavar="-- OPTIONS", help="of `transformers serve`, such as -- --port 8000")
    parser.set_defaults(run=with_exit_codes(run), parser=parser)


def run(options: argparse.Namespace) -> int:
    """Serves until it is stopped.

    Raises:
        UsageError: there is no such checkpoint, or what `transformers serve` needs is not installed.
    """
    from ..checkpoints import embedded_checkpoint
    from ..serving.transformers_serve import serve

    name = options.model
    if name is not None and "/" not in name and not Path(name).exists():
        raise UsageError(f"--model {name}: there is no such folder. A checkpoint on the Hub is named owner/{name}.")
    try:
        serve(str(name or embedded_checkpoint()), options.options)
    except (ImportError, OSError, ValueError) as error:
        raise UsageError(error) from error
    return 0
