"""LoRA for one person: a few low-rank weights of the language model, for those who rated hundreds of photos.

It learns from the visual tokens of a profile's photos, so the vision tower runs once a photo and not at all while it trains.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer

from ..inference.example_prefix import image_features, tokens_of
from ..modeling.model_outputs import AestheticImageFeatures
from ..modeling.modeling_aesthetic_mllm import AestheticMLLMForConditionalGeneration
from ..processing.processing_aesthetic_mllm import AestheticMLLMProcessor
from ..processing.rating_scale import Rating
from .losses.soft_level import SoftLevelLoss
from .precision import has_bfloat16

logger = logging.getLogger(__name__)

TUNED = ["q_proj", "v_proj"]


@dataclass(frozen=True)
class PersonalLoraConfig:
    """How it learns.

    Args:
        rank: of the low-rank weights.
        epochs: times that each photo is seen.
        learning_rate: of AdamW, falling to 0.
        batch_size: photos a step.
        spread: of the person's rating around what they gave, in points of the score range: people are not sure either.
        seed: of the order and of the first weights.
    """

    rank: int = 4
    epochs: int = 3
    learning_rate: float = 3e-4
    batch_size: int = 8
    spread: float = 2.0
    seed: int = 0


class LoraWay:
    """Rates with the language model as one person's LoRA weights change it; a way of `inference.personal_ways`.

    The weights live inside the assessor's own language model, and are switched on only while this way rates. One person at a
    time: `remove` takes them out again.
    """

    reads_general = False

    def __init__(self, model: AestheticMLLMForConditionalGeneration, processor: AestheticMLLMProcessor, question: str):
        self.model, self.processor, self.question = model, processor, question
        self.prompt = torch.tensor([processor.rating_prompt_ids(question)], device=model.device)

    @torch.inference_mode()
    def rate(self, seen: AestheticImageFeatures, general: Sequence[Rating]) -> list[Rating]:
        with self._switched_on():
            logits = self._logits(seen)[:, self.processor.level_ids]
        rated = self.processor.rating_scale.read_level_logits(logits, self.question)
        return [Rating(rating.mean, rating.std, rating.distribution, rating.score_range) for rating in rated]

    @classmethod
    def tune(
        cls,
        model: AestheticMLLMForConditionalGeneration,
        processor: AestheticMLLMProcessor,
        seen: AestheticImageFeatures,
        scores: Sequence[float],
        question: str,
        config: PersonalLoraConfig | None = None,
    ) -> "LoraWay":
        """Learns a person's ratings.

        Args:
            seen: the visual tokens of n photos.
            scores: the person's rating of each on the checkpoint's scale, [n].
        """
        config = config or PersonalLoraConfig()
        torch.manual_seed(config.seed)
        needed = {name: weight.requires_grad for name, weight in model.named_parameters()}
        inject_adapter_in_model(
            LoraConfig(r=config.rank, lora_alpha=2 * config.rank, target_modules=TUNED), model.model.language_model
        )
        way = cls(model, processor, question)
        for name, weight in model.named_parameters():
            weight.requires_grad_("lora_" in name)
        levels = [processor.rating_scale.level_distribution(score, config.spread) for score in scores]
        with way._switched_on():
            way._learn(seen, torch.tensor(levels, device=model.device), config)
        for name, weight in model.named_parameters():
            weight.requires_grad_(needed.get(name.replace(".base_layer", ""), False))
        return way

    def remove(self) -> None:
        """Takes the person's weights out of the language model, which then is what it was."""
        language = self.model.model.language_model
        for name, layer in list(language.named_modules()):
            if isinstance(layer, BaseTunerLayer):
                parent, _, attribute = name.rpartition(".")
                setattr(language.get_submodule(parent), attribute, layer.get_base_layer())
        vars(language).pop("peft_config", None)  # or the next person's weights would be taken for a second set

    def _learn(self, seen: AestheticImageFeatures, levels: torch.Tensor, config: PersonalLoraConfig) -> None:
        loss_of = SoftLevelLoss(self.processor.level_ids)
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(weights, config.learning_rate, weight_decay=0.0)
        batches = list(_batches(len(levels), config))
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))
        # copies: what was seen without gradients cannot be learned from otherwise
        tokens = {group: values.detach().clone() for group, values in tokens_of(seen).items()}
        for step, rows in enumerate(batches):
            part = image_features({group: values[rows] for group, values in tokens.items()})
            device = self.model.device
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu" or has_bfloat16()):
                logits = self._logits(part)
            loss = loss_of(logits, levels[rows]).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            if step % 20 == 0:
                logger.info("step %d of %d, loss %.3f", step, len(batches), loss.item())

    def _logits(self, seen: AestheticImageFeatures) -> torch.Tensor:
        """After the rating prompt, over the vocabulary: [B, V]."""
        count = len(next(iter(tokens_of(seen).values())))
        ids = self.prompt.expand(count, -1)
        outputs = self.model(input_ids=ids, mm_encoder_outputs={"image": seen}, logits_to_keep=1, use_cache=False)
        return outputs.logits[:, -1].float()

    @contextmanager
    def _switched_on(self) -> Iterator[None]:
        layers = [layer for layer in self.model.model.language_model.modules() if isinstance(layer, BaseTunerLayer)]
        for layer in layers:
            layer._disable_adapters = False
        try:
            yield
        finally:
            for layer in layers:
                layer._disable_adapters = True


def _batches(count: int, config: PersonalLoraConfig) -> Iterator[list[int]]:
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(config.epochs):
        for rows in torch.randperm(count, generator=generator).split(config.batch_size):
            yield rows.tolist()
