"""Configuration of [`AestheticSFTTrainer`]."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from trl import SFTConfig

from .precision import MachineDefaults

FULL_LEARNING_RATE, ADAPTER_LEARNING_RATE = 5e-5, 5e-4
LabelType = Literal["soft", "hard"]


@dataclass
class AestheticSFTConfig(MachineDefaults, SFTConfig):
    r"""Configuration of [`AestheticSFTTrainer`].

    > Parameters that control the losses

    Args:
        text_loss_weight (`float`, defaults to 1.0):
            Weight of the next-token loss on the answers' words. Rows that ask for a rating have none: their answer is the level
            word, which the soft level loss teaches.
        level_loss_weight (`float`, defaults to 1.0):
            Weight of the soft level loss at the rating position.
        label_type (`str`, defaults to `"soft"`):
            What a rating teaches: `"soft"`, the distribution over the level words, or `"hard"`, the word nearest to the mean
            alone, as Q-Align does.
        rank_loss_weight (`float`, defaults to 0.0):
            Weight of the pairwise fidelity loss within a group; the photos of all processes are compared. Logged whatever its
            weight. Beside soft levels it gained nothing in our trials (`docs/experiments.md`).
        rank_label_std (`float`, defaults to 0.45):
            Uncertainty of a mean label in the rating scale's unit; a twentieth of the range.

    > Parameters that control what learns

    Args:
        freeze_vision_tower (`bool`, defaults to `True`):
            Keep the vision tower as it is.
        freeze_alignment (`bool`, defaults to `False`):
            Keep the alignment module as it is.
        learning_rate (`float`, *optional*):
            Default 5e-5, and 5e-4 for adapters (LoRA), which learn slowly at less.
        alignment_learning_rate (`float`, *optional*):
            Learning rate of the alignment module; default `learning_rate`, which is the language model's.

    Raises:
        ValueError: a `label_type` that there is not.

    NOTE: these defaults differ from `SFTConfig`: `learning_rate` as above (there 2e-5), `max_length` None (truncation would cut
    placeholders), `remove_unused_columns` False and `dataset_kwargs` (the collator reads raw rows), `gradient_checkpointing`
    False (short prompts), `bf16` where the machine has instructions for it, `use_cpu` where there is nothing else,
    `metric_for_best_model` srcc (higher is better; what the scorer reaches on the evaluation sets; where none of them has
    ratings, the loss of the first), `report_to` none.
    """

    learning_rate: float | None = None
    max_length: int | None = None
    remove_unused_columns: bool | None = False
    gradient_checkpointing: bool | None = None
    dataset_kwargs: dict[str, Any] | None = field(default_factory=lambda: {"skip_prepare_dataset": True})
    metric_for_best_model: str | None = "srcc"
    greater_is_better: bool | None = True

    text_loss_weight: float = 1.0
    level_loss_weight: float = 1.0
    label_type: LabelType = "soft"
    rank_loss_weight: float = 0.0
    rank_label_std: float = 0.45
    freeze_vision_tower: bool = True
    freeze_alignment: bool = False
    alignment_learning_rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label_type not in get_args(LabelType):
            raise ValueError(f"label_type must be one of {', '.join(get_args(LabelType))}, got {self.label_type!r}.")
