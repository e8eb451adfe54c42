"""`aesthetic-mllm push`: a checkpoint's folder to the Hub."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..trainers.output_files import ADAPTER, TUNED
from .usage import UsageError, with_exit_codes


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "push",
        help="send a checkpoint to the Hub",
        description="Checks a checkpoint's folder and sends it to the Hugging Face Hub in one commit: weights, configuration, "
        "code, side files, card, licence, report. Where the connection is lost the exit code is 1, and the same command goes on: "
        "files that are there already are not sent again. Log in before with `hf auth login`.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the checkpoint, as save_pretrained writes it")
    parser.add_argument("repository", metavar="REPO", help="OWNER/NAME on the Hub; made where there is none")
    parser.add_argument("--private", action="store_true", help="make the repository private")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--revision", metavar="BRANCH", help="of the repository; made where there is none (default: main)")
    where.add_argument("--create-pr", action="store_true", help="propose it as a pull request")
    parser.add_argument("--adapter", action="store_true", help="FOLDER holds LoRA adapters, or the output of their training")
    parser.add_argument("--dry-run", action="store_true", help="print the files and what the check finds; send nothing")
    parser.add_argument("--message", metavar="TEXT", help="of the commit")
    parser.set_defaults(run=run, parser=parser)


@with_exit_codes
def run(options: argparse.Namespace) -> int:
    """Checks and sends; returns 1 where the connection failed and the same command may succeed."""
    from ..publishing.hub import PushError, check_target, push_folder

    try:
        check_target(options.repository, options.revision)
    except PushError as error:
        raise UsageError(str(error)) from error
    folder, coming = _folder(options)
    from transformers.utils import logging

    from ..publishing.checkpoint_files import folder_files
    from ..publishing.folder_check import NO_RESULTS, check_folder

    logging.disable_progress_bar()  # of the weights that the check loads; what is sent has bars of its own
    files = folder_files(folder).own
    if options.dry_run:
        for name, size in files.items():
            print(f"{_size(size):>10}  {name}")
        print(f"{_size(sum(files.values())):>10}  {len(files)} files")
    problems = [problem for problem in check_folder(folder) if not (coming and problem.what == NO_RESULTS)]
    if problems:
        told = "".join(f"\n- {problem}" for problem in problems)
        raise UsageError(f"{folder} is not ready to be sent:{told}")
    if options.dry_run:
        print(f"{folder} is ready to be sent to {options.repository}. Nothing was sent.")
        return 0
    try:
        pushed = push_folder(
            folder,
            options.repository,
            private=options.private,
            revision=options.revision,
            create_pr=options.create_pr,
            message=options.message,
        )
    except PushError as error:
        if not error.again:
            raise UsageError(str(error)) from error
        print(f"aesthetic-mllm push: {error}", file=sys.stderr)
        return 1
    for name in pushed.deleted:
        print(f"deleted, of an earlier commit: {name}", file=sys.stderr)
    print(pushed.url)
    return 0


def _folder(options: argparse.Namespace) -> tuple[Path, bool]:
    """Where the checkpoint or the adapters are; of a training's output, adapters with the results of the merged checkpoint.

    Returns:
        the folder, and whether it is a dry run of adapters that the results are still to be put beside.

    Raises:
        UsageError: they are not there, or their results are of other weights.
    """
    from ..publishing.adapter_results import merged_results, take_over_results
    from ..publishing.card_facts import CardError
    from ..publishing.checkpoint_files import is_adapters
    from ..publishing.report import ReportError

    folder = options.folder
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name that of a checkpoint.")
    if options.adapter:
        if is_adapters(folder):
            return folder, False
        if is_adapters(folder / ADAPTER):
            places = (folder / TUNED, folder / ADAPTER)
            try:
                coming = options.dry_run and merged_results(*places) is not None
                if not options.dry_run:
                    take_over_results(*places)
            except (CardError, ReportError) as error:
                raise UsageError(str(error)) from error
            if coming:
                print(f"The results of {places[0]} will be put into {places[1] / 'README.md'}, and its report beside it.")
            return places[1], coming
        raise UsageError(f"{folder} holds no adapters (adapter_config.json); leave --adapter out for a whole checkpoint.")
    if is_adapters(folder):
        raise UsageError(f"{folder} holds LoRA adapters; send them with --adapter, or send the merged checkpoint.")
    if not (folder / "config.json").is_file():
        hint = f"; did you mean {folder / TUNED}?" if (folder / TUNED / "config.json").is_file() else "."
        raise UsageError(f"{folder} holds no checkpoint (config.json){hint}")
    return folder, False


def _size(count: int) -> str:
    for unit, divisor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= divisor:
            return f"{count / divisor:.1f} {unit}"
    return f"{count} B"
