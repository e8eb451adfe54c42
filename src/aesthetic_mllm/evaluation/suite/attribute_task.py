"""Attributes beside people's, where there are such ratings; how much they say the same; whether damage lowers the right one."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...data.record import Record
from ...processing.image_loading import ImageError, load_image
from ...trainers.intervals import wilson_interval
from ..eval_attributes import STRENGTHS, examine_photo, in_order
from ..resampling import Sampled, sampled_correlation, sampled_correlations, sampled_ratio, varies
from .bench import Bench, Finding
from .evaluated_data import EvaluatedData
from .rating_task import ALL
from .system import System

ATTRIBUTES, DAMAGE = "attributes", "damage"
SPELLINGS = {"color": "colour"}  # of sources, by ours
FEWEST = 3


def attribute_findings(bench: Bench, system: System, data: EvaluatedData) -> list[Finding]:
    """What each attribute's ratings agree with: people's, the other attributes', the whole rating."""
    scale = system.assessor.processor.rating_scale
    if not scale.attributes:
        bench.note(f"{system.name} rates no attributes.")
        return []
    rated = bench.ratings(system, data)
    if len(rated) < FEWEST:
        return []
    columns = {name: np.array([found[name].mean for found in rated.values()]) for name in scale.attributes}
    whole = np.array([found[scale.default_question].mean for found in rated.values()])
    made = among_attributes(columns, whole)
    findings = [
        Finding(ATTRIBUTES, data.name, subject, ALL, system.name, len(rated), "photos", figures)
        for subject, figures in made.items()
    ]
    records = {str(data.key(record)): record for record in data.records if data.key(record) in rated}
    for name in scale.attributes:
        asked = {key: _label(record, name) for key, record in records.items()}
        keys = [key for key, label in asked.items() if label is not None and records[key].mean is not None]
        if len(keys) >= FEWEST:
            given = np.array([rated[key][name].mean for key in keys])
            labels = np.array([asked[key] for key in keys], dtype=np.float64)
            means = np.array([records[key].mean for key in keys], dtype=np.float64)
            if not varies(labels):
                bench.note(f"{data.name}: people rated {name!r} the same in all photos, so nothing can agree with them.")
                continue
            figures = {
                "srcc": sampled_correlation(given, labels, ranks=True),
                "partial_srcc": partial_correlation(given, labels, means),
            }
            findings.append(Finding(ATTRIBUTES, data.name, f"{name}, people", ALL, system.name, len(keys), "photos", figures))
    return findings


def among_attributes(columns: Mapping[str, np.ndarray], whole: np.ndarray) -> dict[str, dict[str, Sampled]]:
    """By attribute its rank correlation with the mean of the others and with the whole rating; of all the mean of the pairs'.

    Args:
        columns: ratings of the same n photos by attribute.
        whole: ratings of the photos as a whole, [n].
    """
    names = list(columns)
    found: dict[str, dict[str, Sampled]] = {}
    matrix, resampled = sampled_correlations({**columns, "": whole})
    upper = np.triu_indices(len(names), 1)
    if len(names) > 1:
        value = float(matrix[upper].mean())
        found[ALL] = {"srcc_among": Sampled(value, None if resampled is None else resampled[:, *upper].mean(1))}
    for place, name in enumerate(names):
        figures = {"srcc_whole": Sampled(float(matrix[place, -1]), None if resampled is None else resampled[:, place, -1])}
        if len(names) > 1:
            others = np.mean([columns[other] for other in names if other != name], axis=0)
            figures["srcc_others"] = sampled_correlation(columns[name], others, ranks=True)
        found[name] = figures
    return found


def partial_correlation(given: np.ndarray, labels: np.ndarray, whole: np.ndarray) -> Sampled:
    """Spearman's partial correlation of ratings with people's, given people's whole rating: what is the attribute's own.

    (r_gl - r_gw r_lw) / sqrt((1 - r_gw^2)(1 - r_lw^2)) of rank correlations; 0 where the whole rating says all.
    """
    matrix, resampled = sampled_correlations({"given": given, "labels": labels, "whole": whole})

    def partial(found: np.ndarray) -> np.ndarray:
        direct, first, second = found[..., 0, 1], found[..., 0, 2], found[..., 1, 2]
        rest = np.sqrt(np.maximum((1 - first**2) * (1 - second**2), 0))
        values: np.ndarray = np.where(rest > 1e-9, (direct - first * second) / np.maximum(rest, 1e-9), 0)
        return values

    return Sampled(float(partial(matrix)), None if resampled is None else partial(resampled))


def _label(record: Record, name: str) -> float | None:
    for attribute in record.attributes:
        plain = attribute.name.lower().replace(" ", "_")
        if SPELLINGS.get(plain, plain) == name:
            return attribute.mean
    return None


def damage_findings(bench: Bench, system: System, data: EvaluatedData) -> list[Finding]:
    """Share of damaged views that were rated lower in the attribute that the damage is about; by attribute, edit and strength."""
    if not system.assessor.processor.rating_scale.attributes:
        bench.note(f"{system.name} rates no attributes, so there is no damage exam.")
        return []
    photos = data.named(data.some(bench.sizes.damaged))

    def ask(records: list[Record]) -> Iterable[list[list[object]] | ImageError]:
        for record in records:
            try:
                image = load_image(record.image)
                found = examine_photo(system.assessor, image, data.path_of(record))
            except ImageError as error:
                yield error
            else:
                yield [[*key, sum(lower), len(lower)] for key, lower in found.items()]

    identity = {"checkpoint": system.identity, "strengths": dict(STRENGTHS)}
    answers = bench.cache.answers(DAMAGE, identity, photos, ask, label=f"{system.name}: damage, {data.name}", read=_row)
    data.fail(answers.failed, photos)
    rows = list(answers.found.values())
    findings = []
    for key in in_order(system.assessor, {key for row in rows for key in row}):
        group, edit, word = key
        counts = np.array([row.get(key, (0, 0)) for row in rows], dtype=np.float64)
        share = lowered_share(counts[:, 0], counts[:, 1])
        if share is not None:
            subject = group if edit == ALL else f"{group}, {edit}"
            views = int(counts[:, 1].sum())
            findings.append(Finding(DAMAGE, data.name, subject, word, system.name, views, "views", {"lowered": share}))
    return findings


def _row(found: list[list[Any]]) -> dict[tuple[str, str, str], tuple[int, int]]:
    if not isinstance(found, list):  # an empty text would be no rows
        raise TypeError(f"{found!r} are no rows.")
    return {(str(group), str(edit), str(word)): (int(right), int(views)) for group, edit, word, right, views in found}


def lowered_share(right: np.ndarray, views: np.ndarray) -> Sampled | None:
    """Share of the views, with an interval by bootstrap over photos; where all or none are right by Wilson's formula for as many
    photos, because a bootstrap would have no width."""
    share = sampled_ratio(right, views)
    if share is None or 0 < share.value < 1:
        return share
    return Sampled(share.value, interval=wilson_interval(round(share.value) * len(views), len(views)))
