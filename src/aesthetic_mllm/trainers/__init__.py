"""Training over TRL's trainers. The names below load what they need when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC_NAMES = {
    "AestheticAlignmentConfig": "aesthetic_alignment_config",
    "AestheticAlignmentTrainer": "aesthetic_alignment_trainer",
    "AestheticDPOConfig": "preference_trainers",
    "AestheticDPOTrainer": "preference_trainers",
    "AestheticGRPOConfig": "preference_trainers",
    "AestheticGRPOTrainer": "preference_trainers",
    "AestheticSFTCollator": "aesthetic_sft_collator",
    "AestheticSFTConfig": "aesthetic_sft_config",
    "AestheticSFTTrainer": "aesthetic_sft_trainer",
    "FormatReward": "rewards",
    "LengthReward": "rewards",
    "RankReward": "rewards",
    "ScoreClosenessReward": "rewards",
    "aesthetic_reward": "rewards",
    "completion_text": "rewards",
    "save_tuned": "tuning",
}

if TYPE_CHECKING:
    from .aesthetic_alignment_config import AestheticAlignmentConfig
    from .aesthetic_alignment_trainer import AestheticAlignmentTrainer
    from .aesthetic_sft_collator import AestheticSFTCollator
    from .aesthetic_sft_config import AestheticSFTConfig
    from .aesthetic_sft_trainer import AestheticSFTTrainer
    from .preference_trainers import AestheticDPOConfig, AestheticDPOTrainer, AestheticGRPOConfig, AestheticGRPOTrainer
    from .rewards import FormatReward, LengthReward, RankReward, ScoreClosenessReward, aesthetic_reward, completion_text
    from .tuning import save_tuned

__all__ = [
    "AestheticAlignmentConfig",
    "AestheticAlignmentTrainer",
    "AestheticDPOConfig",
    "AestheticDPOTrainer",
    "AestheticGRPOConfig",
    "AestheticGRPOTrainer",
    "AestheticSFTCollator",
    "AestheticSFTConfig",
    "AestheticSFTTrainer",
    "FormatReward",
    "LengthReward",
    "RankReward",
    "ScoreClosenessReward",
    "aesthetic_reward",
    "completion_text",
    "save_tuned",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC_NAMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
