"""A report to read: `report.md`, and `report.html`, one page that needs no network and shows charts and photos."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from . import charts
from .measures import kind_of
from .predictions import Prediction, read_predictions
from .report import Report, Result
from .report_tables import WHOLE, key_figures, measures_used, readable, task_sections, task_title
from .templating import environment
from .thumbnails import Examples, choose_examples

MARKDOWN, PAGE = "report.md", "report.html"
MOST_NAMED = 20  # photos that failed
MOST_SYSTEMS = 3  # in a chart
# What curves of a report show: title, what is at the axes, and a sentence.
CURVES = {
    "calibration": ("Calibration", ("rating", "people's mean"), "On the diagonal, ratings are on average what people gave."),
    "spread": (
        "Calibration of the spread",
        ("rating's standard deviation", "people's"),
        "On the diagonal, a rating's spread is how much people disagree.",
    ),
}


@dataclass(frozen=True)
class Chart:
    """A chart with what is said under it."""

    title: str
    picture: Markup
    caption: str


@dataclass(frozen=True)
class Subject:
    """Charts and photos of one question on one data set."""

    title: str
    anchor: str
    charts: tuple[Chart, ...]
    examples: Examples | None


def write_pages(report: Report, predictions: Path, roots: Mapping[str, Path], output: Path) -> list[Path]:
    """Writes both pages and returns their paths.

    Args:
        predictions: the file of [`read_predictions`]; without it, where it is no file, there are no photos and no dots.
        roots: the folders that the photos' paths are below, by data set.
        output: a folder, made if it does not exist.

    Raises:
        ReportError: the predictions cannot be read.
    """
    rows = list(read_predictions(predictions)) if predictions.exists() else []
    subjects = _subjects(report, rows, roots)
    facts = {
        "report": report,
        "header": _header(report),
        "key_figures": key_figures(report),
        "sections": task_sections(report),
        "failures": _failures(report),
        "measures": measures_used(report),
        "subjects": subjects,
        "shows_photos": any(subject.examples for subject in subjects),
    }
    output.mkdir(parents=True, exist_ok=True)
    made = environment()
    paths = []
    for name in (MARKDOWN, PAGE):
        text = made.get_template(f"{name}.j2").render(facts)
        paths.append(output / name)
        paths[-1].write_text(text, encoding="utf-8")
    return paths


def _header(report: Report) -> list[tuple[str, str]]:
    """What was evaluated, where and how long; what the report does not say is left out."""
    found = report.checkpoint
    parameters = found.get("parameters")
    lines = [
        ("Checkpoint", report.name),
        ("Weights (SHA-256)", str(found.get("digest") or "")),
        ("Parameters", f"{parameters / 1e6:,.1f} million" if parameters else ""),
        ("Computed", ", ".join(str(found[key]) for key in ("dtype", "device") if found.get(key))),
        ("Machine", report.machine),
        ("Versions", ", ".join(f"{name} {version}" for name, version in report.versions.items())),
        ("Date", _date(report.made)),
        ("Time", _minutes(report.seconds)),
    ]
    return [(name, value) for name, value in lines if value]


def _date(made: str) -> str:
    try:
        return datetime.fromisoformat(made).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return made


def _minutes(seconds: Mapping[str, float]) -> str:
    if not seconds:
        return ""
    parts = ", ".join(f"{task_title(task).lower()} {spent / 60:.1f}" for task, spent in seconds.items())
    return f"{sum(seconds.values()) / 60:.1f} minutes" + (f" ({parts})" if len(seconds) > 1 else "")


def _failures(report: Report) -> list[tuple[str, int, list[tuple[str, str]]]]:
    """By data set: how many photos failed, and the first of them with the reason."""
    return [
        (name, len(summary.failed), list(summary.failed.items())[:MOST_NAMED])
        for name, summary in report.data.items()
        if summary.failed
    ]


def _subjects(report: Report, rows: Sequence[Prediction], roots: Mapping[str, Path]) -> list[Subject]:
    """In the report's order of questions, then what only the predictions hold."""
    keys = [(result.data, result.subject) for result in report.find(task="ratings", system=report.name)]
    keys += [(row.data, row.question) for row in rows if row.system == report.name]
    subjects = []
    for data, question in dict.fromkeys(keys):
        own = [row for row in rows if (row.data, row.question, row.system) == (data, question, report.name)]
        title = f"{readable(question)}, {data}"
        shown = _charts(report, own, data, question, title)
        examples = choose_examples(own, roots) if own else None
        if shown or examples:
            anchor = re.sub(r"[^\w-]", "-", f"{question}-{data}")
            subjects.append(Subject(title, anchor, tuple(shown), examples))
    return subjects


def _charts(report: Report, own: Sequence[Prediction], data: str, question: str, title: str) -> list[Chart]:
    made = []
    if own:
        rated, labels = [row.mean for row in own], [row.label for row in own]
        low, high = sorted((own[0].worst, own[0].best))
        caption = "A dot is a photo. Bars: median and middle 80% of the ratings in each stretch of people's means."
        if len(own) > charts.MOST_DOTS:
            caption += f" Not all of the {len(own):,} dots are drawn."
        made.append(Chart("Ratings beside people's", charts.scatter(rated, labels, (low, high), title), caption))
    for name, points in _curves(report.curves.get(f"{data}/{question}")):
        heading, axes, caption = CURVES.get(name, (readable(name).capitalize(), ("rated", "given"), ""))
        bins = [(float(point["rated"]), float(point["given"]), int(point["count"])) for point in points]
        made.append(Chart(heading, charts.calibration(bins, title, axes), f"{caption} Larger dots hold more photos.".strip()))
    parts = [result for result in report.find(task="ratings", data=data, subject=question) if result.part != WHOLE]
    made += _part_chart(parts, report.name, title)
    return made


def _part_chart(parts: Sequence[Result], checkpoint: str, title: str) -> list[Chart]:
    """The first measure of each part, the checkpoint's before the baselines'."""
    names = dict.fromkeys(name for result in parts if result.system == checkpoint for name in result.measures)
    if not names:
        return []
    name = next(iter(names))
    others = [system for system in dict.fromkeys(result.system for result in parts) if system != checkpoint]
    rows = []
    for system in [checkpoint, *others][:MOST_SYSTEMS]:
        for result in parts:
            if result.system == system and name in result.measures:
                measure = result.measures[name]
                low, high = measure.interval or (measure.value, measure.value)
                rows.append(charts.Interval(readable(result.part), system, measure.value, low, high))
    label = kind_of(name).label
    systems = ", ".join(dict.fromkeys(row.group for row in rows))
    caption = f"{label} with 95% intervals. From top to bottom: {systems}." if others else f"{label} with 95% intervals."
    return [Chart("By category", charts.intervals(rows, label, title), caption)]


def _curves(found: Any) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
    """The curves of a question that have points, by name; a list alone is the calibration."""
    if not found:
        return []
    named = found if isinstance(found, Mapping) else {"calibration": found}
    return [
        (str(name), points)
        for name, points in named.items()
        if points and all({"rated", "given", "count"} <= point.keys() for point in points)
    ]
