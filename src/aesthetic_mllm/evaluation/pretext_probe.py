"""The baseline of pretext items: ridge regression on the frozen tower's pooled features."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..personalization.ridge import Ridge
from ..pretext.phrase_bank import BINS
from ..pretext.pretext_samples import LEVELS, PretextSample, PretextSampleMaker, draw_amount
from .pretext_evaluator import Answer, choose
from .pretext_features import PretextFeatures
from .pretext_items import Choice, PretextItem, edit_of, measure_bins


@dataclass(frozen=True)
class ProbePretextSamples:
    """What probes are fitted on.

    Args:
        pairs: pretext samples about edits, of each level that has some.
        photos: of the measured attributes and contents.
        bins: of each photo and attribute.
        contents: of each photo, `None` where a teacher named nothing.
    """

    pairs: dict[str, list[PretextSample]]
    photos: list[Image.Image]
    bins: list[dict[str, int]]
    contents: list[str | None]

    @property
    def images(self) -> list[Image.Image]:
        """All that a tower must see: the photos, then each level's pairs."""
        return [
            *self.photos,
            *(
                image
                for pretext_samples in self.pairs.values()
                for pretext_sample in pretext_samples
                for image in pretext_sample.images
            ),
        ]


def probe_pretext_samples(
    photos: Sequence[tuple[str, Image.Image]], maker: PretextSampleMaker, pretext_samples: int, seed: int = 0
) -> ProbePretextSamples:
    """Pretext samples of photos that no item asks about.

    Args:
        photos: key and photo of each.
        maker: of the items.
        pretext_samples: of each level's edits in turn, with amounts drawn as in training. Attributes are measured of at most so
            many photos.
        seed: of all draws.
    """
    pairs: dict[str, list[PretextSample]] = {}
    for level in LEVELS:
        edits = maker.edits[level]
        if not edits:
            continue
        pairs[level] = []
        for number in range(pretext_samples):
            key, photo = photos[number % len(photos)]
            edit = edits[number % len(edits)]
            rng = random.Random(f"probe:{seed}:{level}:{number}:{key}")
            pairs[level].append(maker.altered(photo, edit, draw_amount(edit, rng), rng))
    chosen = photos[:pretext_samples]
    return ProbePretextSamples(
        pairs, [photo for _, photo in chosen], measure_bins(chosen, maker), [maker.contents.get(key) for key, _ in chosen]
    )


class PretextProbe:
    """Ridge regressions that answer items from pooled features of the frozen tower.

    Of a pair they see the second photo, the difference to the first, and its size. Edit and direction together are one
    classification over both, as the language model's texts are; how strong, a regression of the share of the strong amount
    that is told the edit, and answers whichever fixed amount is nearer.

    Args:
        pretext_samples: to fit on.
        seen: of `pretext_samples.images`.
        all_maps: use all three feature maps, not that of the pretext sample's own level alone.
    """

    def __init__(self, pretext_samples: ProbePretextSamples, seen: PretextFeatures, all_maps: bool = False):
        self.all_maps = all_maps
        count = len(pretext_samples.photos)
        self.bins: dict[str, Ridge] = {}
        self.edits: dict[str, Ridge] = {}
        self.strengths: dict[str, Ridge] = {}
        self.signed_edits: dict[str, list[tuple[str, str]]] = {}
        self.photos = {level: self._features(seen, level)[:count] for level in LEVELS}
        self.bin_labels = pretext_samples.bins
        known = [index for index, label in enumerate(pretext_samples.contents) if label is not None]
        self.labels = sorted({label for label in pretext_samples.contents if label is not None})
        self.content: Ridge | None = None
        if len(self.labels) > 1:
            targets = np.array([[pretext_samples.contents[index] == label for label in self.labels] for index in known])
            self.content = Ridge(self.photos["high"][known], targets)
        for level, pairs in pretext_samples.pairs.items():
            features = self._pairs(self._features(seen, level)[count : count + 2 * len(pairs)])
            count += 2 * len(pairs)
            made = [tuple(pretext_sample.label.split(":")[:2]) for pretext_sample in pairs]
            self.signed_edits[level] = sorted(set(made))
            targets = np.array([[edit == other for other in self.signed_edits[level]] for edit in made], dtype=np.float64)
            self.edits[level] = Ridge(features, targets)
            shares = np.array([[abs(pretext_sample.signed_strength)] for pretext_sample in pairs])
            self.strengths[level] = Ridge(np.concatenate([features, targets], axis=1), shares)

    def answers(self, items: Sequence[PretextItem], seen: PretextFeatures) -> list[Answer]:
        """Of all questions of all items, in their order; `seen` is of the items' photos."""
        features = {level: self._features(seen, level) for level in LEVELS}
        answers, place = [], 0
        for item in items:
            level = item.pretext_sample.level
            rows = features[level][place : place + len(item.pretext_sample.images)]
            place += len(rows)
            for choice in item.choices:
                answers.append(choose(item, choice, self._values(item, choice, rows)))
        return answers

    def _values(self, item: PretextItem, choice: Choice, rows: np.ndarray) -> list[float]:
        level, subject = item.pretext_sample.level, item.pretext_sample.subject
        if choice.aspect == "bin":
            return self._bin_values(level, subject, rows)
        if choice.aspect == "content":
            if self.content is None:
                return [0.0] * len(choice.options)
            found = dict(zip(self.labels, self.content(rows)[0], strict=True))
            return [found.get(option, 0.0) for option in choice.options]  # 0: never seen in training
        pair = self._pairs(rows)
        if choice.aspect == "strength":
            edit = edit_of(item)
            known = np.array([[(subject, item.direction) == other for other in self.signed_edits[level]]], dtype=np.float64)
            share = float(self.strengths[level](np.concatenate([pair, known], axis=1))[0, 0])
            return [-abs(share - edit.barely / edit.strong), -abs(share - 1)]
        found = dict(zip(self.signed_edits[level], self.edits[level](pair)[0], strict=True))
        if choice.aspect == "direction":
            return [found.get((subject, direction), 0.0) for direction in choice.options]
        return [max((value for (name, _), value in found.items() if name == option), default=0.0) for option in choice.options]

    def _bin_values(self, level: str, subject: str, rows: np.ndarray) -> list[float]:
        """Shares of the bins, about 0 to 1; fitted when first asked for."""
        if subject not in self.bins:
            bins = np.array([bins[subject] for bins in self.bin_labels])
            self.bins[subject] = Ridge(self.photos[level], np.eye(BINS)[bins])
        return self.bins[subject](rows)[0].tolist()

    def _features(self, seen: PretextFeatures, level: str) -> np.ndarray:
        return np.concatenate([seen.pooled[name] for name in LEVELS], axis=1) if self.all_maps else seen.pooled[level]

    def _pairs(self, rows: np.ndarray) -> np.ndarray:
        before, after = rows[0::2], rows[1::2]
        return np.concatenate([after, after - before, np.abs(after - before)], axis=1)
