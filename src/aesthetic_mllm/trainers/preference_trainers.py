"""TRL's trainers of preferences and rewards, with defaults, adapters and a model card that suit this package's models."""

from dataclasses import dataclass
from typing import Any

from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer

from .adapters import adapt_language_model
from .precision import MachineDefaults
from .publishing_mixin import PublishingMixin


@dataclass
class AestheticDPOConfig(MachineDefaults, DPOConfig):
    r"""TRL's `DPOConfig` for this package's models.

    NOTE: these defaults differ from `DPOConfig`: `learning_rate` 1e-5 (there 1e-6; adapters learn), `max_length` None (truncation
    would cut placeholders), `gradient_checkpointing` False (short prompts), `bf16` where the machine has instructions for it,
    `use_cpu` where there is nothing else, `report_to` none.
    """

    learning_rate: float = 1e-5
    max_length: int | None = None
    gradient_checkpointing: bool | None = None


@dataclass
class AestheticGRPOConfig(MachineDefaults, GRPOConfig):
    r"""TRL's `GRPOConfig` for this package's models.

    NOTE: these defaults differ from `GRPOConfig`: `learning_rate` 1e-5 (there 1e-6; adapters learn), `max_completion_length` 8 (a
    score; was 256), `gradient_checkpointing` False (short prompts), `bf16` where the machine has instructions for it, `use_cpu`
    where there is nothing else, `report_to` none.
    """

    learning_rate: float = 1e-5
    max_completion_length: int | None = 8
    gradient_checkpointing: bool | None = None


class AestheticDPOTrainer(PublishingMixin, DPOTrainer):
    """TRL's `DPOTrainer`; a LoRA `peft_config` without `target_modules` is completed as [`adapt_language_model`] does."""

    def __init__(self, *args: Any, peft_config: Any = None, **kwargs: Any):
        super().__init__(*args, peft_config=adapt_language_model(peft_config), **kwargs)


class AestheticGRPOTrainer(PublishingMixin, GRPOTrainer):
    """TRL's `GRPOTrainer`; a LoRA `peft_config` without `target_modules` is completed as [`adapt_language_model`] does."""

    def __init__(self, *args: Any, peft_config: Any = None, **kwargs: Any):
        super().__init__(*args, peft_config=adapt_language_model(peft_config), **kwargs)
