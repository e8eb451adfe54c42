"""Goes on from a checkpoint: the code book and the judge's heads, which no checkpoint carries, are found again in its tokens.

    python recipes/nano/resume.py --data DATA --work build/nano --model CHECKPOINT   # after features.py, damages.py
    python recipes/nano/judge.py --data DATA --work build/nano --resumed data=[...]
    python recipes/nano/instruct.py --data DATA --work build/nano --critiques comments.parquet data=[...]

Tower and alignment module stay as they are here. The code book's directions are drawn from a seed, and so are the same ones; an
attribute's key is what its token holds on average beside the words of its photo's bin. The heads are linear, and fitted to the
mean token of each group in a minute. WORK/coded becomes that checkpoint with the public tower, whose lower stages it shares:
that is what the cached lessons were seen by.
"""

import argparse
import logging
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.pretext.lessons import LEVELS
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from codebook import Codebook
from coded_alignment import CodeLoss
from data import RatedPhoto
from features import CANVAS, DAMAGED_VIEWS, UpperTower
from judge import ALIGNED, RATINGS_FILE, RatedPhotos, damages_seen, open_judge, read_photos, told_right
from warm_start import WarmStart
from weights import VISION, convert_vision, fetch

logger = logging.getLogger("nano.resume")

SEED = 0
KEY_PHOTOS = 3_000  # that the keys are the means of
STEPS, PHOTOS_A_STEP, LEARNING_RATE = 500, 96, 2e-3
PAIR_SHARE = 0.4  # of the photos of a step, whole and damaged


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


class MeanTokens:
    """The mean token of each group, of every view that was read, [N, D]."""

    def __init__(self, judge: WarmStart, views: Sequence[tuple[str, int]]):
        self.at = {view: number for number, view in enumerate(views)}
        _, tokens = judge.read([{"image": name, "view": view} for name, view in views])
        self.means = {group: values.mean(1).clone() for group, values in tokens.items()}

    def of(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """As groups of one token, [B, 1, D]."""
        places = [self.at[row["image"], row["view"]] for row in rows]
        return {group: self.means[group][places][:, None] for group in TOKEN_GROUPS}


def fit_heads(judge: WarmStart, photos: RatedPhotos, tokens: MeanTokens, steps: int = STEPS, seed: int = SEED) -> None:
    """Trains the heads alone, on all ratings of photos whole and damaged."""
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(judge.heads.parameters(), LEARNING_RATE, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    known: list[RatedPhoto] = [*photos.quality, *photos.beauty]
    damaged = sorted({view for _, view in tokens.at} - {0})
    start = time.monotonic()
    for step in range(steps):
        rows: list[dict[str, Any]] = []
        for photo in rng.sample(known, PHOTOS_A_STEP):
            view = rng.choice(damaged) if damaged and rng.random() < PAIR_SHARE else 0
            rows += photos.pair(photo, view) if view and (photo.name, view) in tokens.at else [photos.row(photo, 0)]
        logits = judge.heads(tokens.of(rows))
        loss = judge.rating_loss(logits, rows) + judge.damage_loss(logits, rows)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 100 == 0:
            logger.info("heads: step %d of %d, %.0f s, loss %.3f", step, steps, time.monotonic() - start, loss.item())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--model", type=Path, default=embedded_checkpoint(), help="default: the embedded checkpoint")
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

    photos, held_out, asked = read_photos(arguments.data, arguments.work, processor.rating_scale)
    book = Codebook(model.get_input_embeddings().weight, processor, PhraseBank()).requires_grad_(False)
    judge = open_judge(arguments.work, model, processor, photos, book)
    names = [photo.name for photo in photos.quality]
    shown = random.Random(SEED).sample(names, min(2 * KEY_PHOTOS, len(names)))
    _, tokens = judge.read([{"image": name, "view": 0} for name in shown])
    half = len(shown) // 2
    find_keys(book, photos.targets.bins, shown[:half], {group: values[:half] for group, values in tokens.items()})
    told = bins_right(book, photos.targets.bins, shown[half:], {group: values[half:] for group, values in tokens.items()})
    logger.info("bins read right: %s", told)
    book.save(arguments.work)

    views = [(photo.name, view) for photo in (*photos.quality, *photos.beauty) for view in (0, *DAMAGED_VIEWS)]
    fit_heads(judge, photos, MeanTokens(judge, views))
    judge.save(arguments.work / RATINGS_FILE)
    told_right(judge, held_out, asked)
    for damage, shares in damages_seen(judge, held_out).items():
        logger.info("%s: %s", damage, shares)


if __name__ == "__main__":
    main()
