"""All that an assessor says, and tiny random checkpoints that carry all there is to carry."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from aesthetic_mllm import AestheticAssessor
from aesthetic_mllm.checkpoints import embedded_checkpoint
from aesthetic_mllm.engine.engine import AestheticEngine
from aesthetic_mllm.engine.visual_tokens import tokens_of
from aesthetic_mllm.inference.mean_visual_tokens import MEAN_VISUAL_TOKENS, mean_photo
from aesthetic_mllm.personalization.profile_photos import embeddings
from aesthetic_mllm.personalization.rater_prior import RATER_PRIOR, RaterPrior, Spreads
from aesthetic_mllm.processing.checkpoint_side_files import SideFile
from aesthetic_mllm.processing.rating_scale import OperatingPoint
from aesthetic_mllm.tasks.ngram_overlap import TRAINING_NGRAMS, TrainingNgrams
from aesthetic_mllm.tasks.suggesting import FLAW_QUESTIONS
from photo_files import scene
from tiny_checkpoints import VICUNA
from tiny_models import tiny_model, tiny_processor

PARTS = ("ratings", "comments", "suggestions", "tried", "embeddings", "ridge", "in_context")
# Which damages a random model sees is chance; with this point it sees some.
POINT = OperatingPoint(threshold=5.5, usual=6.0, spread=1.0, damaged=4.0, false_alarms=0.02, auc=0.9)
# Towers and language models of different families; a seed with which they have something to say; what the processor is told.
FAMILIES: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "cnn-llama": ("efficientnet_lite", "llama", 2, {}),
    "vit-qwen3": ("siglip", "qwen3", 2, {"chat_template": VICUNA.replace("\n", "")}),
    "pyramid-gemma3": ("convnext", "gemma3", 3, {"num_group_tokens": {"low": 8, "middle": 0, "high": 8, "thematic": 9}}),
}


def everything(
    assessor: AestheticAssessor, photos: list[Any], parts: Iterable[str] = PARTS, style: str = "detailed"
) -> dict[str, Any]:
    """What an assessor says of at least four photos, in [`PARTS`]. Edits are tried on the fourth photo alone.

    Args:
        style: of the comment on the third photo's light; the first one's is brief.
    """

    def personal(method: str) -> list[Any]:
        rated = list(zip(photos[:3], (2.0, 9.0, 5.0), strict=True))
        person = assessor.personalize(rated, score_range=(1, 10), method=method)
        return [rating.to_dict() for rating in person.score(photos[3:])]

    say: dict[str, Callable[[], list[Any]]] = {
        "ratings": lambda: [
            {question: rating.to_dict() for question, rating in each.items()}
            for each in assessor.ratings(photos, list(assessor.processor.rating_scale.questions))
        ],
        "comments": lambda: [assessor.comment(photos[0]), assessor.comment(photos[2], style, "light")],
        "suggestions": lambda: [[each.to_dict() for each in found] for found in assessor.suggest(photos)],
        "tried": lambda: [each.to_dict() for each in assessor.suggest(photos[3], verify=True)],
        "embeddings": lambda: [values.tolist() for values in vars(assessor.embed(photos[:2])).values()],
        "ridge": lambda: personal("ridge"),
        "in_context": lambda: personal("in_context"),
    }
    return {part: say[part]() for part in parts}


def same(found: Any, wanted: Any) -> bool:
    """Whether two answers agree: numbers to 1e-4, as they differ by where in memory weights lie, all else to the letter."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return math.isclose(found, wanted, rel_tol=1e-4, abs_tol=1e-4) if isinstance(wanted, float) else bool(found == wanted)


def tiny_photos() -> list[Image.Image]:
    """Five that a random model tells apart."""
    chance = np.random.default_rng(3)
    noise = [Image.fromarray(chance.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((80, 60 + n)) for n in range(3)]
    return [*noise, scene(90, 60), scene(60, 90).point(lambda value: value // 3)]


def carrying_assessor(family: str) -> AestheticAssessor:
    """A tiny random assessor of one of [`FAMILIES`] whose processor says all that one can, with every side file."""
    tower, language, seed, options = FAMILIES[family]
    processor: Any = tiny_processor(
        num_example_tokens={"low": 2, "high": 1, "thematic": 1},
        in_context_weight=0.5,
        measurement_cuts=json.loads((embedded_checkpoint() / "processor_config.json").read_text())["measurement_cuts"],
        **options,
    )
    scale = processor.rating_scale.with_attributes()
    processor.rating_scale = replace(
        scale,
        questions={**scale.questions, **FLAW_QUESTIONS},
        operating_points=dict.fromkeys(FLAW_QUESTIONS, POINT),
        references={question: np.linspace(4 + seed / 2, 7, 101).tolist() for question in scale.people_questions},
    )
    model = tiny_model(tower, language, processor)
    torch.manual_seed(seed + 1)
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and "tower" not in name:  # so large that all it sees matters
            torch.nn.init.normal_(weight, std=0.2)
    assessor = AestheticAssessor(model, processor)
    processor.side_files = side_files(assessor, tiny_photos())
    return AestheticAssessor(model, processor)


def side_files(assessor: AestheticAssessor, photos: list[Image.Image]) -> dict[str, SideFile]:
    """Such as change what is said: the assessor's own words are words of training, its photos are those of other people."""
    engine = AestheticEngine(assessor.model, assessor.processor)
    seen = engine.encode([engine.read(photo) for photo in photos], statistics=True).features
    prior = RaterPrior.isotropic(embeddings(seen))
    prior = replace(prior, spreads=Spreads(level=1.0, slope=0.3, taste=4.0, chance=0.5))
    return {
        MEAN_VISUAL_TOKENS: SideFile(mean_photo([tokens_of(seen)])),
        RATER_PRIOR: prior.to_side_file(),
        TRAINING_NGRAMS: TrainingNgrams.of_texts(assessor.comment(photos), length=2).to_side_file(),
    }


def saved(assessor: AestheticAssessor, folder: Path) -> Path:
    """Model and processor, as a user saves them."""
    assessor.model.save_pretrained(folder)
    assessor.processor.save_pretrained(folder)
    return folder
