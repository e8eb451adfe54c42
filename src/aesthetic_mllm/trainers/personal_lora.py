"""Learns one person's LoRA, for those who rated many photos.

It learns from the visual tokens of a profile's photos, so the vision tower runs once a photo and not at all while it trains.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..inference.lora_method import DOWN, LEVEL, UP, LoraMethod, changeable, changed, next_logits, rating_prompt
from ..inference.profile_photos import ProfilePhotos
from ..inference.taste_prior import TastePrior, fit_taste
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..tasks.personalizing import Profile, ProfileError
from .losses.soft_level import SoftLevelLoss
from .precision import has_bfloat16

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PersonalLoraConfig:
    """How it learns.

    Args:
        rank: of the low-rank changes.
        epochs: times that each photo is seen.
        learning_rate: of AdamW, falling to 0.
        batch_size: photos a step.
        spread: of the person's ratings around what is expected, in points of the score range: people are not sure either.
        seed: of the order and of the first weights.
    """

    rank: int = 4
    epochs: int = 3
    learning_rate: float = 1e-2
    batch_size: int = 8
    spread: float = 2.0
    seed: int = 0


def tune_lora(
    model: AestheticMLLMForConditionalGeneration,
    processor: AestheticMLLMProcessor,
    profile: Profile,
    photos: ProfilePhotos,
    prior: TastePrior | None = None,
    config: PersonalLoraConfig | None = None,
) -> LoraMethod:
    """Learns a person's ratings; the model itself stays as it is.

    Single ratings are chance for the most part, so what is learned is what all of them let expect of the same photos
    ([`fit_taste`]). How high the person rates on the whole is not left to the changed weights, which would spend themselves on
    it; it is added to what is read.

    Args:
        profile: of at least one photo.
        photos: with their whole visual tokens.
        prior: other people's tastes, where the checkpoint carries them.

    Raises:
        ProfileError: the photos' tokens were not kept, or the model has no weights to change.
    """
    config = config or PersonalLoraConfig()
    if not photos.tokens:
        raise ProfileError(
            "This profile does not hold the visual tokens of its photos, which LoRA learns from; make it anew from the ratings "
            "with method='lora'."
        )
    scale, general = processor.rating_scale, photos.general
    fitted = fit_taste(photos.embeddings, general, profile.evidence(scale, general), prior, profile.has_level)
    wanted = general + fitted.shift(photos.embeddings, general) - fitted.offset
    wanted = wanted.clip(*scale.score_range)
    levels = torch.tensor([scale.level_distribution(float(score), config.spread) for score in wanted], device=model.device)
    order = sorted(range(len(profile)), key=lambda place: profile.photos[place])  # the same, whatever the order of the ratings
    factors = _learn(model, processor, profile.question, photos.chosen(order), levels[order], config)
    learned = {name: values.detach().cpu().numpy() for name, values in factors.items()}
    return LoraMethod(model, processor, profile.question, {**learned, LEVEL: np.array([fitted.offset])})


@torch.inference_mode(False)
@torch.enable_grad()
def _learn(
    model: AestheticMLLMForConditionalGeneration,
    processor: AestheticMLLMProcessor,
    question: str,
    photos: ProfilePhotos,
    levels: torch.Tensor,
    config: PersonalLoraConfig,
) -> dict[str, torch.Tensor]:
    """The factors of the changes, by name."""
    whole = changeable(model)
    generator = torch.Generator().manual_seed(config.seed)
    factors: dict[str, torch.Tensor] = {}
    for name, weight in whole.items():
        reach = 1 / math.sqrt(weight.shape[1])
        factors[DOWN + name] = torch.empty(config.rank, weight.shape[1]).uniform_(-reach, reach, generator=generator)
        factors[UP + name] = torch.zeros(weight.shape[0], config.rank)
    factors = {name: values.to(model.device).requires_grad_() for name, values in factors.items()}
    optimizer = torch.optim.AdamW(factors.values(), config.learning_rate, weight_decay=0.0)
    batches = list(_batches(len(levels), config, generator))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))
    loss_of = SoftLevelLoss(processor.level_ids)
    fixed = {name: weight.detach() for name, weight in model.named_parameters()}  # or their gradients would be computed too
    prompt = rating_prompt(model, processor, question)
    # copies: what was seen in inference mode cannot be learned from
    tokens = {group: values.clone().to(model.device, model.dtype) for group, values in photos.tokens.items()}
    for step, rows in enumerate(batches):
        own = {name: changed(weight, factors[DOWN + name], factors[UP + name]) for name, weight in whole.items()}
        part = {group: values[rows] for group, values in tokens.items()}
        with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type != "cpu" or has_bfloat16()):
            logits = next_logits(model, fixed | own, prompt, part)
        loss = loss_of(logits, levels[rows]).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 20 == 0:
            logger.info("step %d of %d, loss %.3f", step, len(batches), loss.item())
    return factors


def _batches(count: int, config: PersonalLoraConfig, generator: torch.Generator) -> Iterator[list[int]]:
    for _ in range(config.epochs):
        for rows in torch.randperm(count, generator=generator).split(config.batch_size):
            yield rows.tolist()
