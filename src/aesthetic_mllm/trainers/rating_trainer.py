"""Learns to rate photos: TRL's SFTTrainer with losses at the rating position."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from trl import SFTTrainer

from .losses.rank_fidelity import RankFidelityLoss
from .losses.soft_level import SoftLevelLoss
from .rating_config import RatingConfig


class RatingTrainer(SFTTrainer):
    """SFTTrainer whose losses look at the answer alone: its words, the level word's distribution, and the order of photos.

    The tower stays frozen. Prompts are padded on the left, so answers stand at the end of every row, and the language model's
    head runs over these few positions only; TRL's fused head, which a CPU runs over all of them, is not used.

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`].
        args: a [`RatingConfig`].
        processing_class: the checkpoint's [`AestheticMLLMProcessor`].
        kwargs: as of `SFTTrainer`; `data_collator` is a [`RatingCollator`].
    """

    args: RatingConfig

    def __init__(self, model: nn.Module, args: RatingConfig, processing_class: Any, **kwargs: Any):
        model.model.vision_tower.requires_grad_(False)
        super().__init__(model=model, args=args, processing_class=processing_class, **kwargs)
        scale = processing_class.rating_scale
        self.level_scores = torch.tensor(scale.level_scores)
        self.level_ids = processing_class.level_ids
        self.level_loss = SoftLevelLoss(self.level_ids)
        self.rank_loss = RankFidelityLoss(args.rank_label_std)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW with a learning rate of its own for the alignment module."""
        if self.optimizer is None:
            named = [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]
            aligned = [weight for name, weight in named if "multi_modal_projector" in name]
            others = [weight for name, weight in named if "multi_modal_projector" not in name]
            self.optimizer = torch.optim.AdamW(
                [
                    {"params": aligned, "lr": self.args.alignment_learning_rate},
                    {"params": others, "lr": self.args.learning_rate},
                ],
                betas=(self.args.adam_beta1, self.args.adam_beta2),
                weight_decay=self.args.weight_decay,
                fused=True,
            )
        return self.optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs = dict(inputs)
        labels = inputs.pop("labels")
        targets = {name: inputs.pop(name) for name in ("level_targets", "level_positions", "mean_targets", "rank_groups")}
        # from the position that predicts the first word of the longest answer
        first = int((labels != -100).any(0).nonzero()[0]) - 1
        outputs = model(**inputs, use_cache=False, logits_to_keep=labels.shape[1] - first)
        logits = outputs.logits.float()  # [B, K, V]
        text_loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, first + 1 :].flatten(), ignore_index=-100)
        level_loss, rank_loss = self.rating_losses(logits, targets.pop("level_positions") - first, **targets)
        loss = (
            self.args.text_loss_weight * text_loss
            + self.args.level_loss_weight * level_loss
            + self.args.rank_loss_weight * rank_loss
        )
        if num_items_in_batch is not None:  # then the trainer leaves gradient accumulation to the loss
            loss = loss / self.current_gradient_accumulation_steps
        mode = "train" if self.model.training else "eval"
        for name, value in (("text_loss", text_loss), ("level_loss", level_loss), ("rank_loss", rank_loss)):
            self._metrics[mode][name].append(value.item())
        return (loss, outputs) if return_outputs else loss

    def rating_losses(
        self,
        logits: torch.Tensor,
        level_positions: torch.Tensor,
        level_targets: torch.Tensor,
        mean_targets: torch.Tensor,
        rank_groups: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Soft level and rank loss of a batch: logits [B, K, V], positions [B] in them (negative: no level word is asked),
        the rest as in [`RatingCollator`]."""
        rated = level_positions >= 0
        if not rated.any():
            return logits.sum() * 0, logits.sum() * 0
        logits = logits[rated, level_positions[rated]]  # [R, V]
        probabilities = logits[:, self.level_ids].softmax(-1)
        scores = self.level_scores.to(logits.device)
        means = probabilities @ scores
        stds = (probabilities @ scores.square() - means.square()).clamp(min=1e-6).sqrt()
        return (
            self.level_loss(logits, level_targets[rated]),
            self.rank_loss(means, stds, mean_targets[rated], rank_groups[rated]),
        )
