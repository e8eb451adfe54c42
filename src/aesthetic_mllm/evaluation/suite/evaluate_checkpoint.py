"""All that is measured of a checkpoint, into one report."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from ..._version import __version__
from ...data.seen_photos import seen_by_start
from ...publishing.report import DataSummary, Report
from ...publishing.report_pages import MARKDOWN, PAGE, write_pages
from .answer_cache import AnswerCache, Progress, silent
from .attribute_task import ATTRIBUTES, DAMAGE, attribute_findings, damage_findings
from .bench import Bench, Finding, results
from .comment_task import COMMENTS, comment_findings
from .evaluated_data import EvaluatedData, open_all
from .features import TOWER, UNALIGNED
from .label_task import LABEL_EFFICIENCY, label_findings
from .personal_task import PERSONAL, PROBE, personal_findings
from .pick_task import PICK_BEST, pick_findings
from .predictions import Predictions, save_predictions
from .rating_task import MEAN, RATINGS, RIDGE, calibration_curves, predict_baselines, predict_ratings, rating_findings
from .sizes import Sizes
from .suggestion_task import SUGGESTIONS, suggestion_findings
from .system import System

if TYPE_CHECKING:
    from ...inference.assessor import AestheticAssessor

REPORT, PREDICTIONS, CACHE = "report.json", "predictions.jsonl", "cache"
MOST_FAILED = 0.01  # of the photos; of more the evaluation has failed
Task = Callable[[Bench, System, EvaluatedData], list[Finding]]
# In the order in which they run; ratings are made by themselves, because baselines belong to them.
TASKS: Mapping[str, Task] = {
    ATTRIBUTES: attribute_findings,
    PICK_BEST: pick_findings,
    PERSONAL: personal_findings,
    LABEL_EFFICIENCY: label_findings,
    COMMENTS: comment_findings,
    SUGGESTIONS: suggestion_findings,
    DAMAGE: damage_findings,
}
TASK_NAMES = (RATINGS, *TASKS)


class EvaluationError(ValueError):
    """Nothing can be evaluated as it was asked for."""


@dataclass(frozen=True)
class Evaluation:
    """What came of an evaluation.

    Args:
        report: of all figures.
        files: that were written; none without an output folder.
        roots: the folders that the photos' paths are below, by data set.
        notes: what could not be evaluated, and what should be known of the photos, in sentences.
    """

    report: Report
    files: tuple[Path, ...]
    roots: Mapping[str, Path]
    notes: tuple[str, ...]

    @property
    def failed_share(self) -> float:
        """Of the photos that were to be evaluated, 0 to 1."""
        photos = sum(summary.photos + len(summary.failed) for summary in self.report.data.values())
        return sum(len(summary.failed) for summary in self.report.data.values()) / max(photos, 1)

    @property
    def has_failed(self) -> bool:
        """Whether more than [`MOST_FAILED`] of the photos could not be evaluated."""
        return self.failed_share > MOST_FAILED


def evaluate_checkpoint(
    assessor: "AestheticAssessor",
    data: Sequence[Mapping[str, Any]],
    *,
    model: str | os.PathLike[str] | None = None,
    name: str | None = None,
    split: str = "validation",
    tasks: Sequence[str] = TASK_NAMES,
    baselines: Mapping[str, "Callable[[], AestheticAssessor]"] | None = None,
    output: Path | None = None,
    sizes: Sizes | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Measures a checkpoint on photos that it was not trained on.

    With `output`, answers are kept below it as they come, and the same call goes on where an earlier one was stopped.

    Args:
        assessor: of the checkpoint.
        data: entries as of [`find_source`]: `source` and `root`, of one's own table also `range`.
        model: folder or Hub id that the assessor was loaded from; default what its model says.
        name: of the checkpoint in the report; default the folder's last part or the Hub id. One that a baseline has is numbered.
        split: of all data sets.
        tasks: of [`TASK_NAMES`]; what a data set cannot serve is noted and left out.
        baselines: other checkpoints by folder or Hub id, each loaded when it is its turn.
        output: folder for `report.json`, `predictions.jsonl` and the cache; default nothing is written.
        sizes: of the tasks.
        progress: shows how far it is.

    Raises:
        DataError: no such data set or split, or a table that cannot be read.
        EvaluationError: no data, an unknown task, or nothing that the checkpoint can be asked about these data.
    """
    unknown = [task for task in tasks if task not in TASK_NAMES]
    if unknown or not tasks:
        raise EvaluationError(f"{', '.join(unknown) or 'no task'}: choose of {', '.join(TASK_NAMES)}.")
    if not data:
        raise EvaluationError("No data set was named; give at least one, with its folder.")
    if output is not None:
        _check_output(output)
    sizes = sizes or Sizes()
    opened = open_all(data, split, sizes.photos)
    bench = Bench(AnswerCache(None if output is None else output / CACHE, progress), sizes)
    for each in opened:
        if each.passed_over:
            bench.note(
                f"photos missing or with wrong values: {each.passed_over} of {each.name} ({split}); the limit was filled "
                "with others."
            )
    names = {MEAN, RIDGE}
    system = _named_apart(System.of(assessor, model, name), names)
    findings, predictions = _run(bench, system, opened, tasks, with_baselines=True)
    for other, load in (baselines or {}).items():
        compared = _named_apart(System.of(load(), other), names)
        found, predicted = _run(bench, compared, opened, tasks, with_baselines=False)
        findings += found
        predictions += predicted
    if not findings:
        raise EvaluationError(" ".join(["Nothing could be evaluated.", *bench.notes]))
    report = _report(bench, system, opened, findings, predictions)
    for dataset, summary in report.data.items():
        if summary.seen:
            bench.note(
                f"{system.name} was trained on {summary.seen} of the {summary.photos} photos of {dataset} ({summary.split}): "
                "figures on them say nothing of other photos."
            )
    roots = {each.name: each.root for each in opened}
    files: list[Path] = []
    if output is not None:
        files = [output / REPORT, output / PREDICTIONS]
        report.save(files[0])
        save_predictions(predictions, files[1])
        files += write_pages(report, files[1], roots, output)
    return Evaluation(report, tuple(files), roots, tuple(bench.notes))


def _check_output(output: Path) -> None:
    """Before anything long has begun, because a report is written at the end."""
    for name in (REPORT, PREDICTIONS, MARKDOWN, PAGE):
        if (output / name).is_dir():
            raise EvaluationError(f"{output / name} is a folder, where a file is to be written; name another output folder.")
    if (output / CACHE).exists() and not (output / CACHE).is_dir():
        raise EvaluationError(f"{output / CACHE} is a file, where a folder is to keep the answers; name another output folder.")


def _run(
    bench: Bench, system: System, opened: Sequence[EvaluatedData], tasks: Sequence[str], with_baselines: bool
) -> tuple[list[Finding], list[Predictions]]:
    findings: list[Finding] = []
    predictions: list[Predictions] = []
    for data in opened:
        if RATINGS in tasks:
            with bench.timed(RATINGS):
                for own in predict_ratings(bench, system, data):
                    made = [own, *(predict_baselines(bench, system, own) if with_baselines else ())]
                    predictions += made
                    findings += [finding for each in made for finding in rating_findings(each)]
        for task, measure in TASKS.items():
            if task in tasks:
                with bench.timed(task):
                    findings += measure(bench, system, data)
    return findings, predictions


def _report(
    bench: Bench,
    system: System,
    opened: Sequence[EvaluatedData],
    findings: Sequence[Finding],
    predictions: Sequence[Predictions],
) -> Report:
    seen = seen_by_start(system.folder, opened[0].split, {data.name: range(data.photos) for data in opened})
    order = list(TASK_NAMES)
    ordered = sorted(findings, key=lambda finding: order.index(finding.task))
    return Report(
        checkpoint=system.describe(),
        versions={
            "aesthetic_mllm": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        machine=_machine(system.assessor.model.device),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds={task: round(bench.seconds[task], 1) for task in TASK_NAMES if task in bench.seconds},
        data={
            data.name: DataSummary(
                data.split,
                data.photos - len(data.failed),
                dict(sorted(data.failed.items())),
                seen[data.name]["seen"],
                data.source.licence,
                data.source.url if data.source.url.startswith("http") else "",
            )
            for data in opened
        },
        results=results(ordered, system.name),
        curves={
            f"{each.data.name}/{each.question}": calibration_curves(each) for each in predictions if each.system == system.name
        },
    )


def _machine(device: torch.device) -> str:
    """Such as "Linux x86_64, 2 cores, 1 thread"."""
    threads = torch.get_num_threads()
    parts = [f"{platform.system()} {platform.machine()}", f"{os.cpu_count()} cores", f"{threads} thread{'s' * (threads != 1)}"]
    if device.type == "cuda":
        parts.append(torch.cuda.get_device_name(device))
    return ", ".join(parts)


def _named_apart(system: System, used: set[str]) -> System:
    """The system, its name numbered where it, or what the tasks call its variants, is used; adds all of them to these."""
    number, name = 1, system.name
    while not used.isdisjoint(names := {name, *(f"{variant}, {name}" for variant in (PROBE, TOWER, UNALIGNED))}):
        number += 1
        name = f"{system.name}-{number}"
    used |= names
    return replace(system, name=name)
