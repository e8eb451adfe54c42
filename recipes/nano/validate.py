"""Measures nano on photos that it was not trained on, beside ridge regression on the same pixels.

    python recipes/nano/validate.py --data DATA --work build/nano --output build/nano/validation.json

Quality: 1,000 BIQ2021 photos. Aesthetic: the fifth of OASIS that was left out of all training. Then each group of visual tokens
is exchanged for that of another photo: the correlation that is lost tells what the model takes from the group. Correlations are
over all photos of a set; intervals are 95% of a paired bootstrap over photos.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.modeling.token_placement import image_features
from data import RatedPhoto, beauty_fold, quality_validation, read_beauty, read_quality
from features import FeatureCache
from judge import LEFT_OUT
from ridge import BEAUTY_ALPHA, QUALITY_ALPHA, ridge_predict

BATCH_SIZE = 16
RESAMPLES = 2_000
SEED = 0


class Rater:
    """A checkpoint that rates photos from pixels, with its groups of visual tokens exchanged at will."""

    def __init__(self, folder: Path):
        self.model = AestheticMLLMForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = AestheticMLLMProcessor.from_pretrained(folder)

    @torch.inference_mode()
    def tokens(self, photos: Sequence[RatedPhoto]) -> dict[str, torch.Tensor]:
        """Each group's tokens of all photos, [N, T, D]."""
        parts: dict[str, list[torch.Tensor]] = {group: [] for group in TOKEN_GROUPS}
        for start in range(0, len(photos), BATCH_SIZE):
            batch = [photo.path for photo in photos[start : start + BATCH_SIZE]]
            pixels = self.processor.image_processor(batch, return_tensors="pt")
            for group, values in self.model.get_image_features(**pixels).tokens.items():
                parts[group].append(values)
        return {group: torch.cat(values) for group, values in parts.items()}

    @torch.inference_mode()
    def rate(self, tokens: dict[str, torch.Tensor], question: str) -> np.ndarray:
        """Mean ratings from visual tokens."""
        prompt = torch.tensor([self.processor.rating_prompt_ids(question)])
        means = []
        for start in range(0, len(tokens["low"]), BATCH_SIZE):
            part = {group: values[start : start + BATCH_SIZE] for group, values in tokens.items()}
            size = len(part["low"])
            logits = self.model.level_logits(
                self.processor.level_ids,
                input_ids=prompt.expand(size, -1),
                attention_mask=torch.ones(size, prompt.shape[1], dtype=torch.long),
                mm_encoder_outputs={"image": image_features(part)},
            )
            means += [rating.mean for rating in self.processor.rating_scale.read_level_logits(logits, question)]
        return np.array(means)

    def lost_by_exchange(self, tokens: dict[str, torch.Tensor], question: str, labels: np.ndarray) -> dict[str, float]:
        """SRCC lost when one group's tokens are those of another photo."""
        whole = spearmanr(self.rate(tokens, question), labels)[0]
        others = torch.roll(torch.arange(len(labels)), 1)
        return {
            group: whole - spearmanr(self.rate(tokens | {group: tokens[group][others]}, question), labels)[0]
            for group in TOKEN_GROUPS
        }


def compare(model: np.ndarray, ridge: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """SRCC and PLCC of both, and the 95% interval of the difference in SRCC."""
    rng = np.random.default_rng(SEED)
    gains = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(len(labels), size=len(labels))
        gains.append(spearmanr(model[chosen], labels[chosen])[0] - spearmanr(ridge[chosen], labels[chosen])[0])
    return {
        "photos": len(labels),
        "model": {"srcc": spearmanr(model, labels)[0], "plcc": pearsonr(model, labels)[0]},
        "ridge": {"srcc": spearmanr(ridge, labels)[0], "plcc": pearsonr(ridge, labels)[0]},
        "srcc_gain": spearmanr(model, labels)[0] - spearmanr(ridge, labels)[0],
        "srcc_gain_interval": list(np.percentile(gains, [2.5, 97.5])),
    }


def validate_quality(checkpoint: Path, photos: list[RatedPhoto], cache: FeatureCache) -> dict:
    names = quality_validation(photos)
    known, asked = ([p for p in photos if (p.name in names) is held_out] for held_out in (False, True))
    labels = np.array([photo.mean for photo in asked])
    ridge = ridge_predict(cache.pooled_of(known), np.array([p.mean for p in known]), cache.pooled_of(asked), QUALITY_ALPHA)
    rater = Rater(checkpoint)
    tokens = rater.tokens(asked)
    means = rater.rate(tokens, "quality")
    report = compare(means, ridge, labels)
    report["by_subset"] = {
        subset: spearmanr(*(x[[p.name.startswith(subset) for p in asked]] for x in (means, labels)))[0]
        for subset in ("ss01", "ss02", "ss03")
    }
    report["lost_by_exchange"] = rater.lost_by_exchange(tokens, "quality", labels)
    return report


def validate_aesthetic(checkpoint: Path, photos: list[RatedPhoto], cache: FeatureCache) -> dict:
    """On the OASIS photos that `judge.py` left out; the ridge did not see them either."""
    folds = beauty_fold(photos)
    known, asked = ([p for p in photos if (folds[p.name] == LEFT_OUT) is held_out] for held_out in (False, True))
    labels = np.array([photo.mean for photo in asked])
    ridge = ridge_predict(cache.pooled_of(known), np.array([p.mean for p in known]), cache.pooled_of(asked), BEAUTY_ALPHA)
    rater = Rater(checkpoint)
    tokens = rater.tokens(asked)
    report = compare(rater.rate(tokens, "aesthetic"), ridge, labels)
    report["lost_by_exchange"] = rater.lost_by_exchange(tokens, "aesthetic", labels)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--checkpoint", type=Path, help="default: WORK/final")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    checkpoint = arguments.checkpoint or arguments.work / "final"
    scale = AestheticMLLMProcessor.from_pretrained(checkpoint).rating_scale
    quality, beauty = read_quality(arguments.data, scale), read_beauty(arguments.data, scale)
    cache = FeatureCache(arguments.work, quality + beauty)
    report = {
        "quality": validate_quality(checkpoint, quality, cache),
        "aesthetic": validate_aesthetic(checkpoint, beauty, cache),
    }
    text = json.dumps(report, indent=2, default=float)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
