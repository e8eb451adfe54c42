"""Goes on from a checkpoint: the code book and the judge's heads, which no checkpoint carries, are found again in its tokens.

    python recipes/nano/resume.py --data DATA --work build/nano --model CHECKPOINT   # after features.py and damages.py
    python recipes/nano/instruct.py --data DATA --work build/nano --critiques comments.parquet data=[...]

Tower and alignment module stay as they are here. The code book's directions are drawn from a seed, and so are the same ones; an
attribute's key is what its token holds on average beside the words of its photo's bin. The heads are linear, and fitted in a
minute to the mean token of each group: once to what people rated, and once to photos beside themselves damaged. What the
checkpoint itself says of the first is kept too, so that it is not unlearned; what others with the same tower and alignment module
say (`--said-by`) is averaged with it. WORK/coded becomes that checkpoint with the public
tower, whose lower stages it shares: that is what the cached lessons were seen by. WORK must hold what was measured of the pool
(measured.json of `coded_alignment.py`) and the pool's cut points (statistics.json of `unaligned.py`).
"""

import argparse
import json
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.inference.example_prefix import image_features
from aesthetic_mllm.inference.question_forking import SharedPrefix, split_prompts
from aesthetic_mllm.pretext.lessons import LEVELS
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.processing.rating_scale import RatingScale
from codebook import Codebook
from coded_alignment import CodeLoss
from features import CANVAS, STRONGLY_DAMAGED, UpperTower
from judge import ALIGNED, JUDGE_FILE, RATINGS_FILE, damages_seen, open_judge, read_photos, told_right
from token_cache import TokenCache
from told_photos import ALWAYS, SAID_FILE
from warm_start import ALL, BATCH_SIZE, DAMAGE_WEIGHT, FALLS, LEAST_FALL, WarmStart
from weights import VISION, convert_vision, fetch

logger = logging.getLogger("nano.resume")

SEED = 0
KEY_PHOTOS = 3_000  # that the keys are the means of
STEPS, PHOTOS_A_STEP, LEARNING_RATE = 600, 128, 1e-3
RATED_WEIGHT = 15.0  # of what people rated, beside each attribute and flaw


def find_keys(
    book: Codebook, bins: Mapping[str, Mapping[str, int]], names: Sequence[str], tokens: Mapping[str, torch.Tensor]
) -> None:
    """Sets the book's keys to what tokens, [N, T, D] of each group, of these photos hold beside their bins' words."""
    spans = CodeLoss(book).spans
    with torch.no_grad():
        for level in LEVELS:
            for place, attribute in enumerate(book.vocabulary.attributes[level]):
                known = [(number, bins[name][attribute]) for number, name in enumerate(names) if attribute in bins[name]]
                rows, wanted = (torch.tensor(part) for part in zip(*known, strict=True))
                beside = tokens[level][rows, place].float() - book.bins(attribute)[wanted]
                # what lies in the directions of edits and ratings belongs to those
                free = beside - beside @ spans[level] @ spans[level].T
                book.keys[book.attributes[attribute]] = free.mean(0)


def bins_right(
    book: Codebook, bins: Mapping[str, Mapping[str, int]], names: Sequence[str], tokens: Mapping[str, torch.Tensor]
) -> dict[str, float]:
    """By level, the share of the photos' bins whose code is the nearest to their token."""
    loss = CodeLoss(book)
    found: dict[str, list[bool]] = {level: [] for level in LEVELS}
    for level in LEVELS:
        for number, name in enumerate(names):
            for attribute, chances in loss.chances(level, tokens[level][number].float()).items():
                if attribute in bins[name]:
                    found[level].append(int(chances.argmax()) == bins[name][attribute])
    return {level: round(sum(right) / len(right), 3) for level, right in found.items()}


@dataclass(frozen=True)
class Told:
    """What heads are to read from n views.

    Args:
        levels: [n, questions, levels].
        known: [n, questions], how much each counts; 0 where it is not known.
        falls: [n, questions], by how much the rating should lie below that of the photo whole.
    """

    levels: torch.Tensor
    known: torch.Tensor
    falls: torch.Tensor

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], scale: RatingScale, rated_weight: float) -> "Told":
        """Of rows as [`RatedPhotos`] makes them; what people rated counts `rated_weight` times."""
        questions = {key: number for number, key in enumerate(scale.questions)}
        levels = torch.zeros(len(rows), len(questions), len(scale.level_scores))
        known, falls = torch.zeros(2, len(rows), len(questions))
        for number, row in enumerate(rows):
            for key, rating in row["ratings"].items():
                levels[number, questions[key]] = torch.tensor(scale.level_distribution(*rating))
                known[number, questions[key]] = rated_weight if key in ALWAYS else 1.0
            for key, fall in row.get("falls", {}).items():
                falls[number, questions[key]] = FALLS * fall if fall > LEAST_FALL else 0.0
        return cls(levels, known, falls)


def fit_heads(
    judge: WarmStart,
    whole: tuple[Mapping[str, torch.Tensor], Told],
    damaged: tuple[Mapping[str, torch.Tensor], Told] | None = None,
    steps: int = STEPS,
) -> None:
    """Trains new heads alone, on the mean tokens of photos, of each group [N, D], and what is told of them.

    Args:
        damaged: the same photos, damaged; without them only what people rated is learned.
    """
    parts = [part for part in (whole, damaged) if part is not None]
    middle = {group: values.mean(0) for group, values in whole[0].items()}
    spread = {group: values.std(0) + 1e-3 for group, values in whole[0].items()}
    for head in judge.heads.heads.values():
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.AdamW(judge.heads.parameters(), LEARNING_RATE, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    count = len(whole[1].levels)
    for step in range(steps):
        rows = torch.randperm(count)[:PHOTOS_A_STEP]
        loss = torch.zeros(())
        means = []
        for tokens, told in parts:
            standard = {group: ((values[rows] - middle[group]) / spread[group])[:, None] for group, values in tokens.items()}
            logits = judge.heads(standard)[ALL]
            each = -(told.levels[rows] * logits.log_softmax(-1)).sum(-1)
            loss = loss + (each * told.known[rows]).sum() / told.known[rows].sum()
            means.append(logits.softmax(-1) @ judge.scores)
        if damaged is not None:
            falls = damaged[1].falls[rows]
            loss = loss + DAMAGE_WEIGHT / 2 * (falls - (means[0] - means[1])).relu()[falls > 0].mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 200 == 0:
            logger.info("heads: step %d of %d, loss %.3f", step, steps, loss.item())
    with torch.no_grad():  # of standard scores no more
        for group, head in judge.heads.heads.items():
            head.weight /= spread[group]
            head.bias -= head.weight @ middle[group]


@torch.inference_mode()
def say_aloud(
    model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor, cache: TokenCache, names: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """What the checkpoint itself says of photos whole: the levels' shares of what people rated, by photo and question."""
    prefix, suffixes = split_prompts([processor.rating_prompt_ids(key) for key in ALWAYS])
    said = {}
    for first in range(0, len(names), 2 * BATCH_SIZE):
        part = names[first : first + 2 * BATCH_SIZE]
        tokens = {group: values.float() for group, values in cache.tokens([{"image": name, "view": 0} for name in part]).items()}
        logits = SharedPrefix(model, prefix, image_features(tokens)).token_logits(suffixes, processor.level_ids)
        for name, shares in zip(part, logits.softmax(-1).tolist(), strict=True):
            said[name] = dict(zip(ALWAYS, shares, strict=True))
    return said


def averaged(said: Sequence[Mapping[str, Mapping[str, Sequence[float]]]]) -> dict[str, dict[str, list[float]]]:
    """The mean of what several checkpoints say, by photo and question."""
    return {
        name: {key: np.mean([each[name][key] for each in said], axis=0).tolist() for key in questions}
        for name, questions in said[0].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--model", type=Path, default=embedded_checkpoint(), help="default: the embedded checkpoint")
    parser.add_argument("--said-by", type=Path, nargs="*", default=(), help="others whose ratings are averaged with its own")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    set_seed(SEED)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(arguments.model, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(arguments.model)
    tower = model.model.vision_tower
    model.model.vision_tower = convert_vision(fetch(VISION, arguments.work), CANVAS)
    model.save_pretrained(arguments.work / ALIGNED)
    processor.save_pretrained(arguments.work / ALIGNED)
    model.model.vision_tower = UpperTower(tower)

    scale = processor.rating_scale
    photos, held_out, asked = read_photos(arguments.data, arguments.work, scale)
    book = Codebook(model.get_input_embeddings().weight, processor, PhraseBank()).requires_grad_(False)
    judge = open_judge(arguments.work, model, processor, photos, book)
    cache = TokenCache(arguments.work, judge, photos.cache, processor.num_group_tokens)
    known = [*photos.quality, *photos.beauty]
    names = [photo.name for photo in known]
    shown = random.Random(SEED).sample([photo.name for photo in photos.quality], min(2 * KEY_PHOTOS, len(photos.quality)))
    halves = (shown[: len(shown) // 2], shown[len(shown) // 2 :])
    of_halves = [cache.tokens([{"image": name, "view": 0} for name in half]) for half in halves]
    find_keys(book, photos.targets.bins, halves[0], of_halves[0])
    logger.info("bins read right: %s", bins_right(book, photos.targets.bins, halves[1], of_halves[1]))
    book.save(arguments.work)

    whole = cache.means(0, names)
    rated = Told.of([photos.row(photo, 0) for photo in known], scale, 1.0)
    only = [list(scale.questions).index(key) for key in ALWAYS]
    chosen = torch.zeros(len(scale.questions))
    chosen[only] = 1
    fit_heads(judge, (whole, replace(rated, known=rated.known * chosen)))
    judge.save(arguments.work / RATINGS_FILE)
    told_right(judge, held_out, asked)
    said = [say_aloud(model, processor, cache, names)]
    for other in arguments.said_by:
        speaker = AestheticMLLMForConditionalGeneration.from_pretrained(other, dtype=torch.float32)
        said.append(say_aloud(speaker, processor, cache, names))
    (arguments.work / SAID_FILE).write_text(json.dumps(averaged(said)))

    pairs = [photos.pair(photo, STRONGLY_DAMAGED) for photo in known]
    of_whole, of_damaged = (Told.of([pair[place] for pair in pairs], scale, RATED_WEIGHT) for place in (0, 1))
    fit_heads(judge, (whole, of_whole), (cache.means(STRONGLY_DAMAGED, names), of_damaged))
    judge.save(arguments.work / JUDGE_FILE)
    for damage, shares in damages_seen(judge, held_out).items():
        logger.info("%s: %s", damage, shares)


if __name__ == "__main__":
    main()
