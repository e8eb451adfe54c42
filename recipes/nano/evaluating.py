"""What is measured of the finished checkpoint, on photos and people that no stage learned from.

The report is the one of `aesthetic-mllm evaluate` (`aesthetic_mllm.evaluation.suite`), which the model card is made of. Beside it
stands what only the recipe can ask: flaws in photos of 1,600 pixels, critiques in the words that the language model was healed
with, and pretext samples.
"""

import json
import logging
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.byte_perplexity import byte_perplexity
from aesthetic_mllm.evaluation.eval_comments import critique_perplexity
from aesthetic_mllm.evaluation.eval_pretext import evaluate_pretext, pretext_table
from aesthetic_mllm.evaluation.flaw_operating_points import evaluate_flaws, flaws_table
from aesthetic_mllm.evaluation.flaw_ratings import FlawRatings
from aesthetic_mllm.evaluation.suite.evaluate_checkpoint import evaluate_checkpoint
from aesthetic_mllm.evaluation.suite.sizes import Sizes
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_dataset import load_photo
from aesthetic_mllm.pretext.pretext_samples import PretextSampleMaker
from aesthetic_mllm.pretext.teachers import load_contents

from .contents import CONTENTS
from .devices import device
from .finishing import CHECKPOINT, flaw_ratings_file
from .language import CRITIQUES, healing_texts, split_texts, uncut
from .measuring import STATISTICS
from .pipeline import StageError
from .rated_photos import BEAUTY, GENERATED, QUALITY, RatedPhoto, photo_key, read_quality, split
from .unaligned import UNALIGNED

logger = logging.getLogger(__name__)

EVALUATION = "evaluation"  # folder below WORK: the report, and a JSON and a Markdown file of all else
NAME, BASELINE = "nano", "embedded"  # the finished checkpoint and the package's, in the report
REPORTED_POOLS = ("reporting", "large")  # of flaws; from the third one operating points are learned
# A critique as `language.critique_texts` puts it; and a question as the uncut language model takes one.
CRITIQUE = re.compile(
    r"<\|im_start\|>user\n(Comment on (?:the .+ of )?this photo\.)<\|im_end\|>\n<\|im_start\|>assistant\n(.+)<\|im_end\|>\n"
)
UNCUT_PROMPT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


def write_report(assessor: AestheticAssessor, data: Path, work: Path, sizes: Sizes) -> None:
    """All tasks of the package's evaluation on the rated sources, beside the embedded checkpoint; goes on where it was stopped.

    Raises:
        StageError: too many photos could not be evaluated.
    """
    found = evaluate_checkpoint(
        assessor,
        [{"source": name, "root": str(data / name)} for name in (QUALITY, BEAUTY, GENERATED)],
        model=work / CHECKPOINT,
        name=NAME,
        split="validation",
        baselines={BASELINE: partial(AestheticAssessor.from_pretrained, device=device())},
        output=work / EVALUATION,
        sizes=sizes,
        progress=logged,
    )
    for note in found.notes:
        logger.info("%s", note)
    if found.has_failed:
        failed = [f"{name}/{photo}" for name, summary in found.report.data.items() for photo in summary.failed]
        raise StageError(f"evaluation: {len(failed)} photos could not be evaluated, such as {failed[0]}.")


def logged(items: Iterable[Any], total: int, label: str) -> Iterator[Any]:
    """Says in the log what comes next."""
    logger.info("%s: %d", label, total)
    return iter(items)


def write_further(
    assessor: AestheticAssessor,
    data: Path,
    work: Path,
    critiques: int,
    pretext: Mapping[str, int],
    seed: int,
) -> None:
    """What the report does not hold, each into files of its own; what is there already is not measured again.

    Args:
        critiques: that perplexity is of, the most.
        pretext: numbers of `photos`, of samples `per_subject`, and of samples that probes learn from (`probe`).
    """
    folder = work / EVALUATION
    for name, measure in (
        ("flaws", partial(measure_flaws, assessor, work)),
        ("perplexity", partial(measure_perplexity, assessor, data, work, critiques)),
        ("pretext", partial(measure_pretext, assessor, data, work, pretext, seed)),
    ):
        table_file = folder / f"{name}.md"
        if table_file.exists():
            continue
        found, table = measure()
        (folder / f"{name}.json").write_text(json.dumps(found, indent=2, default=float) + "\n", encoding="utf-8")
        table_file.write_text(table + "\n", encoding="utf-8")
        logger.info("%s:\n%s", name, table)


def measure_flaws(assessor: AestheticAssessor, work: Path) -> tuple[dict[str, Any], str]:
    """What photos are told at the operating points of flaws, by the ratings that the stage `checkpoint` kept."""
    scale = assessor.processor.rating_scale
    found = {pool: evaluate_flaws(scale, FlawRatings.load(flaw_ratings_file(work, pool))) for pool in REPORTED_POOLS}
    return found, flaws_table(scale, found)


def measure_perplexity(assessor: AestheticAssessor, data: Path, work: Path, count: int) -> tuple[dict[str, float], str]:
    """How well held-out critiques are expected, beside the uncut language model: whether cutting and tuning lost the language."""
    critiques = held_out_critiques(work, data / CRITIQUES, count)
    own = critique_perplexity(assessor, critiques)
    other = byte_perplexity(*uncut(work), [(UNCUT_PROMPT.format(prompt), text) for prompt, text in critiques])
    table = f"Perplexity per byte on {len(critiques)} held-out critiques: {own:.3f}, uncut language model {other:.3f}."
    return {"critiques": len(critiques), "checkpoint": own, "uncut": other}, table


def measure_pretext(
    assessor: AestheticAssessor, data: Path, work: Path, sizes: Mapping[str, int], seed: int
) -> tuple[dict[str, Any], str]:
    """Pretext samples in held-out words, of the unaligned checkpoint and of the finished one."""
    before, after = (
        AestheticMLLMForConditionalGeneration.from_pretrained(work / name, dtype=torch.float32).eval()
        for name in (UNALIGNED, CHECKPOINT)
    )
    statistics, contents = PoolStatistics.load(work / STATISTICS), load_contents(work / CONTENTS)
    known, held_out = split(read_quality(data, assessor.processor.rating_scale))
    found = evaluate_pretext(
        before,
        after,
        assessor.processor,
        some_photos(held_out, sizes["photos"], seed),
        some_photos(known, sizes["probe"], seed),
        PretextSampleMaker(PhraseBank(), statistics, contents, seed, held_out=True),
        per_subject=sizes["per_subject"],
        probe_samples=sizes["probe"],
        seed=seed,
    )
    return found, pretext_table(found)


def some_photos(photos: list[RatedPhoto], count: int, seed: int) -> list[tuple[str, Image.Image]]:
    """Key and photo of a fixed random part."""
    chosen = random.Random(seed).sample(photos, min(count, len(photos)))
    return [(photo_key(photo), load_photo(str(photo.path))) for photo in chosen]


def held_out_critiques(work: Path, critiques: Path, count: int) -> list[tuple[str, str]]:
    """Prompts and critiques among the texts that the healing holds out, without those that it also trains on.

    Raises:
        ValueError: there are none.
    """
    held_out, trained = split_texts(healing_texts(work, critiques))
    known = set(trained)
    found = [(match[1], match[2]) for text in held_out if text not in known and (match := CRITIQUE.fullmatch(text))]
    if not found:
        raise ValueError(
            f"{critiques}: no critique is among the held-out texts; `language.py` words them differently from CRITIQUE."
        )
    return found[:count]
