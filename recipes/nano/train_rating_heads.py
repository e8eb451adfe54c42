"""Teaches nano's alignment module and upper tower to rate: what people rated, attributes and flaws, without the language model.

Each group of tokens alone must tell all ratings of a photo, and all together say them in the language model's code
(`rating_heads.py`); beside that the tokens go on telling the codes of pretext samples, so that nothing of the alignment is
forgotten. First come photos as they are, and the upper tower learns with everything; then photos beside themselves damaged, of
which the low- and middle-level queries alone learn. The photos that are validated on teach nothing, here and later.
"""

import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.personalization.ridge import Ridge
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS
from aesthetic_mllm.processing.rating_scale import RatingScale
from aesthetic_mllm.trainers.pretext_cache import CachedSample

from .codebook import Codebook, question_name
from .coded_alignment import ALIGNED, MIRRORED_SHARE, CodedAlignment, CodeLoss, MeasuredPretextSamples, mirrored, open_caches
from .damaged_views import damage_strength
from .features import DAMAGED_VIEWS, FEATURES, STRONGLY_DAMAGED, FeatureCache, UpperTower, views_of
from .kernel_ridge import QUALITY_ALPHA, kernel_ridge_predict
from .prompts import FLAWS
from .rated_photos import RatedPhoto, read_beauty, read_quality, split
from .rating_heads import BATCH_SIZE, RatingHeads, principal_components
from .targets import OVERALL_TAKES, Targets, read_bins

logger = logging.getLogger(__name__)

DAMAGED_GROUPS = ("low", "middle")  # that learn damages; what the others tell of beauty would suffer, as the heads' readings do
BEAUTY_SHARE = 0.25  # of the photos; the others are of BIQ2021
PAIRS_A_BATCH = 13  # of photos, whole and damaged
STRONGLY_SHARE = 0.6  # of the damaged views
QUALITY_PART = 0.25  # of the movement that quality gives to the aesthetic score of BIQ2021 photos, beside beauty's spread
PRETEXT_SAMPLES_A_STEP = 8
CODES_WEIGHT = 1.0  # of pretext samples beside ratings
# Before and after the damages; figures of the latter.
RATINGS_FILE, HEADS_FILE = "rating_heads_before_damages.safetensors", "rating_heads.safetensors"
HEADS_REPORT = "rating_heads.json"


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
        made_quality = Ridge(features["quality"], quality_means, (QUALITY_ALPHA,))(features["beauty"])
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


def told_right(reader: RatingHeads, quality: Sequence[RatedPhoto], beauty: Sequence[RatedPhoto]) -> dict[str, dict[str, float]]:
    """SRCC of each group of tokens on held-out photos, by question."""
    found = {}
    for question, photos in (("quality", quality), ("aesthetic", beauty)):
        rows = [{"image": p.name, "view": 0, "question": question, "mean": p.mean, "std": p.std, "group": 0} for p in photos]
        found[question] = reader.correlations(rows, question)
        logger.info("%s, SRCC of each group on held-out photos: %s", question, found[question])
    return found


def damages_seen(reader: RatingHeads, held_out: Sequence[RatedPhoto]) -> dict[str, dict[str, float]]:
    """By damage, shares of held-out photos, strongly damaged: the attribute that it is about is rated lower than before; of all
    flaws, its own is rated lowest; is among the three lowest."""
    flaws = {key: reader.heads.questions[f"flaw_{key}"] for key in FLAWS}
    before, after = (reader.means([{"image": p.name, "view": view} for p in held_out]) for view in (0, STRONGLY_DAMAGED))
    order = after[:, list(flaws.values())].argsort(1)
    seen: dict[str, list[tuple[float, float, float]]] = {}
    for index, photo in enumerate(held_out):
        damage, strength = damage_strength(photo.name, STRONGLY_DAMAGED)
        about = [reader.heads.questions[key] for key in damage.about]
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

    def draw() -> tuple[CachedSample, Mapping[str, int] | None]:
        while True:
            cache = rng.choice(caches)
            sample, bins = cache[rng.randrange(len(cache))]
            if sample.pretext_sample.level != "high":
                return mirrored(sample, bins) if rng.random() < MIRRORED_SHARE else (sample, bins)

    return lambda: CODES_WEIGHT * alignment.losses([draw() for _ in range(PRETEXT_SAMPLES_A_STEP)])[0]


def open_rating_heads(
    model: AestheticMLLMForConditionalGeneration,
    processor: AestheticMLLMProcessor,
    photos: RatedPhotos,
    book: Codebook,
) -> RatingHeads:
    """Tower, alignment module and heads, as they are before training or as `load` finds them."""
    names = [photo.name for photo in photos.quality]
    components = dict(zip(names, principal_components(photos.cache.pooled_of(photos.quality)), strict=True))
    codes = book.directions([question_name(key) for key in processor.rating_scale.questions])
    told = bins_told(CodeLoss(book), photos.targets.bins)
    return RatingHeads(model, photos.cache.pixels, processor.rating_scale, components, codes, told)


def read_photos(data: Path, work: Path, scale: RatingScale) -> tuple[RatedPhotos, list[RatedPhoto], list[RatedPhoto]]:
    """What may be learned from; and the held-out photos of either question."""
    quality, beauty = read_quality(data, scale), read_beauty(data, scale)
    cache = FeatureCache(work, quality + beauty)
    if missing := [view for view in DAMAGED_VIEWS if view not in cache.features]:
        raise FileNotFoundError(f'{work / FEATURES} lacks the damaged views {missing}; run the stage "features" again.')
    known_quality, asked_quality = split(quality)
    known_beauty, asked_beauty = split(beauty)
    return RatedPhotos(known_quality, known_beauty, cache, read_bins(work, quality, beauty)), asked_quality, asked_beauty


def train_rating_heads(
    data: Path, work: Path, rating_steps: int, steps: int, learning_rate: float, tower_learning_rate: float, seed: int
) -> None:
    """From WORK/aligned to both files of rating heads, and what they read right.

    Args:
        rating_steps: on photos as they are.
        steps: beside damaged ones, and with pretext samples.
    """
    rng = random.Random(seed)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(work / ALIGNED, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(work / ALIGNED)
    book = Codebook.load(work, processor, PhraseBank())
    caches = open_caches(data, work, ALIGNED, seed)
    alignment = CodedAlignment(model.model.multi_modal_projector, book, processor.image_processor.canvas_size)
    photos, held_out, asked = read_photos(data, work, processor.rating_scale)
    model.model.vision_tower = UpperTower(model.model.vision_tower)
    reader = open_rating_heads(model, processor, photos, book)
    reader.train(photos.draw(rating_steps, rng, pairs=0), learning_rate, tower_learning_rate)
    reader.round_tower()
    reader.save(work / RATINGS_FILE)
    told_right(reader, held_out, asked)
    beside = pretext_samples_beside(alignment, caches, rng)
    reader.train(photos.draw(steps, rng), learning_rate, beside=beside, groups=DAMAGED_GROUPS)
    reader.save(work / HEADS_FILE)
    report = told_right(reader, held_out, asked) | {"damages": damages_seen(reader, held_out)}
    (work / HEADS_REPORT).write_text(json.dumps(report, indent=2) + "\n")
