"""Teaches nano's alignment module and upper tower to rate: what people rated, attributes and flaws, without the language model.

Each group of tokens alone must tell all ratings of a photo, and all together say them in the language model's code
(`rating_heads.py`); beside that the tokens go on telling the codes of pretext samples, so that nothing of the alignment is
forgotten. First come photos as they are, and the upper tower learns with everything; then photos beside themselves damaged, of
which the low- and middle-level queries alone learn, and then the heads alone: on tokens that stay as they are they come to read
damages far better. The photos that are validated on teach nothing, here and later.

This is no [`AestheticSFTTrainer`]: that one trains through the language model, which costs many times as much a step, and asks
one question a row.
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
from aesthetic_mllm.processing.rating_scale import ATTRIBUTE_QUESTIONS, RatingScale
from aesthetic_mllm.trainers.pretext_cache import CachedSample
from aesthetic_mllm.trainers.rating_metrics import rank_correlation

from .codebook import Codebook, question_name
from .coded_alignment import (
    ALIGNED,
    MIRRORED_SHARE,
    CodedAlignment,
    CodeLoss,
    MeasuredPretextSamples,
    mirrored,
    mirrored_bins,
    open_caches,
)
from .damaged_views import damage_strength
from .features import (
    ALL_VIEWS,
    DAMAGED_VIEWS,
    FEATURES,
    LARGE_DAMAGED_VIEWS,
    STRONGLY_DAMAGED,
    FeatureCache,
    UpperTower,
    has_view,
    is_damaged,
    is_seen_damaged,
    views_of,
)
from .kernel_ridge import QUALITY_ALPHA, kernel_ridge_predict
from .measuring import read_bins
from .prompts import FLAWS
from .rated_photos import ASKED, BEAUTY, GENERATED, LARGE, QUALITY, Photo, RatedPhoto, photo_key, read_all, split
from .rating_heads import BATCH_SIZE, RatingHeads, principal_components
from .targets import OVERALL_TAKES, Targets
from .token_cache import TokenCache

logger = logging.getLogger(__name__)

DAMAGED_GROUPS = ("low", "middle")  # that learn damages; what the others tell of beauty would suffer, as the heads' readings do
# Of the photos, by source; those of OASIS are few, and drawn often.
SHARES = {QUALITY: 0.55, BEAUTY: 0.25, GENERATED: 0.16, LARGE: 0.04}
MIRRORED = 0.5  # of the views
PAIRS_A_BATCH = 13  # of photos, whole and damaged
STRONGLY_SHARE = 0.6  # of the damaged views
PRETEXT_SAMPLES_A_STEP = 8
CODES_WEIGHT = 1.0  # of pretext samples beside ratings
# Before and after the damages; figures of the latter.
RATINGS_FILE, HEADS_FILE = "rating_heads_before_damages.safetensors", "rating_heads.safetensors"
HEADS_REPORT = "rating_heads.json"


class RatedPhotos:
    """The photos that ratings are learned from, and what is told of them.

    Args:
        photos: that may be learned from, of every source.
        cache: of their features.
        bins: measured, by photo.
    """

    def __init__(self, photos: Sequence[Photo], cache: FeatureCache, bins: Mapping[str, Mapping[str, int]]):
        self.cache = cache
        self.photos = [photo for photo in photos if photo.name in bins]
        self.by_source: dict[str, list[Photo]] = {}
        for photo in self.photos:
            self.by_source.setdefault(photo.source, []).append(photo)
        self.sources = list(self.by_source)
        rated = {photo.name: photo for photo in self.photos if isinstance(photo, RatedPhoto)}
        self.spreads = {(photo.name, ASKED[photo.source]): photo.std for photo in rated.values()}
        means = {name: photo.mean for name, photo in rated.items()}
        quality, beauty = self._predicted(means)
        generated = [photo.name for photo in self.by_source.get(GENERATED, [])]
        means |= raised_to(quality, {name: means[name] for name in generated})
        for name, photo in rated.items():
            (beauty if ASKED[photo.source] == "beauty" else quality)[name] = means[name]
        self.usual_spread = float(np.mean([photo.std for photo in rated.values() if photo.source == BEAUTY]))
        self.targets = Targets(quality, beauty, bins)

    def _predicted(self, means: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
        """What the people of a source would have said of the other photos: of quality BIQ2021's, of beauty OASIS's."""
        features = self.cache.pooled_of(self.photos)
        known = {source: self.cache.pooled_of(self.by_source[source]) for source in (QUALITY, BEAUTY)}
        given = {source: np.array([means[photo.name] for photo in self.by_source[source]]) for source in known}
        quality = Ridge(known[QUALITY], given[QUALITY], (QUALITY_ALPHA,))(features)
        beauty = kernel_ridge_predict(known[BEAUTY], given[BEAUTY], features, pool=known[QUALITY])
        names = [photo.name for photo in self.photos]
        found = [dict(zip(names, np.clip(values, 1, 10).tolist(), strict=True)) for values in (quality, beauty)]
        return found[0], found[1]

    def row(self, photo: Photo, view: int, mirrored: bool = False) -> dict[str, Any]:
        """All ratings of a view; of a damaged one those that people gave the photo are not known."""
        damaged = is_damaged(view)
        ratings = self.targets.of(photo.name, damage_strength(photo.name, view) if damaged else None)
        if not damaged:
            for question, mean in self.targets.whole[photo.name].items():
                usual = self.usual_spread if question == "beauty" else None
                ratings[question] = (mean, self.spreads.get((photo.name, question), usual))
        group = self.sources.index(photo.source)
        row = {"image": photo.name, "view": view, "mirrored": mirrored, "generated": photo.source == GENERATED}
        return row | {"ratings": ratings, "group": group}

    def draw(self, batches: int, rng: random.Random, pairs: int = PAIRS_A_BATCH, augmented: bool = True) -> list[dict[str, Any]]:
        """Rows for training, batch after batch: the sources are mixed in each, and some photos are in it whole and damaged.

        Args:
            augmented: whether photos are seen in part and mirrored, too.
        """
        mirrored = MIRRORED if augmented else 0.0
        left: dict[tuple[str, bool], list[Photo]] = {}

        def photo(damaged: bool) -> Photo:
            (source,) = rng.choices(self.sources, [SHARES[source] for source in self.sources])
            own = left.setdefault((source, damaged), [])
            if not own:
                drawn_from = [photo for photo in self.by_source[source] if not damaged or is_seen_damaged(photo)]
                own += rng.sample(drawn_from, len(drawn_from))
            return own.pop()

        rows = []
        for _ in range(batches):
            for _ in range(pairs):
                rows += self.pair(photo(damaged=True), rng, mirrored)
            for one in [photo(damaged=False) for _ in range(BATCH_SIZE - 2 * pairs)]:
                crops = views_of(one) - 1
                view = rng.randrange(1, crops + 1) if augmented and crops and rng.random() < 0.5 else 0
                rows.append(self.row(one, view, rng.random() < mirrored))
        return rows

    def pair(self, photo: Photo, rng: random.Random, mirrored_share: float = MIRRORED) -> list[dict[str, Any]]:
        """A photo whole, and damaged."""
        view = STRONGLY_DAMAGED if rng.random() < STRONGLY_SHARE else DAMAGED_VIEWS[0]
        if photo.source == LARGE:
            view = rng.choice(LARGE_DAMAGED_VIEWS)
        mirrored = rng.random() < mirrored_share
        whole, damaged = self.row(photo, 0, mirrored), self.row(photo, view, mirrored)
        taken = {key: whole["ratings"][key][0] - value for key, (value, _) in damaged["ratings"].items()}
        _, strength = damage_strength(photo.name, view)
        taken |= {key: points * strength for key, points in OVERALL_TAKES.items()}
        return [whole, damaged | {"undamaged": whole, "falls": taken}]


def raised_to(predicted: Mapping[str, float], given: Mapping[str, float]) -> dict[str, float]:
    """Ratings of one source as high on average as others would have rated its photos, by photo.

    Ratings of two sources do not compare: people rate generated images a point lower than those who rate photos would.
    One reading of both, as the language model's is, would spend itself on telling the two kinds apart.
    """
    if not given:
        return {}
    shift = float(np.mean([predicted[name] - rating for name, rating in given.items()]))
    return {name: min(max(rating + shift, 1.0), 10.0) for name, rating in given.items()}


def told_right(reader: RatingHeads, held_out: Sequence[Photo]) -> dict[str, dict[str, float]]:
    """SRCC of each group of tokens with people's ratings on held-out photos, by source."""
    found = {}
    for source, question in ASKED.items():
        photos = [photo for photo in held_out if photo.source == source and isinstance(photo, RatedPhoto)]
        rows = [
            {
                "image": photo.name,
                "view": 0,
                "generated": source == GENERATED,
                "question": question,
                "mean": photo.mean,
                "std": photo.std,
                "group": 0,
            }
            for photo in photos
        ]
        found[source] = reader.correlations(rows, question)
        logger.info("%s of %s, SRCC of each group on %d held-out photos: %s", question, source, len(photos), found[source])
    return found


def attributes_agree(reader: RatingHeads, held_out: Sequence[Photo]) -> dict[str, float]:
    """SRCC of each attribute with the mean of the others, on held-out photos as they are."""
    means = reader.means([{"image": photo.name, "view": 0} for photo in held_out]).numpy()
    own = {key: means[:, reader.heads.questions[key]] for key in ATTRIBUTE_QUESTIONS}
    return {
        key: rank_correlation(values, np.sum([other for name, other in own.items() if name != key], axis=0))
        for key, values in own.items()
    }


def damages_seen(reader: RatingHeads, held_out: Sequence[Photo]) -> dict[str, dict[str, float]]:
    """By damage, shares of the held-out photos that are cached strongly damaged: the attribute that it is about is rated lower
    than before; of all flaws, its own is rated lowest; is among the three lowest."""
    flaws = {key: reader.heads.questions[f"flaw_{key}"] for key in FLAWS}
    held_out = [photo for photo in held_out if has_view(photo, STRONGLY_DAMAGED)]
    before, after = (reader.means([{"image": p.name, "view": view} for p in held_out]) for view in (0, STRONGLY_DAMAGED))
    order = after[:, list(flaws.values())].argsort(1)
    seen: dict[str, list[tuple[float, float, float]]] = {}
    for index, photo in enumerate(held_out):
        damage, strength = damage_strength(photo.name, STRONGLY_DAMAGED)
        about = [reader.heads.questions[key] for key in damage.about]
        place = order[index].tolist().index(list(flaws).index(damage.flaw)) if damage.flaw in flaws else len(flaws)
        lower = bool((after[index, about] < before[index, about]).all())
        seen.setdefault(f"{damage.edit} {damage.sign:+d}", []).append((lower, place == 0, place < 3))
    return {
        name: dict(zip(("lower", "first", "third"), np.mean(shares, 0).round(3), strict=True)) for name, shares in seen.items()
    }


def bins_told(
    loss: CodeLoss, bins: Mapping[str, Mapping[str, int]]
) -> Callable[[dict[str, torch.Tensor], list[dict[str, Any]]], torch.Tensor]:
    """A loss of the tokens of photos that are seen whole: each level must tell the bins of its attributes."""

    def seen(row: dict[str, Any]) -> Mapping[str, int]:
        return mirrored_bins(bins[row["image"]]) if row.get("mirrored") else bins[row["image"]]

    def told(tokens: dict[str, torch.Tensor], rows: list[dict[str, Any]]) -> torch.Tensor:
        losses = [
            loss.measured(level, seen(row), tokens[level][index].float())[0]
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
    names = [photo.name for photo in photos.photos]
    components = dict(zip(names, principal_components(photos.cache.pooled_of(photos.photos)), strict=True))
    codes = book.directions([question_name(key) for key in processor.rating_scale.questions])
    told = bins_told(CodeLoss(book), photos.targets.bins)
    return RatingHeads(model, photos.cache.pixels, processor.rating_scale, components, codes, told)


def read_photos(data: Path, work: Path, scale: RatingScale) -> tuple[RatedPhotos, list[Photo]]:
    """The photos that may be learned from, and the others."""
    photos = read_all(data, scale)
    cache = FeatureCache(work, photos)
    if missing := [view for view in ALL_VIEWS if view not in cache.features]:
        raise FileNotFoundError(f'{work / FEATURES} lacks the views {missing}; run the stage "features" again.')
    known, held_out = split(photos)
    bins = read_bins(work)
    return RatedPhotos(known, cache, {photo.name: bins[key] for photo in photos if (key := photo_key(photo)) in bins}), held_out


def train_rating_heads(
    data: Path,
    work: Path,
    rating_steps: int,
    steps: int,
    head_steps: int,
    learning_rate: float,
    tower_learning_rate: float,
    head_learning_rate: float,
    seed: int,
) -> None:
    """From WORK/aligned to both files of rating heads, and what they read right.

    Args:
        rating_steps: on photos as they are.
        steps: beside damaged ones, and with pretext samples.
        head_steps: then, of the heads alone.
    """
    rng = random.Random(seed)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(work / ALIGNED, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(work / ALIGNED)
    book = Codebook.load(work, processor, PhraseBank())
    caches = open_caches(data, work, ALIGNED, seed)
    alignment = CodedAlignment(model.model.multi_modal_projector, book, processor.image_processor.canvas_size)
    photos, held_out = read_photos(data, work, processor.rating_scale)
    model.model.vision_tower = UpperTower(model.model.vision_tower)
    reader = open_rating_heads(model, processor, photos, book)
    reader.train(photos.draw(rating_steps, rng, pairs=0), learning_rate, tower_learning_rate)
    reader.round_tower()
    reader.save(work / RATINGS_FILE)
    before = told_right(reader, held_out)
    counts = processor.num_group_tokens
    TokenCache(work, reader, photos.cache, counts).view(0)  # what later stages read as it was before the damages
    beside = pretext_samples_beside(alignment, caches, rng)
    reader.train(photos.draw(steps, rng), learning_rate, beside=beside, groups=DAMAGED_GROUPS)
    tokens = TokenCache(work, reader, photos.cache, counts).tokens
    reader.train_heads(photos.draw(head_steps, rng, augmented=False), head_learning_rate, tokens)
    reader.save(work / HEADS_FILE)
    rated = [photo for photo in held_out if photo.source == QUALITY]
    report = {"before damages": before, "after": told_right(reader, held_out)}
    report |= {"attributes": attributes_agree(reader, rated), "damages": damages_seen(reader, rated)}
    logger.info("%s", {name: report[name] for name in ("attributes", "damages")})
    (work / HEADS_REPORT).write_text(json.dumps(report, indent=2) + "\n")
