"""The figures of a report as tables: one for each task and data set, whatever was measured there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .measures import kind_of
from .report import Measure, Report, Result, systems

# What the tasks are called, and what was done in each.
TASKS = {
    "ratings": ("Ratings", "Ratings of photos beside the mean of people's ratings."),
    "attributes": ("Attributes", "Ratings of single attributes beside people's, and beside the whole rating."),
    "damage": ("Attributes under damage", "Whether an attribute is rated lower once a known edit has damaged it."),
    "pick_best": ("Best of a series", "Whether the best photo of a few is picked, whatever the order they are shown in."),
    "suggestions": ("Suggestions", "Good photos are damaged by one known edit; the suggestions should undo it."),
    "comments": ("Comments", "What comments claim of a photo, beside what measurements of the photo show."),
    "personal": ("Personal ratings", "Ratings of single people who were held out, from k of their own ratings."),
    "label_efficiency": ("Few labels", "What is reached from a share of the labels."),
}
WHOLE = "all"  # the part that is the whole data set
MOST_BESIDE = 3  # columns of differences that stand beside the figures


@dataclass(frozen=True)
class Cell:
    """A figure as it is written, and its interval, which may be empty."""

    value: str = ""
    interval: str = ""

    def __str__(self) -> str:
        return f"{self.value} ({self.interval})" if self.interval else self.value


@dataclass(frozen=True)
class Row:
    """Of a table.

    Args:
        labels: whose figures they are.
        cells: the figures; an empty one was not measured.
        of_checkpoint: whether they are the evaluated checkpoint's, not a baseline's.
    """

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    of_checkpoint: bool = True


@dataclass(frozen=True)
class Table:
    """Figures of one task on one data set.

    Args:
        title: what it shows.
        note: what holds for all of its rows, such as "1,000 photos".
        label_heads, heads: of the columns, as long as the rows' `labels` and `cells`.
    """

    title: str
    note: str
    label_heads: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class TaskSection:
    """All tables of a task."""

    task: str
    title: str
    meaning: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class KeyFigure:
    """A figure to begin with, and what it is beside the baselines.

    Args:
        label: such as "quality, biq2021".
        measure: its name in tables.
        baselines: by system their figure, and the difference to it where that was measured.
    """

    label: str
    measure: str
    cell: Cell
    count: str
    baselines: tuple[tuple[str, Cell, Cell], ...]


def task_sections(report: Report) -> list[TaskSection]:
    """The whole report, in its own order."""
    sections = []
    for task in dict.fromkeys(result.task for result in report.results):
        found = report.find(task=task)
        tables: list[Table] = []
        for data in dict.fromkeys(result.data for result in found):
            tables += _tables([result for result in found if result.data == data], data, report.name)
        _, meaning = TASKS.get(task, ("", ""))
        sections.append(TaskSection(task, task_title(task), meaning, tuple(tables)))
    return sections


def key_figures(report: Report) -> list[KeyFigure]:
    """The first figure of the checkpoint in each task and data set, of ratings for each question."""
    figures, shown = [], set()
    for result in report.results:
        key = (result.task, result.data, result.subject if result.task == "ratings" else "")
        if result.system != report.name or result.part != WHOLE or not result.measures or key in shown:
            continue
        shown.add(key)
        name, measure = next(iter(result.measures.items()))
        others = []
        for other in report.find(task=result.task, data=result.data, subject=result.subject, part=result.part):
            if other.system != report.name and name in other.measures:
                difference = result.differences.get(other.system, {}).get(name)
                others.append((other.system, _cell(name, other.measures[name]), _cell(name, difference, signed=True)))
        topic = readable(result.subject)
        if result.task != "ratings":
            topic = f"{task_title(result.task)}: {topic}"
        label = f"{topic}, {result.data}"
        figures.append(KeyFigure(label, kind_of(name).label, _cell(name, measure), counted(result), tuple(others)))
    return figures


def measures_used(report: Report) -> list[tuple[str, str]]:
    """Label and meaning of every figure of a report that has a meaning."""
    names = dict.fromkeys(name for result in report.results for name in result.measures)
    return [(kind_of(name).label, kind_of(name).meaning) for name in names if kind_of(name).meaning]


def task_title(task: str) -> str:
    """What a task is called; one that nobody knows by its own name."""
    return TASKS[task][0] if task in TASKS else readable(task).capitalize()


def readable(name: str) -> str:
    """A key such as "pick_best" in words; a name with other characters is left as it is."""
    return name.replace("_", " ") if name.replace("_", "").isalnum() else name


def counted(result: Result) -> str:
    """Such as "1,000 photos"."""
    return f"{result.count:,} {result.unit}"


def _tables(results: Sequence[Result], data: str, checkpoint: str) -> list[Table]:
    """Of one task and data set: the whole, its parts, and the differences to baselines."""
    whole = [result for result in results if result.part == WHOLE]
    parts = [result for result in results if result.part != WHOLE]
    tables = []
    for group, title in ((whole, data), (parts, f"{data}, by part" if whole else data)):
        if group:
            tables += _with_differences(group, title, checkpoint)
    return tables


def _with_differences(results: Sequence[Result], title: str, checkpoint: str) -> list[Table]:
    """The figures, and the differences to baselines in the same rows, or in a table of their own where they are many."""
    if len(_compared(results)) <= MOST_BESIDE:
        return [_table(results, title, checkpoint, beside=True)]
    return [_table(results, title, checkpoint), *_differences(results, title)]


def _table(results: Sequence[Result], title: str, checkpoint: str, beside: bool = False) -> Table:
    results = _together(results)
    names = list(dict.fromkeys(name for result in results for name in result.measures))
    one_unit = len({result.unit for result in results}) == 1
    labels = [
        (readable(result.subject), result.part, result.system, f"{result.count:,}" if one_unit else counted(result))
        for result in results
    ]
    heads = ("what", "part", "system", results[0].unit if one_unit else "of")
    kept = [column for column in range(4) if len({row[column] for row in labels}) > 1] or [2]
    same = [labels[0][column] for column in (0, 1) if column not in kept and labels[0][column] != WHOLE]
    if 3 not in kept:
        same.append(counted(results[0]))
    pairs = _compared(results) if beside else []
    rows = tuple(
        Row(
            tuple(label[column] for column in kept),
            (
                *(_cell(name, result.measures.get(name)) for name in names),
                *(_cell(name, result.differences.get(baseline, {}).get(name), signed=True) for baseline, name in pairs),
            ),
            result.system == checkpoint,
        )
        for label, result in zip(labels, results, strict=True)
    )
    figure_heads = [kind_of(name).label for name in names]
    figure_heads += [f"{kind_of(name).label} less {baseline}'s" for baseline, name in pairs]
    return Table(title, ", ".join(same), tuple(heads[column] for column in kept), tuple(figure_heads), rows)


def _differences(results: Sequence[Result], title: str) -> list[Table]:
    """What the systems reach beyond the baselines; no table where nothing was compared."""
    pairs = [(result, baseline) for result in _together(results) for baseline in result.differences]
    if not pairs:
        return []
    names = list(dict.fromkeys(name for result, baseline in pairs for name in result.differences[baseline]))
    several = len(systems(result for result, _ in pairs)) > 1
    labels = [
        (readable(result.subject), result.part, f"{result.system} less {baseline}" if several else f"less {baseline}")
        for result, baseline in pairs
    ]
    kept = [column for column in range(3) if column == 2 or len({row[column] for row in labels}) > 1]
    rows = tuple(
        Row(
            tuple(label[column] for column in kept),
            tuple(_cell(name, result.differences[baseline].get(name), signed=True) for name in names),
        )
        for label, (result, baseline) in zip(labels, pairs, strict=True)
    )
    heads = ("what", "part", "difference")
    note = "differences between systems on the same photos or people, paired"
    return [
        Table(
            f"{title}: beside the baselines",
            note,
            tuple(heads[column] for column in kept),
            tuple(kind_of(name).label for name in names),
            rows,
        )
    ]


def _compared(results: Iterable[Result]) -> list[tuple[str, str]]:
    """Baselines and measures that there are differences of."""
    pairs = ((baseline, name) for result in results for baseline, found in result.differences.items() for name in found)
    return list(dict.fromkeys(pairs))


def _together(results: Iterable[Result]) -> list[Result]:
    """All systems of one subject and part beside each other, otherwise in the report's order."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.subject, result.part), []).append(result)
    return [result for group in groups.values() for result in group]


def _cell(name: str, measure: Measure | None, signed: bool = False) -> Cell:
    if measure is None:
        return Cell()
    kind = kind_of(name)
    return Cell(kind.write_value(measure, signed), kind.write_interval(measure, signed))
