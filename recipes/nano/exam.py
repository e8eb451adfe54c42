"""Examines a checkpoint before and after alignment on pretext samples of held-out photos, in held-out words.

    python recipes/nano/exam.py --data DATA --work build/nano --before build/nano/before --after build/nano/aligned \\
        --output build/nano/exam.json

Every pretext sample is multiple choice; candidate answers are compared by the likelihood of their words. Beside the two
checkpoints stand ridge regressions on pooled features of the frozen tower, fitted on pretext samples of training photos, and the
same prompts without photos. Last, each level's pretext samples are answered from each group's tokens alone. WORK holds
statistics.json, the pool's cut points, and may hold contents.json, the teacher's label of each photo by its key, such as
"biq2021/name.webp". Beside the JSON file goes a Markdown file with the tables.

The default exam has 620 pretext samples besides those of contents: 10 of each of 21 attributes, 10 of each of 21 edits at each of
its two amounts (mirroring has one). On two cores it should take about seven minutes, half of them for the language model.
Accuracies of a row are of 10 pretext samples: raise `--per-subject` for narrow intervals.
"""

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import torch

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.pretext_eval import ExamItem, build_exam
from aesthetic_mllm.evaluation.pretext_evaluator import SCORINGS, Answer, PretextEvaluator, SeenPhotos, answer_items, see_photos
from aesthetic_mllm.evaluation.pretext_probe import PretextProbe, probe_pretext_samples
from aesthetic_mllm.evaluation.pretext_report import (
    by_level,
    by_question,
    compare,
    cross_table,
    grouped,
    markdown_cross,
    markdown_table,
)
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_dataset import load_photo
from aesthetic_mllm.pretext.pretext_samples import LEVELS, PretextSampleMaker
from aesthetic_mllm.processing.rating_scale import RatingScale
from data import RatedPhoto, quality_validation, read_quality


class Clock:
    """Says what was done and how long it took."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def done(self, what: str) -> None:
        now = time.monotonic()
        self.seconds[what] = round(now - self.last, 1)
        print(f"{what}: {self.seconds[what]:.0f} s", flush=True)
        self.last = now


def photo_key(photo: RatedPhoto) -> str:
    """As pools of folders name it."""
    return f"{photo.path.parent.name}/{photo.name}"


def split_photos(data: Path) -> tuple[list[RatedPhoto], list[RatedPhoto]]:
    """Photos that may be trained on, and those held out."""
    photos = read_quality(data, RatingScale())
    names = quality_validation(photos)
    return [photo for photo in photos if photo.name not in names], [photo for photo in photos if photo.name in names]


def load_some(photos: list[RatedPhoto], count: int, seed: int) -> list[tuple[str, Any]]:
    """Key and photo of a fixed random part."""
    chosen = random.Random(seed).sample(photos, min(count, len(photos)))
    return [(photo_key(photo), load_photo(str(photo.path))) for photo in chosen]


def load_model(folder: Path, device: str) -> Any:
    return AestheticMLLMForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval().to(device)


def examine_groups(
    examiner: PretextEvaluator, items: list[ExamItem], seen: SeenPhotos, own: list[dict], blind: list[dict], scoring: Any
) -> dict[str, list[Answer]]:
    """Answers from each group's tokens alone; those of the own level are there already."""
    answers = {}
    for group in LEVELS:
        others = [index for index, item in enumerate(items) if item.pretext_sample.level != group]
        scores = list(own)
        for index, score in zip(
            others, examiner.scores([items[i] for i in others], part_of(seen, items, others), group), strict=True
        ):
            scores[index] = score
        # of strong edits alone, how strong they are is no question
        answers[group] = [answer for answer in answer_items(items, scores, blind, scoring) if answer.aspect != "strength"]
    return answers


def part_of(seen: SeenPhotos, items: list[ExamItem], wanted: list[int]) -> SeenPhotos:
    """What was seen in the photos of some items."""
    starts, total = [], 0
    for item in items:
        starts.append(total)
        total += len(item.pretext_sample.images)
    photos = [starts[index] + place for index in wanted for place in range(len(items[index].pretext_sample.images))]
    return SeenPhotos(
        {group: values[photos] for group, values in seen.tokens.items()},
        {level: values[photos] for level, values in seen.pooled.items()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--before", type=Path, required=True, help="folder of the unaligned checkpoint")
    parser.add_argument("--after", type=Path, required=True, help="folder of the aligned checkpoint")
    parser.add_argument("--photos", type=int, default=300, help="held-out photos to ask about")
    parser.add_argument(
        "--per-subject", type=int, default=10, help="pretext samples of each attribute, and of each edit and amount"
    )
    parser.add_argument("--probe-pretext_samples", type=int, default=480, help="of each level, to fit the probes on")
    parser.add_argument("--scoring", choices=SCORINGS, default="pmi", help="what the tables show; the JSON file has all")
    parser.add_argument("--trained-wordings", action="store_true", help="ask and answer in words that training shows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()

    clock = Clock()
    contents = arguments.work / "contents.json"
    maker = PretextSampleMaker(
        PhraseBank(),
        PoolStatistics.load(arguments.work / "statistics.json"),
        json.loads(contents.read_text(encoding="utf-8")) if contents.exists() else None,
        arguments.seed,
        held_out=not arguments.trained_wordings,
    )
    processor = AestheticMLLMProcessor.from_pretrained(arguments.after)
    models = {name: load_model(getattr(arguments, name), arguments.device) for name in ("before", "after")}
    known, held_out = split_photos(arguments.data)
    items = build_exam(load_some(held_out, arguments.photos, arguments.seed), maker, arguments.per_subject, arguments.seed)
    clock.done(f"{len(items)} pretext samples made")
    pretext_samples = probe_pretext_samples(
        load_some(known, arguments.probe_pretext_samples, arguments.seed), maker, arguments.probe_pretext_samples
    )
    clock.done("pretext samples for the probes made")

    images = [image for item in items for image in item.pretext_sample.images]
    seen = dict(zip(models, see_photos(list(models.values()), processor, images), strict=True))
    clock.done(f"{len(images)} photos seen")
    (studied,) = see_photos([models["after"]], processor, pretext_samples.images)
    clock.done(f"{len(pretext_samples.images)} photos for the probes seen")
    probes = {
        name: PretextProbe(pretext_samples, studied, all_maps).answers(items, seen["after"])
        for name, all_maps in (("probe, own map", False), ("probe, all maps", True))
    }
    clock.done("probes fitted and asked")

    scores, blind = {}, {}
    examiners = {name: PretextEvaluator(model, processor, arguments.batch_size) for name, model in models.items()}
    for name, examiner in examiners.items():
        scores[name], blind[name] = examiner.scores(items, seen[name]), examiner.blind_scores(items)
        clock.done(f"asked {name}")
    answers = {
        scoring: {name: answer_items(items, scores[name], blind[name], scoring) for name in models} for scoring in SCORINGS
    }
    columns = {
        **answers[arguments.scoring],
        **probes,
        # without a photo the scores of "pmi" are all 0
        "without photo": answer_items(items, blind["after"], blind["after"], "total"),
    }

    plain = [index for index, item in enumerate(items) if item.amount != "barely"]
    of_plain = [items[index] for index in plain]
    own, without = ([found["after"][index] for index in plain] for found in (scores, blind))
    of_seen = part_of(seen["after"], items, plain)
    by_group = examine_groups(examiners["after"], of_plain, of_seen, own, without, arguments.scoring)
    cross = cross_table(by_group)
    clock.done("asked of each group's tokens")

    questions, levels = compare(columns, by_question), compare(columns, by_level)
    report = {
        "pretext_samples": len(items),
        "photos": arguments.photos,
        "per_subject": arguments.per_subject,
        "scoring": arguments.scoring,
        "wordings": "trained" if arguments.trained_wordings else "held out",
        "seconds": clock.seconds,
        "by_level": levels,
        "by_question": questions,
        "by_tokens": cross,
        "by_scoring": {
            scoring: {
                name: {" ".join(key).strip(): summary for key, summary in grouped(given, by_level).items()}
                for name, given in of_models.items()
            }
            for scoring, of_models in answers.items()
        },
    }
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    tables = "\n\n".join(
        [
            f"Accuracy in percent (95% interval) of {len(items)} pretext samples; scoring: {arguments.scoring}; "
            f"wordings: {report['wordings']}.",
            markdown_table(levels, ("level", "question", "amount"), ("before", "after", "probe, all maps")),
            markdown_table(questions, ("level", "subject", "question", "amount")),
            markdown_cross(cross),
        ]
    )
    arguments.output.with_suffix(".md").write_text(tables + "\n", encoding="utf-8")
    print(tables)


if __name__ == "__main__":
    main()
