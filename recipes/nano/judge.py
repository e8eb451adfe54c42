"""Teaches nano's alignment module and upper tower to judge: what people rated, attributes and flaws, without the language model.

    python recipes/nano/judge.py --data DATA --work build/nano       # after coded_alignment.py and damages.py

Each group of tokens alone must tell all ratings of a photo, and all together say them in the language model's code
(`warm_start.py`); beside that the tokens go on telling the codes of pretext samples, so that nothing of the alignment is
forgotten. First come photos as they are, and the upper tower learns with everything; then photos beside themselves damaged, of
which the low- and middle-level queries alone learn. The OASIS photos of one fold are left out, here and later: what nano says of
beauty is validated on them.
"""

import argparse
import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS
from aesthetic_mllm.trainers.pretext_cache import SeenSample
from codebook import Codebook, question_name
from coded_alignment import MIRRORED_SHARE, CodedAlignment, CodeLoss, MeasuredPretextSamples, mirrored, open_caches
from damages import damage_strength
from data import RatedPhoto, beauty_fold, quality_validation, read_beauty, read_quality
from features import DAMAGED_VIEWS, STRONGLY_DAMAGED, FeatureCache, UpperTower, views_of
from prompts import FLAWS
from ridge import QUALITY_ALPHA, kernel_ridge_predict, ridge_predict
from targets import OVERALL_TAKES, Targets, read_bins
from warm_start import BATCH_SIZE, WarmStart, principal_components

logger = logging.getLogger("nano.judge")

SEED = 0
LEFT_OUT = 0  # fold of OASIS
RATING_STEPS, STEPS = 500, 450  # on photos as they are; then beside damaged ones, and with pretext samples
LEARNING_RATE, TOWER_LEARNING_RATE = 4e-4, 1.5e-4
DAMAGED_GROUPS = ("low", "middle")  # that learn damages; what the others tell of beauty would suffer, as the heads' readings do
BEAUTY_SHARE = 0.25  # of the photos; the others are of BIQ2021
PAIRS_A_BATCH = 13  # of photos, whole and damaged
STRONGLY_SHARE = 0.6  # of the damaged views
QUALITY_PART = 0.25  # of the movement that quality gives to the aesthetic score of BIQ2021 photos, beside beauty's spread
PRETEXT_SAMPLES_A_STEP = 8
CODES_WEIGHT = 1.0  # of pretext samples beside ratings
ALIGNED = "coded"
RATINGS_FILE, JUDGE_FILE = "judge_ratings.safetensors", "judge.safetensors"  # before and after the damages


class RatedPhotos:
    """The photos that ratings are learned from, and what is told of them.

    Args:
        quality, beauty: photos with people's ratings of technical quality, and of beauty.
        cache: of their features.
        bins: measured, by photo.
    """

    def __init__(
        self,
        quality: Sequence[RatedPhoto],
        beauty: Sequence[RatedPhoto],
        cache: FeatureCache,
        bins: Mapping[str, Mapping[str, int]],
    ):
        self.quality = [photo for photo in quality if photo.name in bins]
        self.beauty = list(beauty)
        self.cache = cache
        features = {"quality": cache.pooled_of(self.quality), "beauty": cache.pooled_of(self.beauty)}
        quality_means, beauty_means = (np.array([photo.mean for photo in photos]) for photos in (self.quality, self.beauty))
        # each source's photos with what the other's people would have said
        made_beauty = kernel_ridge_predict(features["beauty"], beauty_means, features["quality"], pool=features["quality"])
        made_quality = ridge_predict(features["quality"], quality_means, features["beauty"], QUALITY_ALPHA)
        standard = (quality_means - made_quality.mean()) / quality_means.std()
        made_beauty = made_beauty + QUALITY_PART * made_beauty.std() * standard
        names = [photo.name for photo in (*self.quality, *self.beauty)]
        whole_quality = np.clip(np.concatenate([quality_means, made_quality]), 1, 10)
        whole_beauty = np.clip(np.concatenate([made_beauty, beauty_means]), 1, 10)
        self.spread = {photo.name: photo.std for photo in self.beauty}
        self.usual_spread = float(np.mean([photo.std for photo in self.beauty]))
        self.targets = Targets(
            dict(zip(names, map(float, whole_quality), strict=True)),
            dict(zip(names, map(float, whole_beauty), strict=True)),
            bins,
        )

    def row(self, photo: RatedPhoto, view: int) -> dict[str, Any]:
        """All ratings of a view; of a damaged one those that people gave the photo are not known."""
        damaged = view in DAMAGED_VIEWS
        ratings = self.targets.of(photo.name, damage_strength(photo.name, view) if damaged else None)
        if not damaged:
            ratings["quality"] = (self.targets.quality[photo.name], None)
            spread = self.spread.get(photo.name, self.usual_spread)
            ratings["aesthetic"] = (self.targets.beauty[photo.name], spread)
        return {"image": photo.name, "view": view, "ratings": ratings, "group": int(photo.name in self.spread)}

    def draw(self, batches: int, rng: random.Random, pairs: int = PAIRS_A_BATCH) -> list[dict[str, Any]]:
        """Rows for training, batch after batch: the sources are mixed in each, and some photos are in it whole and damaged."""
        left: dict[str, list[RatedPhoto]] = {"quality": [], "beauty": []}

        def photo() -> RatedPhoto:
            source = "beauty" if rng.random() < BEAUTY_SHARE else "quality"
            if not left[source]:
                left[source] = rng.sample(getattr(self, source), len(getattr(self, source)))
            return left[source].pop()

        rows = []
        for _ in range(batches):
            for _ in range(pairs):
                rows += self.pair(photo(), STRONGLY_DAMAGED if rng.random() < STRONGLY_SHARE else DAMAGED_VIEWS[0])
            for one in [photo() for _ in range(BATCH_SIZE - 2 * pairs)]:
                rows.append(self.row(one, rng.choice([0, rng.randrange(1, views_of(one))])))
        return rows

    def pair(self, photo: RatedPhoto, view: int) -> list[dict[str, Any]]:
        """A photo whole, and damaged."""
        whole, damaged = self.row(photo, 0), self.row(photo, view)
        taken = {key: whole["ratings"][key][0] - value for key, (value, _) in damaged["ratings"].items()}
        _, strength = damage_strength(photo.name, view)
        taken |= {key: points * strength for key, points in OVERALL_TAKES.items()}
        return [whole, damaged | {"undamaged": whole, "falls": taken}]


def told_right(judge: WarmStart, quality: Sequence[RatedPhoto], beauty: Sequence[RatedPhoto]) -> dict[str, dict[str, float]]:
    """SRCC of each group of tokens on held-out photos, by question."""
    found = {}
    for question, photos in (("quality", quality), ("aesthetic", beauty)):
        rows = [{"image": p.name, "view": 0, "question": question, "mean": p.mean, "std": p.std, "group": 0} for p in photos]
        found[question] = judge.correlations(rows, question)
        logger.info("%s, SRCC of each group on held-out photos: %s", question, found[question])
    return found


def damages_seen(judge: WarmStart, held_out: Sequence[RatedPhoto]) -> dict[str, dict[str, float]]:
    """By damage, shares of held-out photos, strongly damaged: the attribute that it is about is rated lower than before; of all
    flaws, its own is rated lowest; is among the three lowest."""
    flaws = {key: judge.heads.questions[f"flaw_{key}"] for key in FLAWS}
    before, after = (judge.means([{"image": p.name, "view": view} for p in held_out]) for view in (0, STRONGLY_DAMAGED))
    order = after[:, list(flaws.values())].argsort(1)
    seen: dict[str, list[tuple[float, float, float]]] = {}
    for index, photo in enumerate(held_out):
        damage, strength = damage_strength(photo.name, STRONGLY_DAMAGED)
        about = [judge.heads.questions[key] for key, takes in damage.attributes.items() if takes == 1]
        place = order[index].tolist().index(list(flaws).index(damage.flaw)) if damage.flaw else len(flaws)
        lower = bool((after[index, about] < before[index, about]).all())
        seen.setdefault(f"{damage.edit} {damage.sign:+d}", []).append((lower, place == 0, place < 3))
    return {
        name: dict(zip(("lower", "first", "third"), np.mean(shares, 0).round(3), strict=True)) for name, shares in seen.items()
    }


def bins_told(
    loss: CodeLoss, bins: Mapping[str, Mapping[str, int]]
) -> Callable[[dict[str, torch.Tensor], list[dict[str, Any]]], torch.Tensor]:
    """A loss of the tokens of photos that are seen whole: each level must tell the bins of its attributes."""

    def told(tokens: dict[str, torch.Tensor], rows: list[dict[str, Any]]) -> torch.Tensor:
        losses = [
            loss.measured(level, bins[row["image"]], tokens[level][index].float())[0]
            for index, row in enumerate(rows)
            if row["view"] == 0 and row["image"] in bins
            for level in LEVELS
        ]
        return CODES_WEIGHT * torch.stack(losses).mean() if losses else tokens["low"].sum() * 0

    return told


def pretext_samples_beside(
    alignment: CodedAlignment, caches: Sequence[MeasuredPretextSamples], rng: random.Random
) -> Callable[[], torch.Tensor]:
    """A loss of pretext samples drawn at random, but for those of high level, which were cached behind what learns."""

    def draw() -> tuple[SeenSample, Mapping[str, int] | None]:
        while True:
            cache = rng.choice(caches)
            sample, bins = cache[rng.randrange(len(cache))]
            if sample.pretext_sample.level != "high":
                return mirrored(sample, bins) if rng.random() < MIRRORED_SHARE else (sample, bins)

    return lambda: CODES_WEIGHT * alignment.losses([draw() for _ in range(PRETEXT_SAMPLES_A_STEP)])[0]


def open_judge(
    work: Path,
    model: AestheticMLLMForConditionalGeneration,
    processor: AestheticMLLMProcessor,
    photos: RatedPhotos,
    book: Codebook,
) -> WarmStart:
    """Tower, alignment module and heads, as they are before training or as `load` finds them."""
    names = [photo.name for photo in photos.quality]
    components = dict(zip(names, principal_components(photos.cache.pooled_of(photos.quality)), strict=True))
    codes = book.directions([question_name(key) for key in processor.rating_scale.questions])
    told = bins_told(CodeLoss(book), photos.targets.bins)
    return WarmStart(model, photos.cache.pixels, processor.rating_scale, components, codes, told)


def read_photos(data: Path, work: Path, scale: Any) -> tuple[RatedPhotos, list[RatedPhoto], list[RatedPhoto]]:
    """What may be learned from; and the held-out photos of either question."""
    quality, beauty = read_quality(data, scale), read_beauty(data, scale)
    cache = FeatureCache(work, quality + beauty)
    if missing := [view for view in DAMAGED_VIEWS if view not in cache.features]:
        raise FileNotFoundError(f"{work}/features lacks the damaged views {missing}; run damages.py first.")
    names, folds = quality_validation(quality), beauty_fold(beauty)
    bins = read_bins(work, quality, beauty)
    known = [photo for photo in quality if photo.name not in names], [p for p in beauty if folds[p.name] != LEFT_OUT]
    held_out = [photo for photo in quality if photo.name in names], [p for p in beauty if folds[p.name] == LEFT_OUT]
    return RatedPhotos(*known, cache, bins), *held_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--rating-steps", type=int, default=RATING_STEPS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("align.yaml"))
    parser.add_argument("overrides", nargs="*", help="key=value, as of `coded_alignment.py`")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    set_seed(SEED)
    rng = random.Random(SEED)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(arguments.work / ALIGNED, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(arguments.work / ALIGNED)
    book = Codebook.load(arguments.work, processor, PhraseBank())
    caches = open_caches(arguments.config, [f"model={arguments.work / ALIGNED}", *arguments.overrides], arguments.work)
    alignment = CodedAlignment(model.model.multi_modal_projector, book, processor.image_processor.canvas_size)
    photos, held_out, asked = read_photos(arguments.data, arguments.work, processor.rating_scale)
    model.model.vision_tower = UpperTower(model.model.vision_tower)
    judge = open_judge(arguments.work, model, processor, photos, book)
    judge.train(photos.draw(arguments.rating_steps, rng, pairs=0), LEARNING_RATE, TOWER_LEARNING_RATE)
    judge.round_tower()
    judge.save(arguments.work / RATINGS_FILE)
    told_right(judge, held_out, asked)
    rows = photos.draw(arguments.steps, rng)
    judge.train(rows, LEARNING_RATE, beside=pretext_samples_beside(alignment, caches, rng), groups=DAMAGED_GROUPS)
    judge.save(arguments.work / JUDGE_FILE)
    report = told_right(judge, held_out, asked) | {"damages": damages_seen(judge, held_out)}
    (arguments.work / "judge.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
