"""Suggestions for photos that were damaged, and for photos as they are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from ...data.record import Record
from ...processing.image_loading import ImageError, load_image
from ..eval_suggestions import (
    SuggestionAnswer,
    answer_damaged,
    improve,
    left_alone,
    photo_a_core,
    plan_damages,
    summarise,
)
from ..resampling import Sampled, sampled_mean, sampled_ratio
from .bench import Bench, Finding
from .evaluated_data import EvaluatedData
from .rating_task import ALL
from .system import System

SUGGESTIONS = "suggestions"
SEED = 0
# Measures of a report by the names of `eval_suggestions.summarise`, and of `left_alone`.
OF_DAMAGED = {
    "plain top 1": "inverse_first",
    "plain top 3": "inverse_in_three",
    "plain top 3, kindred": "kindred_in_three",
    "verified top 1": "verified_first",
    "verified top 3": "verified_in_three",
    "changed": "changed",
    "nearer": "nearer",
}
OF_UNDAMAGED = {
    "told nothing without verify": "told_nothing",
    "left alone": "left_alone",
    "mean change of the judgement, in points": "judgement_change",
}


def suggestion_findings(bench: Bench, system: System, data: EvaluatedData) -> list[Finding]:
    """Whether suggestions undo damage, and whether they leave photos alone, of the photos that people rated best."""
    best = _best(data, max(bench.sizes.suggestions, bench.sizes.undamaged))
    return [
        *_damaged(bench, system, data, best[: bench.sizes.suggestions]),
        *_undamaged(bench, system, data, best[: bench.sizes.undamaged]),
    ]


def _best(data: EvaluatedData, count: int) -> list[Record]:
    """Those of the first question that people rated best; where there are no ratings, any."""
    if not data.questions:
        return data.some(count)
    rated = data.rated(data.questions[0])
    return sorted(rated, key=lambda record: (-(record.mean or 0), data.path_of(record)))[:count]


def _damaged(bench: Bench, system: System, data: EvaluatedData, records: Sequence[Record]) -> list[Finding]:
    search = system.assessor.suggestion_search()
    photos = data.named(records)
    by_name = {data.path_of(record): (key, record) for key, record in photos.items()}
    items = {
        f"{by_name[name][0]}:{edit}:{amount:+g}": (by_name[name][1], (name, edit, amount))
        for name, edit, amount in plan_damages(list(by_name), SEED)
    }

    def ask(asked: list[tuple[Record, tuple[str, str, float]]]) -> Iterable[dict[str, Any] | ImageError]:
        return photo_a_core(_or_error(lambda one: asdict(answer_damaged(search, one[0].image, one[1], SEED)[0])), asked)

    answers = bench.cache.answers(
        SUGGESTIONS,
        {"checkpoint": system.identity},
        items,
        ask,
        _workers(),
        f"{system.name}: suggestions, {data.name}",
        _answer,
    )
    data.fail(answers.failed, {key: record for key, (record, _) in items.items()})
    if not answers.found:
        return []
    given = list(answers.found.values())
    groups = {
        ALL: given,
        "edits of the training": [answer for answer in given if answer.in_pretext_samples],
        "unseen edits": [answer for answer in given if not answer.in_pretext_samples],
    }
    findings = []
    for part, some in groups.items():
        if some:
            rows = [summarise([answer]) for answer in some]
            figures = {ours: sampled_mean([row[name] for row in rows]) for name, ours in OF_DAMAGED.items()}
            of_changed = sampled_ratio([row["nearer"] for row in rows], [row["changed"] for row in rows])
            if of_changed is not None:
                figures["nearer_of_changed"] = of_changed
            findings.append(Finding(SUGGESTIONS, data.name, "damaged photos", part, system.name, len(some), "photos", figures))
    return findings


def _undamaged(bench: Bench, system: System, data: EvaluatedData, records: Sequence[Record]) -> list[Finding]:
    search = system.assessor.suggestion_search()
    photos = data.keyed(records)

    def judge(record: Record) -> dict[str, float]:
        photo = load_image(record.image)
        plain, result = improve(search, photo)
        return left_alone(search, [photo], [plain], [result])

    answers = bench.cache.answers(
        "undamaged",
        {"checkpoint": system.identity},
        photos,
        lambda asked: photo_a_core(_or_error(judge), asked),
        _workers(),
        f"{system.name}: undamaged photos, {data.name}",
        lambda found: {name: float(found[name]) for name in OF_UNDAMAGED},
    )
    data.fail(answers.failed, photos)
    rows = list(answers.found.values())
    if not rows:
        return []
    figures: dict[str, Sampled] = {ours: sampled_mean([row[name] for row in rows]) for name, ours in OF_UNDAMAGED.items()}
    return [Finding(SUGGESTIONS, data.name, "undamaged photos", ALL, system.name, len(rows), "photos", figures)]


def _answer(found: dict[str, Any]) -> SuggestionAnswer:
    """From JSON, which has lists for pairs."""
    named = {name: [(str(edit), int(sign)) for edit, sign in found[name]] for name in ("plain", "verified")}
    likeness = {name: (float(found[name][0]), float(found[name][1])) for name in ("psnr", "ssim")}
    return SuggestionAnswer(**found | named | likeness)


def _or_error(ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Gives an error in the place of what a photo that cannot be judged would have got."""

    def asked(one: Any) -> Any:
        try:
            return ask(one)
        except ImageError as error:
            return error

    return asked


def _workers() -> int:
    """Photos that are asked about side by side."""
    return torch.get_num_threads()
