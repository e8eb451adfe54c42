"""What the parts of the method are worth to ratings: the same short training, each time without one of them.

    python -m recipes.nano.ablation --data DATA --work build/nano

For a work folder in which the stage `alignment` is done. The alignment module learns the codes of pretext samples on a reduced
schedule, then quality from people's ratings, all of them or a tenth, with the tower frozen and nothing else beside them. All
variants with two seeds take about 40 minutes of a core with bf16; the embedded checkpoint's card has what came of it.
WORK/ablation holds the figures, and goes on from what is there.
"""

import argparse
import json
import logging
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers.trainer_utils import set_seed

from aesthetic_mllm import AestheticMLLMForConditionalGeneration, AestheticMLLMProcessor
from aesthetic_mllm.evaluation.eval_label_efficiency import (
    Learner,
    evaluate_label_efficiency,
    label_efficiency_table,
    ridge_learner,
)
from aesthetic_mllm.modeling.configuration_aesthetic_mllm import TOKEN_GROUPS
from aesthetic_mllm.pretext.phrase_bank import PhraseBank
from aesthetic_mllm.pretext.pretext_samples import LEVELS
from aesthetic_mllm.processing.rating_scale import RatingScale

from .codebook import Codebook
from .coded_alignment import CodedAlignment, open_caches
from .features import FeatureCache, UpperTower, views_of
from .rated_photos import RatedPhoto, read_all, read_quality, split
from .rating_heads import ALL, BATCH_SIZE, RatingHeads
from .unaligned import UNALIGNED

logger = logging.getLogger(__name__)

ABLATION = "ablation"  # folder below WORK
STEPS = {0.1: 40, 1.0: 120}  # by share of the labels
ASKED = 500  # held-out photos
LEARNING_RATE = 5e-4
ALIGNMENT_SAMPLES, ALIGNMENT_RATE = 6_400, 1e-3
FULL = "all parts"


@dataclass(frozen=True)
class Variant:
    """The method, or the method without a part.

    Args:
        levels: whose pretext samples the alignment module learns; none: it starts untrained.
        groups: of tokens that ratings are read from.
        soft_levels: as of [`RatingHeads`].
    """

    levels: tuple[str, ...] = LEVELS
    groups: tuple[str, ...] = TOKEN_GROUPS
    soft_levels: bool = True


VARIANTS = {
    FULL: Variant(),
    "without alignment": Variant(levels=()),
    **{f"without {level}-level lessons": Variant(levels=tuple(one for one in LEVELS if one != level)) for level in LEVELS},
    "fully connected path only": Variant(levels=(), groups=("thematic",)),
    "without soft levels": Variant(soft_levels=False),
}


class Ablation:
    """What the variants share: photos, features, and the weights that they start from.

    Args:
        data, work, run_seed: the run's folders, and the seed that it was made with.
    """

    def __init__(self, data: Path, work: Path, run_seed: int):
        self.data, self.work, self.run_seed = data, work, run_seed
        self.scale = RatingScale()
        self.cache = FeatureCache(work, read_all(data, self.scale))
        self.known, held_out = split(read_quality(data, self.scale))
        self.asked = held_out[:ASKED]
        (work / ABLATION).mkdir(exist_ok=True)

    def learner(self, variant: Variant) -> Learner:
        """SRCC of quality on held-out photos, of all groups that are read together."""

        def learn(places: list[int], seed: int) -> float:
            start = self.aligned(variant.levels, seed)
            set_seed(seed)  # new heads
            model = self._model()
            model.model.multi_modal_projector.load_state_dict(start)
            model.model.vision_tower = UpperTower(model.model.vision_tower)
            heads = RatingHeads(model, self.cache.pixels, self.scale, groups=variant.groups, soft_levels=variant.soft_levels)
            share = min(STEPS, key=lambda share: abs(share - len(places) / len(self.known)))
            rng = random.Random(seed)
            known = [self.known[place] for place in places]
            rows: list[dict[str, Any]] = []
            while len(rows) < STEPS[share] * BATCH_SIZE:
                rows += quality_rows(rng.sample(known, len(known)), rng)
            heads.train(rows[: STEPS[share] * BATCH_SIZE], LEARNING_RATE, groups=variant.groups)
            return heads.correlations(quality_rows(self.asked), "quality")[ALL]

        return learn

    def aligned(self, levels: Sequence[str], seed: int) -> dict[str, torch.Tensor]:
        """Weights of the alignment module after pretext samples of some levels; trained once, and kept."""
        if not levels:
            return self._model().model.multi_modal_projector.state_dict()
        path = self.work / ABLATION / f"aligned_{'_'.join(levels)}_{seed}.safetensors"
        if not path.exists():
            set_seed(seed)
            model, processor = self._model(), AestheticMLLMProcessor.from_pretrained(self.work / UNALIGNED)
            book = Codebook.load(self.work, processor, PhraseBank())
            canvas = processor.image_processor.canvas_size
            alignment = CodedAlignment(model.model.multi_modal_projector, book, canvas, levels)
            caches = open_caches(self.data, self.work, UNALIGNED, self.run_seed)
            alignment.train(caches, 1, ALIGNMENT_RATE, most=ALIGNMENT_SAMPLES)
            save_file({name: value.contiguous() for name, value in alignment.projector.state_dict().items()}, path)
        return load_file(path)

    def _model(self) -> AestheticMLLMForConditionalGeneration:
        return AestheticMLLMForConditionalGeneration.from_pretrained(self.work / UNALIGNED, dtype=torch.float32)


def quality_rows(photos: Sequence[RatedPhoto], rng: random.Random | None = None) -> list[dict[str, Any]]:
    """Rows that ask for quality; with `rng`, for training, of random views: the whole photo as often as all of its crops."""
    return [
        {
            "image": photo.name,
            "view": rng.choice([0, rng.randrange(1, views_of(photo))]) if rng else 0,
            "question": "quality",
            "mean": photo.mean,
            "std": photo.std,
            "group": 0,  # photos of one group may be ranked
        }
        for photo in photos
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.nano.ablation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of photos and ratings, as of python -m recipes.nano")
    parser.add_argument("--work", type=Path, default=Path("build/nano"), help="folder of that run (default: build/nano)")
    parser.add_argument("--run-seed", type=int, default=0, help="seed of that run, whose pretext samples are used (default: 0)")
    parser.add_argument("--variant", choices=VARIANTS, action="append", help="run this one (may be repeated; default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of draws and new weights (default: 0 1)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    ablation = Ablation(options.data, options.work, options.run_seed)
    known, asked = (ablation.cache.pooled_of(photos) for photos in (ablation.known, ablation.asked))
    labels, wanted = ([photo.mean for photo in photos] for photos in (ablation.known, ablation.asked))
    learners = {name: ablation.learner(VARIANTS[name]) for name in options.variant or VARIANTS}
    learners["ridge on the tower"] = ridge_learner(known, labels, asked, wanted)
    path = options.work / ABLATION / "ablation.json"

    def keep(runs: Mapping[str, Any]) -> None:
        path.write_text(json.dumps(runs, indent=2) + "\n")

    before = json.loads(path.read_text()) if path.exists() else None
    runs = evaluate_label_efficiency(learners, len(ablation.known), tuple(STEPS), options.seeds, before, keep)
    table = label_efficiency_table(runs)
    path.with_suffix(".md").write_text(table + "\n")
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
