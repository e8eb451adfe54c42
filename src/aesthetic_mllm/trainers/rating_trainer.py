"""Learns to rate photos: TRL's SFTTrainer with losses at the rating position."""

from typing import Any

import torch
from torch import nn
from trl import SFTTrainer

from .losses.rank_fidelity import RankFidelityLoss
from .losses.soft_level import SoftLevelLoss
from .rating_config import RatingConfig


class RatingTrainer(SFTTrainer):
    """SFTTrainer plus a soft level loss and a rank loss at the rating position; the tower stays frozen.

    TRL's trainers bypass the model's own `forward` (fused head), so the states at the rating position are taken by a hook on
    the backbone, in the same pass.

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
        self._states: torch.Tensor | None = None
        model.model.register_forward_hook(self._keep_states)

    def _keep_states(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._states = output.last_hidden_state

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
            )
        return self.optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs = dict(inputs)
        targets = {name: inputs.pop(name) for name in ("level_targets", "level_positions", "mean_targets", "rank_groups")}
        result = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        text_loss, outputs = result if return_outputs else (result, None)
        # with num_items_in_batch the parent leaves gradient accumulation to the loss
        steps = self.current_gradient_accumulation_steps if num_items_in_batch is not None else 1
        level_loss, rank_loss = self.rating_losses(**targets)
        loss = (
            self.args.text_loss_weight * text_loss
            + (self.args.level_loss_weight * level_loss + self.args.rank_loss_weight * rank_loss) / steps
        )
        mode = "train" if self.model.training else "eval"
        for name, value in (("text_loss", text_loss), ("level_loss", level_loss), ("rank_loss", rank_loss)):
            self._metrics[mode][name].append(value.item())
        return (loss, outputs) if return_outputs else loss

    def rating_losses(
        self,
        level_targets: torch.Tensor,
        level_positions: torch.Tensor,
        mean_targets: torch.Tensor,
        rank_groups: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Soft level and rank loss of the batch whose states the hook has kept; shapes as in [`RatingCollator`]."""
        rated = level_positions >= 0
        states = self._states[rated, level_positions[rated]]  # [R, D]
        self._states = None
        if not rated.any():
            return states.sum(), states.sum()
        head = self.model.get_output_embeddings()
        logits = head(states).float()  # [R, V]
        probabilities = logits[:, self.level_ids].softmax(-1)
        scores = self.level_scores.to(logits.device)
        means = probabilities @ scores
        stds = (probabilities @ scores.square() - means.square()).clamp(min=1e-6).sqrt()
        return (
            self.level_loss(logits, level_targets[rated]),
            self.rank_loss(means, stds, mean_targets[rated], rank_groups[rated]),
        )
