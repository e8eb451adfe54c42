"""Goes on with the self-supervised alignment: photos beside themselves damaged, no ratings.

    python recipes/nano/damage_alignment.py --data DATA --work build/nano data=[...]    # after coded_alignment.py, damages.py

Each group of tokens alone, read by a light head that is dropped afterwards, must tell which flaw a photo shows, and that the
damaged photo is the worse one of the two, by as much as the damage is strong. So the tokens learn what makes photos worse before
anybody has rated one (as RankIQA does for technical quality, Liu et al. 2017, arXiv:1707.08347). Codes and lessons go on beside
it, and all groups together tell the principal components of what the frozen tower saw, or the thematic path would learn nothing.
"""

import argparse
import logging
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.processing.rating_scale import RatingScale
from codebook import Codebook
from coded_alignment import CodedAlignment, CodeLoss, open_caches
from damages import damage_strength
from data import quality_validation, read_beauty, read_quality
from features import DAMAGED_VIEWS, STRONGLY_DAMAGED, FeatureCache, UpperTower
from judge import STRONGLY_SHARE, bins_told, lessons_beside
from targets import falls, flaws, read_bins
from warm_start import BATCH_SIZE, WarmStart, principal_components

logger = logging.getLogger("nano.damage_alignment")

SEED = 0
STEPS = 500
LEARNING_RATE = 5e-4
CODED, ALIGNED = "coded", "aligned_damages"


def damaged_pair(name: str, view: int, bins: Mapping[str, int]) -> list[dict[str, Any]]:
    """A photo whole, and damaged, as rows without people's ratings."""
    damage, strength = damage_strength(name, view)
    taken = falls(damage, strength)
    whole = {key: (value, None) for key, value in flaws(bins).items()}
    damaged = {key: (max(1.0, value - taken.get(key, 0.0)), None) for key, (value, _) in whole.items()}
    before = {"image": name, "view": 0, "ratings": whole, "group": 0}
    return [before, {"image": name, "view": view, "ratings": damaged, "group": 0, "undamaged": before, "falls": taken}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/nano"))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("align.yaml"))
    parser.add_argument("overrides", nargs="*", help="key=value, as of `coded_alignment.py`")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    set_seed(SEED)
    rng = random.Random(SEED)
    model = AestheticMLLMForConditionalGeneration.from_pretrained(arguments.work / CODED, dtype=torch.float32)
    processor = AestheticMLLMProcessor.from_pretrained(arguments.work / CODED)
    book = Codebook.load(arguments.work, processor, PhraseBank())
    caches = open_caches(arguments.config, [f"model={arguments.work / CODED}", *arguments.overrides], arguments.work)
    alignment = CodedAlignment(model.model.multi_modal_projector, book, processor.image_processor.canvas_size)
    quality, beauty = read_quality(arguments.data, RatingScale()), read_beauty(arguments.data, RatingScale())
    held_out = quality_validation(quality)
    cache, bins = FeatureCache(arguments.work, quality + beauty), read_bins(arguments.work, quality, beauty)
    photos = [photo for photo in quality if photo.name not in held_out and photo.name in bins]
    names = [photo.name for photo in photos]
    components = dict(zip(names, principal_components(cache.pooled_of(photos)), strict=True))
    tower, model.model.vision_tower = model.model.vision_tower, UpperTower(model.model.vision_tower)
    learner = WarmStart(model, cache.pixels, processor.rating_scale, components, bin_loss=bins_told(CodeLoss(book), bins))
    rows: list[dict[str, Any]] = []
    while len(rows) < arguments.steps * BATCH_SIZE:
        view = STRONGLY_DAMAGED if rng.random() < STRONGLY_SHARE else DAMAGED_VIEWS[0]
        name = rng.choice(names)
        rows += damaged_pair(name, view, bins[name])
    learner.train(rows, LEARNING_RATE, beside=lessons_beside(alignment, caches, rng))
    model.model.vision_tower = tower
    model.save_pretrained(arguments.work / ALIGNED)
    processor.save_pretrained(arguments.work / ALIGNED)


if __name__ == "__main__":
    main()
