"""Configuration of [`AestheticAlignmentTrainer`]."""

from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments

from .precision import MachineDefaults


@dataclass
class AestheticAlignmentConfig(MachineDefaults, TrainingArguments):
    r"""Configuration of [`AestheticAlignmentTrainer`].

    > Parameters that control the losses

    Args:
        generation_loss_weight (`float`, defaults to 1.0):
            Weight of the frozen language model's next-token loss on the target text, from one level's tokens alone.
        contrastive_loss_weight (`float`, defaults to 0.2):
            Weight of the contrast between a level's pooled tokens and the target texts' embeddings.
        pseudo_label_loss_weight (`float`, defaults to 1.0):
            Weight of what the light heads read: bins of measured attributes, kind and signed strength of edits.
        temperature (`float`, defaults to 0.1):
            Of the contrast.
        whitened_size (`int`, defaults to 64):
            Directions of the whitened target text embeddings; fewer where the phrase bank has fewer target texts.

    NOTE: these defaults differ from `TrainingArguments`: `learning_rate` 5e-4 (there 5e-5; the module starts at random),
    `lr_scheduler_type` cosine and `warmup_steps` 0.05 (of all), `weight_decay` 0.01, `bf16` where the machine has instructions
    for it, `use_cpu` where there is nothing else, `remove_unused_columns` False (batches hold tensors of the trainer's own),
    `dataloader_drop_last` True (pretext samples of a smaller last batch would weigh more, and differently with more processes),
    `prediction_loss_only` True,
    `ddp_find_unused_parameters` True (a batch need not have pretext samples of every level), `accelerator_config` without
    dispatching (batches hold pairs, which cannot be cut by row), `report_to` none.
    """

    learning_rate: float = 5e-4
    lr_scheduler_type: str = "cosine"
    warmup_steps: float = 0.05
    weight_decay: float = 0.01
    remove_unused_columns: bool | None = False
    dataloader_drop_last: bool = True
    prediction_loss_only: bool = True
    ddp_find_unused_parameters: bool | None = True
    accelerator_config: dict[str, Any] | str | None = field(default_factory=lambda: {"dispatch_batches": False})

    generation_loss_weight: float = 1.0
    contrastive_loss_weight: float = 0.2
    pseudo_label_loss_weight: float = 1.0
    temperature: float = 0.1
    whitened_size: int = 64
