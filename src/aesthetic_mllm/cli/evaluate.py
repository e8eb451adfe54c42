"""`aesthetic-mllm evaluate`: a checkpoint and data sets to a report."""

import argparse
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .judging import load_assessor
from .progress import follow
from .usage import UsageError, check_train_extra, positive, with_exit_codes

if TYPE_CHECKING:
    from ..evaluation.suite.evaluate_checkpoint import Evaluation
    from ..inference.assessor import AestheticAssessor
    from ..publishing.report import Measure, Report, Result

# Kept in step with `evaluate_checkpoint.TASK_NAMES` by a test: it is not imported for --help.
TASKS = (
    "ratings", "attributes", "pick_best", "personal", "label_efficiency", "comments", "suggestions", "damage"
)  # fmt: skip
OUTPUT = Path("evaluation")
NAMED = 5  # failed photos, on the error stream


def add_parser(commands: Any) -> None:
    """Adds the command to the parser's commands."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a checkpoint on rated photos",
        description="Measures a checkpoint on photos that people rated, beside baselines, and writes a report. Started again "
        "with the same output folder, it goes on where it was stopped. The exit code is 1 where more than 1% of the "
        "photos failed.",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        action="extend",
        required=True,
        metavar="SOURCE=FOLDER",
        help="data sets and where they lie, such as ava=photos/ava; own=TABLE.csv is your own table",
    )
    parser.add_argument("--split", default="validation", help="of every data set: train, validation (default) or test")
    parser.add_argument("--model", help="folder or Hub id of a checkpoint (default: the embedded one)")
    parser.add_argument(
        "--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK", help=f"(default: all) {', '.join(TASKS)}"
    )
    parser.add_argument(
        "--baseline",
        nargs="+",
        action="extend",
        default=[],
        metavar="CHECKPOINT",
        help="other checkpoints to compare with, by folder or Hub id",
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help=f"folder of the report (default: {OUTPUT})")
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="at most N photos, people or series in each part of each task"
    )
    parser.add_argument(
        "--train-photos",
        type=positive,
        metavar="N",
        help="at most N training photos that baselines are fitted on (default: 2000)",
    )
    own = parser.add_argument_group("of own=TABLE.csv")
    own.add_argument("--range", metavar="LOW,HIGH", help="from what to what its ratings go, such as 1,10")
    own.add_argument("--columns", metavar="OURS=THEIRS,...", help="its names of columns, such as image=file_name,mean=mos")
    own.add_argument("--question", help="what its ratings answer (default: aesthetic)")
    own.add_argument("--higher-is-worse", action="store_true", help="the lowest rating is the best")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="(default: float32)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the GPU where there is one)")
    parser.set_defaults(run=with_exit_codes(run), parser=parser)


def run(options: argparse.Namespace) -> int:
    """Writes the report and prints its key figures."""
    entries = [data_entry(text, options) for text in options.data]
    check_train_extra()
    from ..data.record import DataError
    from ..evaluation.suite.evaluate_checkpoint import EvaluationError, evaluate_checkpoint
    from ..evaluation.suite.sizes import Sizes
    from ..processing.rating_scale import RatingScaleError

    for name in options.baseline:
        _check_baseline(name)
    sizes = Sizes() if options.train_photos is None else Sizes(train=options.train_photos)
    try:
        evaluation = evaluate_checkpoint(
            load_assessor(options),
            entries,
            model=options.model,
            split=options.split,
            tasks=options.tasks,
            baselines={name: partial(_baseline, options, name) for name in options.baseline},
            output=_writable(options.output),
            sizes=sizes.at_most(options.limit),
            progress=follow,
        )
    except (DataError, EvaluationError, RatingScaleError) as error:
        raise UsageError(error) from error
    except OSError as error:
        raise UsageError(
            f"{error.filename or 'a file'}: {error.strerror or error}. The same command goes on from here."
        ) from error
    except KeyboardInterrupt:
        print("Interrupted. The same command goes on from here.", file=sys.stderr)
        raise
    for line in table(evaluation.report):
        print(line)
    for path in evaluation.files:
        print(path)
    return _tell(evaluation)


def data_entry(text: str, options: argparse.Namespace) -> dict[str, Any]:
    """SOURCE=FOLDER as an entry of a recipe.

    Raises:
        UsageError: it has another form, or options of one's own table are missing or wrong.
    """
    source, equals, root = text.partition("=")
    if not equals or not source or not root:
        raise UsageError(f"--data {text}: write a data set and its folder, such as biq2021=photos/biq2021.")
    entry: dict[str, Any] = {"source": source, "root": root}
    if source != "own":
        return entry
    if options.range is None:
        raise UsageError(f"--data {text}: say from what to what its ratings go, such as --range 1,10.")
    try:
        low, high = (float(value) for value in options.range.split(","))
    except ValueError as error:
        raise UsageError(f"--range {options.range}: expected two numbers, such as 1,10.") from error
    entry["range"] = [low, high]
    if options.columns is not None:
        pairs = [pair.partition("=") for pair in options.columns.split(",")]
        if not all(ours and equals and theirs for ours, equals, theirs in pairs):
            raise UsageError(f"--columns {options.columns}: write our names and the table's, such as image=file_name,mean=mos.")
        entry["columns"] = {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
    if options.question is not None:
        entry["question"] = options.question
    return entry | ({"higher_is_worse": True} if options.higher_is_worse else {})


def _check_baseline(name: str) -> None:
    """Before the checkpoint is asked anything: baselines are loaded when it is their turn, after hours."""
    from transformers.utils import cached_file

    from ..checkpoints.names import resolve_name

    folder = resolve_name(name)
    if "/" not in folder and not Path(folder).exists():  # asking the Hub for it would take a minute
        raise UsageError(f"--baseline {name}: there is no such folder. A checkpoint on the Hub is named owner/{name}.")
    try:
        cached_file(folder, "config.json")
    except (OSError, ValueError) as error:
        raise UsageError(f"--baseline {name} cannot be loaded. {error}") from error


def _baseline(options: argparse.Namespace, name: str) -> "AestheticAssessor":
    from ..checkpoints.names import resolve_name

    return load_assessor(
        argparse.Namespace(model=resolve_name(name), dtype=options.dtype, device=options.device, named_by="--baseline")
    )


def _writable(output: Path) -> Path:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the output folder {output} cannot be made ({error.strerror}).") from error
    return output


def table(report: "Report") -> list[str]:
    """The key figures, a line each: task, data, subject, the checkpoint's figure with its interval, the baselines'."""
    rows = [("task", "data", "subject", "figure", report.name, "baselines")]
    for result in report.find(system=report.name):
        if _is_key(result):
            name, measure = next(iter(result.measures.items()))
            others = [
                f"{other.system} {_written(name, other.measures[name], False)}"
                for other in report.find(task=result.task, data=result.data, subject=result.subject, part=result.part)
                if other.system != report.name and name in other.measures
            ]
            subject = result.subject if result.part == "all" else f"{result.subject}, {result.part}"
            rows.append((result.task, result.data, subject, _label(name), _written(name, measure), "; ".join(others)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _is_key(result: "Result") -> bool:
    """Whether a result is among those that are printed: no single categories, attributes and edits."""
    if result.task == "ratings":
        return result.part == "all"
    if result.task == "attributes":
        return result.subject == "all" or result.subject.endswith(", people")
    if result.task == "damage":
        return ", " not in result.subject and result.part == "strong"
    return True


def _label(name: str) -> str:
    from ..publishing.measures import MEASURES

    return MEASURES[name].label


def _written(name: str, measure: "Measure", interval: bool = True) -> str:
    from ..publishing.measures import MEASURES
    from ..publishing.report import Measure

    return MEASURES[name].write(measure if interval else Measure(measure.value))


def _tell(evaluation: "Evaluation") -> int:
    """What should be known of the figures, on the error stream; returns the exit code."""
    for note in evaluation.notes:
        _say(note)
    for name, summary in evaluation.report.data.items():
        if summary.failed:
            some = [f"{shlex.quote(photo)} ({reason.rstrip('.')})" for photo, reason in list(summary.failed.items())[:NAMED]]
            more = ", ..." if len(summary.failed) > NAMED else ""
            photos = summary.photos + len(summary.failed)
            _say(f"{len(summary.failed)} of {photos} photos of {name} failed: {', '.join(some)}{more}")
    if not evaluation.has_failed:
        return 0
    _say(
        f"{evaluation.failed_share:.1%} of the photos failed, more than 1%: the figures are of the others. Mend the photos, and "
        "run the command again."
    )
    return 1


def _say(text: str) -> None:
    print(f"aesthetic-mllm evaluate: {text}", file=sys.stderr)
