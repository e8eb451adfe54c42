"""How well pretext samples of held-out photos are answered, before and after alignment.

Every pretext sample is multiple choice; candidate answers are compared by the likelihood of their words. Beside the two
checkpoints stand ridge regressions on pooled features of the frozen tower, fitted on pretext samples of training photos, and the
same prompts without photos. Last, each level's pretext samples are answered from each group's tokens alone.

The default has 620 pretext samples besides those of contents: 10 of each of 21 attributes, 10 of each of 21 edits at each of its
two amounts (mirroring has one). On two cores that takes about seven minutes, half of them for the language model. Accuracies of
a row are of 10 pretext samples: raise `per_subject` for narrow intervals.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..pretext.pretext_samples import LEVELS, PretextSampleMaker
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from .pretext_evaluator import (
    SCORINGS,
    Answer,
    PretextEvaluator,
    Scoring,
    TargetTextScore,
    answer_items,
)
from .pretext_features import PretextFeatures, read_pretext_features
from .pretext_items import PretextItem, build_pretext_items
from .pretext_probe import PretextProbe, probe_pretext_samples
from .pretext_report import by_level, by_question, compare, cross_table, grouped, markdown_cross, markdown_table

logger = logging.getLogger(__name__)

Scores = Sequence[Mapping[str, TargetTextScore]]


def evaluate_pretext(
    before: AestheticMLLMForConditionalGeneration,
    after: AestheticMLLMForConditionalGeneration,
    processor: AestheticMLLMProcessor,
    held_out: Sequence[tuple[str, Image.Image]],
    known: Sequence[tuple[str, Image.Image]],
    maker: PretextSampleMaker,
    *,
    per_subject: int = 10,
    probe_samples: int = 480,
    scoring: Scoring = "pmi",
    seed: int = 0,
    batch_size: int = 8,
) -> dict[str, Any]:
    """Asks two checkpoints of one processor the same items.

    Args:
        before, after: the unaligned and the aligned checkpoint, in evaluation mode.
        held_out: key and photo of those that are asked about.
        known: of those that the probes are fitted on.
        maker: of the pretext samples; made with `held_out=True` it words them as training never does.
        per_subject: pretext samples of each attribute, and of each edit and amount.
        probe_samples: pretext samples of each level, to fit the probes on.
        scoring: what the tables show; the report has all.
        seed: of which photos are asked about what.
        batch_size: pretext samples at a time.

    Returns:
        Accuracies with intervals by level, by question, by group of tokens, by scoring; [`pretext_table`] shows them.

    Raises:
        PretextItemError: no photos, or a phrase bank whose answers cannot be told apart.
    """
    items = build_pretext_items(held_out, maker, per_subject, seed)
    samples = probe_pretext_samples(known, maker, probe_samples)
    models = {"before": before, "after": after}
    images = [image for item in items for image in item.pretext_sample.images]
    seen = dict(zip(models, read_pretext_features(list(models.values()), processor, images), strict=True))
    (studied,) = read_pretext_features([after], processor, samples.images)
    logger.info("%d pretext samples; %d photos, and %d for the probes, seen", len(items), len(images), len(samples.images))
    probes = {
        name: PretextProbe(samples, studied, all_maps).answers(items, seen["after"])
        for name, all_maps in (("probe, own map", False), ("probe, all maps", True))
    }
    evaluators = {name: PretextEvaluator(model, processor, batch_size) for name, model in models.items()}
    scores = {name: evaluator.scores(items, seen[name]) for name, evaluator in evaluators.items()}
    blind = {name: evaluator.blind_scores(items) for name, evaluator in evaluators.items()}
    logger.info("both checkpoints asked")
    answers = {
        scoring: {name: answer_items(items, scores[name], blind[name], scoring) for name in models} for scoring in SCORINGS
    }
    columns = {
        **answers[scoring],
        **probes,
        # without a photo the scores of "pmi" are all 0
        "without photo": answer_items(items, blind["after"], blind["after"], "total"),
    }
    by_group = _answers_by_group(evaluators["after"], items, seen["after"], scores["after"], blind["after"], scoring)
    return {
        "pretext_samples": len(items),
        "photos": len(held_out),
        "per_subject": per_subject,
        "scoring": scoring,
        "wordings": "held out" if maker.held_out else "trained",
        "by_level": compare(columns, by_level),
        "by_question": compare(columns, by_question),
        "by_tokens": cross_table(by_group),
        "by_scoring": {
            scoring: {
                name: {" ".join(key).strip(): summary for key, summary in grouped(given, by_level).items()}
                for name, given in of_models.items()
            }
            for scoring, of_models in answers.items()
        },
    }


def pretext_table(report: Mapping[str, Any]) -> str:
    """A report of [`evaluate_pretext`] as Markdown."""
    return "\n\n".join(
        [
            f"Accuracy in percent (95% interval) of {report['pretext_samples']} pretext samples; scoring: {report['scoring']}; "
            f"wordings: {report['wordings']}.",
            markdown_table(report["by_level"], ("level", "question", "amount"), ("before", "after", "probe, all maps")),
            markdown_table(report["by_question"], ("level", "subject", "question", "amount")),
            markdown_cross(report["by_tokens"]),
        ]
    )


def _answers_by_group(
    evaluator: PretextEvaluator, items: Sequence[PretextItem], seen: PretextFeatures, own: Scores, blind: Scores, scoring: Scoring
) -> dict[str, list[Answer]]:
    """Answers from each group's tokens alone, of all but barely visible edits; those of the own level are there already."""
    plain = [index for index, item in enumerate(items) if item.amount != "barely"]
    of_plain = [items[index] for index in plain]
    own, blind = ([scores[index] for index in plain] for scores in (own, blind))
    seen = _part_of(seen, items, plain)
    answers = {}
    for group in LEVELS:
        others = [index for index, item in enumerate(of_plain) if item.pretext_sample.level != group]
        scores = list(own)
        asked = evaluator.scores([of_plain[index] for index in others], _part_of(seen, of_plain, others), group)
        for index, score in zip(others, asked, strict=True):
            scores[index] = score
        # of strong edits alone, how strong they are is no question
        found = answer_items(of_plain, scores, blind, scoring)
        answers[group] = [answer for answer in found if answer.aspect != "strength"]
    return answers


def _part_of(seen: PretextFeatures, items: Sequence[PretextItem], wanted: Sequence[int]) -> PretextFeatures:
    """What was seen in the photos of some items."""
    starts, total = [], 0
    for item in items:
        starts.append(total)
        total += len(item.pretext_sample.images)
    photos = [starts[index] + place for index in wanted for place in range(len(items[index].pretext_sample.images))]
    return PretextFeatures(
        {group: values[photos] for group, values in seen.tokens.items()},
        {level: values[photos] for level, values in seen.pooled.items()},
    )
