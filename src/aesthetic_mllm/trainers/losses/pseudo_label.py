"""What a light head must read from a level's tokens: how much of an attribute, what was done to a photo, what it shows."""

import torch
import torch.nn.functional as F
from torch import nn


class OrdinalLoss(nn.Module):
    """Rank-consistent loss for ordered bins: one yes/no question a threshold, "is it above bin k?".

    References:
        CORAL: Cao, Mirjalili & Raschka 2020 (arXiv:1901.07884).

    Inputs:
        logits: [B, bins - 1], of being above each threshold.
        bins: [B], integers from 0 to bins - 1.

    Returns:
        The mean over thresholds, per sample: [B].
    """

    def forward(self, logits: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
        above = bins[:, None] > torch.arange(logits.shape[1], device=bins.device)
        return F.binary_cross_entropy_with_logits(logits.float(), above.float(), reduction="none").mean(1)


class AlterationLoss(nn.Module):
    """Which edit changed a photo, and how strongly in which direction.

    Cross-entropy over the edits, plus the Huber loss of the signed strength that is predicted for the true edit.

    Inputs:
        edit_logits: [B, edits].
        strengths: [B, edits], predicted signed strength of each edit, in units of its "strong" amount.
        edits: [B], integers.
        signed_strengths: [B], true amount over the edit's strong amount.

    Returns:
        Per sample: [B].
    """

    def forward(
        self, edit_logits: torch.Tensor, strengths: torch.Tensor, edits: torch.Tensor, signed_strengths: torch.Tensor
    ) -> torch.Tensor:
        which = F.cross_entropy(edit_logits.float(), edits, reduction="none")
        predicted = strengths.float().gather(1, edits[:, None]).squeeze(1)
        return which + F.huber_loss(predicted, signed_strengths.float(), reduction="none", delta=0.5)


class PseudoLabelHeads(nn.Module):
    """The heads of one level; they exist only while the alignment module learns.

    Args:
        size: width of the visual tokens.
        measurements: how many measured attributes the level has.
        bins: of each measured attribute.
        edits: how many edits the level has.
        contents: how many things a teacher may name.
    """

    def __init__(self, size: int, measurements: int, bins: int, edits: int, contents: int = 0):
        super().__init__()
        self.bins = bins
        self.measured = nn.Linear(size, measurements * (bins - 1)) if measurements else None
        self.altered = nn.Linear(2 * size, 2 * edits) if edits else None
        self.content = nn.Linear(size, contents) if contents else None

    def read_measured(self, tokens: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
        """Tokens [B, N, D] of a photo and the number [B] of the attribute asked for -> [B, bins - 1] logits."""
        logits = self.measured(tokens.mean(1)).unflatten(1, (-1, self.bins - 1))  # [B, attributes, bins - 1]
        return logits[torch.arange(len(logits), device=logits.device), attributes]

    def read_altered(self, before: torch.Tensor, after: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [B, N, D] of both photos of a pair -> logits and strengths [B, edits]."""
        change = torch.cat([after.mean(1) - before.mean(1), after.mean(1)], dim=-1)
        return self.altered(change).chunk(2, dim=-1)

    def read_content(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens [B, N, D] of a photo -> [B, contents] logits."""
        return self.content(tokens.mean(1))
