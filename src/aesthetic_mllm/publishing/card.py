"""A checkpoint's model card, written from a report and the checkpoint's own files, and the files that travel with it."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from jinja2 import TemplateError
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError

from ..checkpoints import embedded_checkpoint
from ..modeling.checkpoint_documents import CARD, LICENCE, REPORT, RESULT_FOLDER
from .card_facts import CardError, CardFacts
from .card_metadata import BENCHMARKS, Benchmark, benchmark_files, card_metadata
from .checkpoint_facts import CheckpointFacts
from .report import Report, Result
from .report_tables import (
    WHOLE,
    Table,
    TaskSection,
    data_table,
    measures_used,
    readable,
    result_table,
    task_meaning,
    task_title,
)
from .templating import environment

TEMPLATE = "model_card.md.j2"
EMBEDDED = "the embedded checkpoint of aesthetic-mllm"  # as `CardFacts.start`
PLACE = "path/to/this/folder"  # what a card calls its own folder
# What a card shows of each task; the report has the rest.
MEASURES_SHOWN = {
    "ratings": ("srcc", "plcc"),
    "attributes": ("srcc", "partial_srcc"),
    "suggestions": ("inverse_first", "inverse_in_three", "nearer", "left_alone"),
    "comments": ("claim_precision", "claims", "identical"),
    "pick_best": ("picked",),
    "label_efficiency": ("srcc",),
}
MOST_MEASURES = 3  # of other tasks
PARTS_SHOWN = {"ratings": (WHOLE,), "suggestions": (WHOLE,), "damage": (WHOLE, "strong")}


def render_card(
    checkpoint: CheckpointFacts,
    facts: CardFacts,
    report: Report | None = None,
    *,
    name: str = "",
    place: str = PLACE,
    template: Path | None = None,
) -> str:
    """The text of README.md.

    Args:
        report: of an evaluation; without it the card says that nothing was measured.
        name: of the checkpoint, where neither facts nor report name it.
        place: what `from_pretrained` is told in the card's code: the folder, or an id on the Hub.
        template: a Jinja template that extends "model_card.md.j2" and overrides some of its blocks.

    Raises:
        CardError: the template cannot be read or rendered.
    """
    title = facts.title or (report.name if report else "") or name or "A checkpoint of aesthetic-mllm"
    made = environment()
    try:
        text = None if template is None else template.read_text(encoding="utf-8")
        chosen = made.get_template(TEMPLATE) if text is None else made.from_string(text)
        body = chosen.render(
            title=title,
            checkpoint=checkpoint,
            facts=facts,
            report=report,
            sections=_sections(report) if report else [],
            parts=list(_by_part(report)) if report else [],
            measures=measures_used(_reduced(report)) if report else [],
            place=place,
            embedded=EMBEDDED,
        )
    except TemplateNotFound as error:
        raise CardError(f"{template}: there is no template {error.name}; the one to extend is {TEMPLATE}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"{template}: cannot be read ({error}).") from error
    except TemplateSyntaxError as error:
        raise CardError(f"{template}, line {error.lineno}: {error.message}.") from error
    except TemplateError as error:
        raise CardError(f"{template}: {error.message}.") from error
    except Exception as error:  # a template may hold any expression
        raise CardError(f"{template or TEMPLATE}: cannot be rendered ({type(error).__name__}: {error}).") from error
    return f"---\n{card_metadata(facts, title, report)}\n---\n\n{body.strip()}\n"


def write_card(
    folder: Path,
    facts: CardFacts,
    report: Report | None = None,
    *,
    place: str = PLACE,
    template: Path | None = None,
    benchmarks: Mapping[str, Benchmark] = BENCHMARKS,
) -> list[Path]:
    """Writes README.md, report.json, `.eval_results/*.yaml`, and the licence where it is known and missing, into a folder.

    Results in `.eval_results` that are not of this report are deleted.
    The licence is known of what was trained from the embedded checkpoint, whose terms then hold.

    Args:
        folder: of the checkpoint.
        place: see [`render_card`], as of `template`.
        benchmarks: ids of data sets on the Hub, by the report's names.

    Returns:
        the files that were written.

    Raises:
        CardError: the folder holds no checkpoint, the report is about other weights, or the template cannot be rendered.
    """
    checkpoint = CheckpointFacts.read(folder)
    if report is not None:
        check_digest(checkpoint, report, folder)
    files = {folder / CARD: render_card(checkpoint, facts, report, name=folder.name, place=place, template=template)}
    if report is not None:
        files |= {folder / RESULT_FOLDER / name: text for name, text in benchmark_files(report, benchmarks).items()}
    written = list(files)
    if report is not None:  # first, because it may hold what cannot be written
        report.save(folder / REPORT)
        written.append(folder / REPORT)
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in (folder / RESULT_FOLDER).glob("*.yaml"):
        if path not in files:  # of an older report
            path.unlink()
    if facts.start == EMBEDDED and not (folder / LICENCE).exists():
        shutil.copyfile(embedded_checkpoint() / LICENCE, folder / LICENCE)
        written.append(folder / LICENCE)
    return written


def check_digest(checkpoint: CheckpointFacts, report: Report, folder: Path) -> None:
    """Raises [`CardError`] where a report's figures are those of other weights than a folder holds, or of nobody knows which."""
    measured = str(report.checkpoint.get("digest") or "")
    if checkpoint.digest and not measured:
        raise CardError(f"{folder}: the report does not say which weights it is about (checkpoint.digest); evaluate these.")
    if measured and checkpoint.digest and measured != checkpoint.digest:
        raise CardError(
            f"{folder}: the report is about other weights (SHA-256 {measured[:12]}, here {checkpoint.digest[:12]}); evaluate "
            "this checkpoint, or name the folder that was evaluated."
        )


def _sections(report: Report) -> list[TaskSection]:
    """A table for each task that has something to show."""
    shown = _reduced(report).results
    tasks = dict.fromkeys(result.task for result in shown)
    found = {task: [result for result in shown if result.task == task] for task in tasks}
    return [
        TaskSection(task, task_title(task), task_meaning(task), (_table(results, report.name),))
        for task, results in found.items()
    ]


def _table(results: list[Result], checkpoint: str) -> Table:
    """Of a task; the data sets side by side where one figure is all there is."""
    names = {name for result in results for name in result.measures}
    systems = {result.system for result in results}
    several = len({result.data for result in results}) > 1
    if several and len(names) == len(systems) == 1 and not any(result.differences for result in results):
        return data_table(results, names.pop())
    return result_table(results, "", checkpoint, beside=True)


def _reduced(report: Report) -> Report:
    """What a card shows of a report: a few measures and parts, and of baselines the rows of ratings alone."""
    kept = [
        result
        for result in report.results
        if (result.system == report.name or result.task == "ratings")
        and result.part in PARTS_SHOWN.get(result.task, (result.part,))
        and not (result.task in ("damage", "comments") and "," in result.subject)  # single edits, unchecked comments
    ]
    fewer = (_with_fewer_measures(result) for result in kept)
    return replace(report, results=tuple(result for result in fewer if result.measures))


def _with_fewer_measures(result: Result) -> Result:
    wanted = MEASURES_SHOWN.get(result.task) or tuple(result.measures)[:MOST_MEASURES]
    names = [name for name in wanted if name in result.measures]
    return replace(
        result,
        measures={name: result.measures[name] for name in names},
        differences={
            baseline: {name: found[name] for name in names[:1] if name in found} for baseline, found in result.differences.items()
        },
    )


def _by_part(report: Report) -> Iterable[str]:
    """Such as "SRCC by part of biq2021, quality: ss01 0.90 (0.88 to 0.92), ss02 0.44 (0.31 to 0.55)"."""
    found = [result for result in report.find(task="ratings", system=report.name) if result.part != WHOLE]
    for data, subject in dict.fromkeys((result.data, result.subject) for result in found):
        parts = [result for result in found if (result.data, result.subject) == (data, subject) and "srcc" in result.measures]
        if parts:
            figures = ", ".join(f"{readable(one.part)} {_brief(one)}" for one in parts)
            yield f"SRCC by part of {data}, {readable(subject)}: {figures}."


def _brief(result: Result) -> str:
    measure = result.measures["srcc"]
    return f"{measure.value:.2f}" + (" ({:.2f} to {:.2f})".format(*measure.interval) if measure.interval else "")
