"""Cross-entropy with a soft distribution over the level words."""

import torch
from torch import nn


class SoftLevelLoss(nn.Module):
    """Cross-entropy between a soft level distribution and the model's next-token distribution at the rating position.

    The softmax runs over the whole vocabulary, not over the level words alone: so the level words also win against all other
    words, and whoever decodes or serves the top tokens finds them there.

    References:
        Q-Align (arXiv:2312.17090) for level words, DeQA-Score (arXiv:2501.11561) for soft distributions over them.

    Args:
        level_ids: token of each level word, worst first.

    Inputs:
        logits: [B, V] at the position whose next token is the level word.
        targets: [B, levels], rows sum to 1.

    Returns:
        Per sample: [B].
    """

    def __init__(self, level_ids: list[int]):
        super().__init__()
        self.level_ids = level_ids

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        log_probabilities = logits.float().log_softmax(-1)[:, self.level_ids]  # [B, levels]
        return -(targets * log_probabilities).sum(-1)
