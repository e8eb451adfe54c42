"""What answers come to: accuracies with intervals, and tables of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from ..pretext.pretext_samples import LEVELS
from ..trainers.intervals import wilson_interval
from .pretext_evaluator import Answer

ASPECTS = ("bin", "edit", "direction", "strength", "content")
Key = tuple[str, ...]


def summarise(answers: Sequence[Answer]) -> dict[str, Any]:
    """Accuracy, its interval and chance; of bins also the accuracy within one bin and the correlation of the expected bin.

    Raises:
        ValueError: no answers.
    """
    if not answers:
        raise ValueError("No answers to summarise.")
    right = sum(answer.chosen == answer.answer for answer in answers)
    found: dict[str, Any] = {
        "pretext_samples": len(answers),
        "accuracy": right / len(answers),
        "interval": list(wilson_interval(right, len(answers))),
        "chance": float(np.mean([answer.chance for answer in answers])),
    }
    if all(answer.aspect == "bin" for answer in answers):
        found["within_one"] = float(np.mean([abs(answer.chosen - answer.answer) <= 1 for answer in answers]))
        expected, true = [answer.expected for answer in answers], [answer.answer for answer in answers]
        varied = len(set(expected)) > 1 and len(set(true)) > 1
        found["spearman"] = float(spearmanr(expected, true)[0]) if varied else None
    return found


def by_question(answer: Answer) -> Key:
    """Level, subject, question, amount ("" where there is none)."""
    return answer.level, answer.subject, answer.aspect, answer.amount or ""


def by_level(answer: Answer) -> Key:
    """Level, question, amount: over all of a level's subjects."""
    return answer.level, answer.aspect, answer.amount or ""


def grouped(answers: Sequence[Answer], key: Callable[[Answer], Key]) -> dict[Key, dict[str, Any]]:
    """A summary of each group, in the order of levels and questions."""
    groups: dict[Key, list[Answer]] = {}
    for answer in sorted(answers, key=lambda answer: (LEVELS.index(answer.level), ASPECTS.index(answer.aspect))):
        groups.setdefault(key(answer), []).append(answer)
    return {name: summarise(members) for name, members in groups.items()}


def compare(columns: Mapping[str, Sequence[Answer]], key: Callable[[Answer], Key]) -> list[dict[str, Any]]:
    """One row a group, with each column's summary; `None` where a column has no answers."""
    summaries = {name: grouped(answers, key) for name, answers in columns.items()}
    names = list(dict.fromkeys(name for groups in summaries.values() for name in groups))
    return [{"row": list(name)} | {column: groups.get(name) for column, groups in summaries.items()} for name in names]


def cross_table(answers: Mapping[str, Sequence[Answer]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Level asked about -> question and amount -> group of tokens seen -> summary.

    Args:
        answers: of the same items by the group whose tokens were seen.
    """
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for group, given in answers.items():
        for (level, aspect, amount), summary in grouped(given, by_level).items():
            table.setdefault(level, {}).setdefault(f"{aspect} {amount}".strip(), {})[group] = summary
    return table


def markdown_table(rows: Sequence[Mapping[str, Any]], head: Sequence[str], intervals: Sequence[str] = ("after",)) -> str:
    """Rows of [`compare`] as Markdown: accuracies in percent, chance, and pretext samples.

    Args:
        rows: of one call.
        head: names of the parts of the row's key.
        intervals: columns that show their 95% interval; for bins also the accuracy within one and the correlation.
    """
    columns = [name for name in rows[0] if name != "row"] if rows else []
    titles = [*head, *columns, "chance", "pretext_samples"]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in rows:
        cells = list(row["row"])
        for column in columns:
            cells.append(_cell(row[column], column in intervals))
        some = next(row[column] for column in columns if row[column])
        lines.append("| " + " | ".join([*cells, f"{100 * some['chance']:.0f}", str(some["pretext_samples"])]) + " |")
    return "\n".join(lines)


def markdown_cross(table: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """A [`cross_table`] as Markdown; the best group of each row in bold."""
    lines = ["| asked | " + " | ".join(f"{group} tokens" for group in LEVELS) + " | chance | pretext samples |", "|" + "---|" * 6]
    for level, questions in table.items():
        for question, groups in questions.items():
            best = max(summary["accuracy"] for summary in groups.values())
            cells = [f"{level}: {question}"]
            for group in LEVELS:
                text = _cell(groups.get(group), True)
                cells.append(f"**{text}**" if group in groups and groups[group]["accuracy"] == best else text)
            some = next(iter(groups.values()))
            lines.append("| " + " | ".join([*cells, f"{100 * some['chance']:.0f}", str(some["pretext_samples"])]) + " |")
    return "\n".join(lines)


def _cell(summary: Mapping[str, Any] | None, interval: bool) -> str:
    if summary is None:
        return "-"
    text = f"{100 * summary['accuracy']:.0f}"
    if interval:
        low, high = summary["interval"]
        text += f" ({100 * low:.0f}-{100 * high:.0f})"
        if summary.get("spearman") is not None:
            text += f", within one {100 * summary['within_one']:.0f}, rho {summary['spearman']:.2f}"
    return text
