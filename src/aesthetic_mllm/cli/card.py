"""`aesthetic-mllm card`: the model card of a checkpoint, from an evaluation's report."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .usage import UsageError, with_exit_codes

if TYPE_CHECKING:
    from ..publishing.card_metadata import Benchmark

BENCHMARK = re.compile(r"([\w-]+)=([\w.-]+/[\w.-]+):([\w.-]+)")


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "card",
        help="write a checkpoint's model card from a report",
        description="Writes README.md into a checkpoint's folder, and the report beside it. Figures come from the report and the "
        "checkpoint's configurations, prose from card_facts.yaml in the folder, which training writes. An older README.md is "
        "replaced, and results in .eval_results that the report does not have are deleted: what you want to add belongs in a "
        "template of your own or in card_facts.yaml.",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="report.json",
        help="of `aesthetic-mllm evaluate` (default: the folder's; where there is none, the card says that nothing was measured)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="the checkpoint's folder (default: the report's, if it holds a checkpoint)"
    )
    parser.add_argument("--facts", type=Path, metavar="FILE.yaml", help="default: card_facts.yaml in the folder, if it is there")
    parser.add_argument(
        "--template",
        type=Path,
        metavar="FILE.md.j2",
        help='a Jinja template that extends "model_card.md.j2"',
    )
    parser.add_argument("--repo", type=_repository, metavar="NAME/MODEL", help="the id on the Hub that the card's code names")
    parser.add_argument(
        "--benchmark",
        type=_benchmark,
        action="append",
        default=[],
        metavar="DATA=ID:TASK",
        help="the Hub's benchmark that a data set of the report is; writes .eval_results/DATA.yaml; may be repeated",
    )
    parser.set_defaults(run=run, parser=parser)


@with_exit_codes
def run(options: argparse.Namespace) -> int:
    """Writes the card and prints the paths of what was written."""
    from ..modeling.checkpoint_documents import CARD_FACTS, REPORT
    from ..publishing.card import PLACE, write_card
    from ..publishing.card_facts import CardError, CardFacts
    from ..publishing.card_metadata import BENCHMARKS
    from ..publishing.checkpoint_facts import CONFIG
    from ..publishing.report import Report, ReportError

    try:
        if options.report is None and options.output is None:
            raise UsageError("what is the card about? Name a checkpoint's folder with --output, or a report with --report.")
        folder = options.output or options.report.absolute().parent
        path = options.report or folder / REPORT
        report = Report.load(path) if options.report or path.is_file() else None
        if not (folder / CONFIG).is_file():
            raise UsageError(f"{folder} holds no checkpoint ({CONFIG} is missing); name the checkpoint's folder with --output.")
        path = options.facts or folder / CARD_FACTS
        facts = CardFacts.load(path) if options.facts or path.is_file() else CardFacts()
        benchmarks = {**BENCHMARKS, **dict(options.benchmark)}
        for data in dict(options.benchmark):
            if report is None or data not in report.data:
                known = ", ".join(report.data) if report else "nothing, because there is none"
                raise UsageError(f"--benchmark {data}: the report is about {known}.")
        written = write_card(folder, facts, report, place=options.repo or PLACE, template=options.template, benchmarks=benchmarks)
    except (CardError, ReportError) as error:
        raise UsageError(str(error)) from error
    for path in written:
        print(path)
    return 0


def _repository(text: str) -> str:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(text)
    except HFValidationError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no id on the Hub, such as me/mine") from error
    return text


def _benchmark(text: str) -> "tuple[str, Benchmark]":
    from ..publishing.card_metadata import Benchmark

    found = BENCHMARK.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form biq2021=owner/dataset:task")
    return found[1], Benchmark(found[2], found[3])
