"""Configuration of [`RatingTrainer`]."""

from dataclasses import dataclass, field
from typing import Any

from trl import SFTConfig


@dataclass
class RatingConfig(SFTConfig):
    r"""Configuration of [`RatingTrainer`].

    > Parameters that control the losses

    Args:
        text_loss_weight (`float`, defaults to 0.1):
            Weight of the next-token loss on the words around the rating (stem, full stop, decimal answers).
        level_loss_weight (`float`, defaults to 1.0):
            Weight of the soft level loss at the rating position.
        rank_loss_weight (`float`, defaults to 1.0):
            Weight of the pairwise fidelity loss within a group.
        rank_label_std (`float`, defaults to 0.45):
            Uncertainty of a mean label in the rating scale's unit; a twentieth of the range.

    > Parameters that control the optimizer

    Args:
        alignment_learning_rate (`float`, defaults to 5e-4):
            Learning rate of the alignment module; `learning_rate` is the language model's.

    NOTE: these defaults differ from `SFTConfig`: `learning_rate` 5e-5 (was 2e-5), `max_length` None (truncation would cut
    placeholders), `remove_unused_columns` False and `dataset_kwargs` (the collator reads raw rows),
    `gradient_checkpointing` False (short prompts), `bf16` stays TRL's choice.
    """

    learning_rate: float = 5e-5
    max_length: int | None = None
    remove_unused_columns: bool | None = False
    gradient_checkpointing: bool = False
    dataset_kwargs: dict[str, Any] | None = field(default_factory=lambda: {"skip_prepare_dataset": True})

    text_loss_weight: float = 0.1
    level_loss_weight: float = 1.0
    rank_loss_weight: float = 1.0
    rank_label_std: float = 0.45
    alignment_learning_rate: float = 5e-4
