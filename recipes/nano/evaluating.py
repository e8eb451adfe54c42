"""All evaluations of the finished checkpoint on photos and people that no stage learned from, with nano's own baselines.

The evaluations themselves are `aesthetic_mllm.evaluation`; here is which photos they get, and what stands beside them.
"""

import json
import logging
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticAssessor, AestheticMLLMForConditionalGeneration
from aesthetic_mllm.data.record import Record
from aesthetic_mllm.data.sources.oasis_beauty import HIGH, LOW
from aesthetic_mllm.editing.measurements.pool_statistics import PoolStatistics
from aesthetic_mllm.evaluation.byte_perplexity import byte_perplexity
from aesthetic_mllm.evaluation.eval_attributes import attributes_table, evaluate_attributes
from aesthetic_mllm.evaluation.eval_comments import (
    comments_table,
    critique_perplexity,
    evaluate_comments,
    measured_bins,
    write_comments,
)
from aesthetic_mllm.evaluation.eval_personal import evaluate_personal, personal_table, ridge_predictions
from aesthetic_mllm.evaluation.eval_pretext import evaluate_pretext, pretext_table
from aesthetic_mllm.evaluation.eval_ratings import evaluate_ratings
from aesthetic_mllm.evaluation.eval_suggestions import evaluate_suggestions, suggestions_table
from aesthetic_mllm.evaluation.flaw_operating_points import evaluate_flaws, flaws_table
from aesthetic_mllm.evaluation.personal_protocols import Predict, Protocol
from aesthetic_mllm.evaluation.text_overlap import SharedNgrams
from aesthetic_mllm.personalization.ridge import Ridge
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_dataset import load_photo
from aesthetic_mllm.pretext.pretext_samples import PretextSampleMaker
from aesthetic_mllm.pretext.teachers import load_contents
from aesthetic_mllm.processing.image_processing_aesthetic_mllm import AestheticMLLMImageProcessor
from aesthetic_mllm.tasks.commenting import STYLES
from aesthetic_mllm.trainers.taste_fitting import fit_tastes

from .contents import CONFIDENCES, CONTENTS
from .devices import device
from .episodes import PERSONAL
from .features import CANVAS, FeatureCache, pool_stages
from .finishing import CHECKPOINT, flaw_photos, rate_pools
from .kernel_ridge import BEAUTY_ALPHA, QUALITY_ALPHA
from .language import CRITIQUES, healing_texts, split_texts, uncut
from .measuring import STATISTICS
from .people import PEOPLE_RATED, held_out_people, known_votes, read_people
from .rated_photos import (
    ASKED,
    BEAUTY,
    GENERATED,
    QUALITY,
    RatedPhoto,
    photo_key,
    read_all,
    read_beauty,
    read_generated,
    read_quality,
    split,
)
from .rating_heads import BATCH_SIZE
from .tastes import kept_features
from .unaligned import UNALIGNED
from .weights import VISION, convert_vision, fetch

logger = logging.getLogger(__name__)

EVALUATION = "evaluation"  # folder below WORK: a JSON and a Markdown file for each
SUBSETS = ("ss01", "ss02", "ss03")  # of BIQ2021
SOURCE_RANGE = (LOW, HIGH)
# A critique as `language.critique_texts` puts it; and a question as the uncut language model takes one.
CRITIQUE = re.compile(
    r"<\|im_start\|>user\n(Comment on (?:the .+ of )?this photo\.)<\|im_end\|>\n<\|im_start\|>assistant\n(.+)<\|im_end\|>\n"
)
UNCUT_PROMPT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


class Evaluations:
    """What the evaluations share: the checkpoint, and the photos of all sources, known and held out.

    Args:
        data, work: the run's folders.
        seed: of which photos are drawn.
    """

    def __init__(self, data: Path, work: Path, seed: int):
        self.data, self.work, self.seed = data, work, seed
        self.assessor = AestheticAssessor.from_pretrained(work / CHECKPOINT, device=device())
        self.scale = self.assessor.processor.rating_scale
        self.cache = FeatureCache(work, read_all(data, self.scale))
        self.known_quality, self.quality = split(read_quality(data, self.scale))
        self.known_beauty, self.beauty = split(read_beauty(data, self.scale))
        self.known_generated, self.generated = split(read_generated(data, self.scale))

    def run(self, names: Sequence[str], sizes: Mapping[str, int]) -> None:
        """Some of the evaluations, each into its files; one that is there already is not repeated.

        Args:
            names: of [`EVALUATIONS`].
            sizes: how many photos or texts each takes, by "name" or "name.what".
        """
        folder = self.work / EVALUATION
        folder.mkdir(exist_ok=True)
        for name in names:
            if (folder / f"{name}.md").exists():
                continue
            set_seed(self.seed)
            report, table = getattr(self, name)(sizes)
            (folder / f"{name}.json").write_text(json.dumps(report, indent=2, default=float) + "\n", encoding="utf-8")
            (folder / f"{name}.md").write_text(table + "\n", encoding="utf-8")
            logger.info("%s:\n%s", name, table)

    def ratings(self, sizes: Mapping[str, int]) -> tuple[dict, str]:
        """What people rated beside ridge regression on the same pixels, and what each group of tokens gives to them."""
        parts = {
            subset: [place for place, photo in enumerate(self.quality) if photo.name.startswith(subset)] for subset in SUBSETS
        }
        report = {}
        for source, known, asked, alpha in (
            (QUALITY, self.known_quality, self.quality, QUALITY_ALPHA),
            (BEAUTY, self.known_beauty, self.beauty, BEAUTY_ALPHA),
            (GENERATED, self.known_generated, self.generated, QUALITY_ALPHA),
        ):
            question = ASKED[source]
            baseline = self._ridge(known, alpha)(self.cache.pooled_of(asked))
            report[source] = evaluate_ratings(
                self.assessor,
                [photo.path for photo in asked],
                [photo.mean for photo in asked],
                question,
                baseline=baseline,
                parts=parts if source == QUALITY else None,
                exchange=True,
            )
        lines = [
            "| source | question | photos | SRCC | PLCC | ridge SRCC | gain (95% interval) |",
            "|---|---|---|---|---|---|---|",
        ]
        for source, found in report.items():
            low, high = found["srcc_gain_interval"]
            lines.append(
                f"| {source} | {ASKED[source]} | {found['n']} | {found['srcc']:.3f} | {found['plcc']:.3f} | "
                f"{found['baseline']['srcc']:.3f} | {found['srcc_gain']:+.3f} ({low:+.3f} to {high:+.3f}) |"
            )
        return report, "\n".join(lines)

    def attributes(self, sizes: Mapping[str, int]) -> tuple[dict, str]:
        """Whether attributes fall with their damages."""
        found = evaluate_attributes(self.assessor, [photo for _, photo in self._some(self.quality, sizes["attributes"])])
        report = {"results": [vars(one) | {"interval": one.interval} for one in found]}
        return report, attributes_table(found)

    def flaws(self, sizes: Mapping[str, int]) -> tuple[dict, str]:
        """What photos are told at the operating points of flaws."""
        pools = {name: sizes[f"flaws.{name}"] for name in ("learning", "reporting", "large")}
        ratings = rate_pools(self.assessor, self.data, self.work, self.quality, pools)
        report = {pool: evaluate_flaws(self.scale, ratings[pool]) for pool in ("reporting", "large")}
        return report, flaws_table(self.scale, report)

    def suggestions(self, sizes: Mapping[str, int]) -> tuple[dict, str]:
        """Whether suggestions undo damage of the best photos, none of which operating points were learned from."""
        reporting = set(flaw_photos(self.data, self.quality)["reporting"])
        good = [photo for photo in self.quality if photo.path in reporting]
        best = sorted(good, key=lambda photo: -photo.mean)[: sizes["suggestions"]]
        photos = {photo.name: photo.path for photo in best}
        undamaged = sizes["suggestions.undamaged"]
        judge = RidgeJudge(self.work, [(self.known_quality, QUALITY_ALPHA), (self.known_beauty, BEAUTY_ALPHA)], self.cache)
        report = evaluate_suggestions(self.assessor, photos, undamaged=undamaged, judge=judge, seed=self.seed)
        alone = "\n".join(f"- {name}: {value:.3g}" for name, value in (report["undamaged"] or {}).items())
        likeness = "\n".join(
            f"- {name}: {found['before']:.3g} before, {found['after']:.3g} after" for name, found in report["likeness"].items()
        )
        table = suggestions_table(report["damaged"])
        return report, f"{table}\n\nDamaged photos that were changed:\n{likeness}\n\nUndamaged photos:\n{alone}"

    def comments(self, sizes: Mapping[str, int]) -> tuple[dict, str]:
        """Whether comments are true, varied and nobody's words; perplexity of critiques beside the uncut language model's."""
        chosen = random.Random(self.seed).sample(self.quality, min(sizes["comments"], len(self.quality)))
        pool = random.Random(self.seed).sample(self.known_quality, min(sizes["comments.pool"], len(self.known_quality)))
        photos = {photo_key(photo): photo.path for photo in chosen}
        bins = measured_bins(photos, [photo.path for photo in pool])
        corpora = {"critiques": SharedNgrams(pd.read_parquet(self.data / CRITIQUES)["comment"].astype(str))}
        report: dict[str, Any] = {}
        likeliest = json.loads((self.work / CONFIDENCES).read_text())
        for style in STYLES:
            for name, texts in zip((f"{style}, unchecked", style), write_comments(self.assessor, photos, style), strict=True):
                report[name] = evaluate_comments(texts, bins, corpora)
            report[style]["names"] = names_told(texts, likeliest)
        table = comments_table(report)
        table += "\n" + "\n".join(f"Names in {style} comments: {report[style]['names']}." for style in STYLES)
        critiques = held_out_critiques(self.work, self.data / CRITIQUES, sizes["comments.critiques"])
        own = critique_perplexity(self.assessor, critiques)
        other = byte_perplexity(*uncut(self.work), [(UNCUT_PROMPT.format(prompt), text) for prompt, text in critiques])
        table += f"\nPerplexity per byte on {len(critiques)} held-out critiques: {own:.3f}, uncut language model {other:.3f}."
        return {"comments": report, "perplexity": {"checkpoint": own, "uncut": other}}, table

    def personal(self, sizes: Mapping[str, int]) -> tuple[dict, str]:
        """Personal ratings of held-out people, beside ridge regression on the public tower."""
        records = read_people(self.data)
        protocol = held_out_people(records)
        seen = kept_features(self.assessor, records, self.work, PERSONAL)
        baselines = {"public tower": self._people_on_the_tower(records, protocol)}
        prompted = (sizes["personal.prompted_people"], sizes["personal.prompted_draws"])
        report = evaluate_personal(
            self.assessor, seen, protocol, SOURCE_RANGE, baselines=baselines, prompted=prompted, question=PEOPLE_RATED
        )
        return report, personal_table(report)

    def pretext(self, sizes: Mapping[str, int]) -> tuple[dict, str]:
        """Pretext samples in held-out words, of the unaligned checkpoint and of this one."""
        before, after = (
            AestheticMLLMForConditionalGeneration.from_pretrained(self.work / name, dtype=torch.float32).eval()
            for name in (UNALIGNED, CHECKPOINT)
        )
        statistics, contents = PoolStatistics.load(self.work / STATISTICS), load_contents(self.work / CONTENTS)
        maker = PretextSampleMaker(PhraseBank(), statistics, contents, self.seed, held_out=True)
        probe = sizes["pretext.probe"]
        report = evaluate_pretext(
            before,
            after,
            self.assessor.processor,
            self._some(self.quality, sizes["pretext"]),
            self._some(self.known_quality, probe),
            maker,
            per_subject=sizes["pretext.per_subject"],
            probe_samples=probe,
            seed=self.seed,
        )
        return report, pretext_table(report)

    def _ridge(self, known: Sequence[RatedPhoto], alpha: float) -> Ridge:
        return Ridge(self.cache.pooled_of(known), np.array([photo.mean for photo in known]), (alpha,))

    def _some(self, photos: list[RatedPhoto], count: int) -> list[tuple[str, Image.Image]]:
        """Key and photo of a fixed random part."""
        chosen = random.Random(self.seed).sample(photos, min(count, len(photos)))
        return [(photo_key(photo), load_photo(str(photo.path))) for photo in chosen]

    def _people_on_the_tower(self, records: list[Record], protocol: Protocol) -> Predict:
        """Ridge regression on the public tower's features for everybody, and in the space of others' tastes for a person."""
        by_name = {photo.name: photo for photo in (*self.known_beauty, *self.beauty)}
        pooled = self.cache.pooled_of([by_name[record.image.name] for record in records]).astype(np.float64)
        votes = known_votes(records, protocol, self.scale)
        known = np.unique(votes.photo)
        means = np.array([votes.value[votes.photo == place].mean() for place in known])
        general = Ridge(pooled[known], means, (BEAUTY_ALPHA,))(pooled)
        return ridge_predictions(pooled, general, self.scale, SOURCE_RANGE, fit_tastes(pooled, votes, general))


EVALUATIONS = ("ratings", "attributes", "flaws", "suggestions", "comments", "personal", "pretext")


class RidgeJudge:
    """Quality and beauty by ridge regression on the public tower's pooled features, the sum as standard scores.

    Args:
        work: with the tower's weights.
        rated: photos with the ratings that regressions are fitted on, and the strength of each.
        cache: of their features.
    """

    def __init__(self, work: Path, rated: Sequence[tuple[list[RatedPhoto], float]], cache: FeatureCache):
        labels = [np.array([photo.mean for photo in photos]) for photos, _ in rated]
        self.spreads = [values.std() for values in labels]
        self.regressions = [
            Ridge(cache.pooled_of(photos), values, (alpha,)) for (photos, alpha), values in zip(rated, labels, strict=True)
        ]
        self.tower = convert_vision(fetch(VISION, work), CANVAS).to(device(), memory_format=torch.channels_last)
        self.image_processor = AestheticMLLMImageProcessor(canvas_size=CANVAS)

    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[N], the higher the better."""
        starts = range(0, len(images), BATCH_SIZE)
        features = np.concatenate([self.features(images[start : start + BATCH_SIZE]) for start in starts])
        return np.sum(
            [
                (regression(features) - regression.offset) / spread
                for regression, spread in zip(self.regressions, self.spreads, strict=True)
            ],
            axis=0,
        )

    @torch.inference_mode()
    def features(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[N, F]."""
        inputs = self.image_processor(list(images), return_tensors="pt")
        maps = self.tower(inputs["pixel_values"].to(device()), inputs["image_sizes"].to(device())).feature_maps
        return pool_stages([values.cpu() for values in maps], inputs["image_sizes"]).numpy()


def names_told(texts: Mapping[str, str], likeliest: Mapping[str, tuple[str, float]]) -> dict[str, Any]:
    """How many comments name what a photo shows, and how many of these names the public tower's classifier bears out.

    Args:
        texts: by key of the photo.
        likeliest: label and confidence by key; a name is borne out where it is the likeliest label, however unsure.
    """
    labels = sorted({label for label, _ in likeliest.values()}, key=len, reverse=True)
    pattern = re.compile(rf" of ({'|'.join(map(re.escape, labels))})\b")
    named = {key: found[1] for key, text in texts.items() if (found := pattern.search(text))}
    right = sum(likeliest[key][0] == label for key, label in named.items())
    return {"comments": len(texts), "named": len(named), "borne out": right}


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
