"""Pairwise fidelity loss under Thurstone's model."""

import math

import torch
from torch import nn

from .across_processes import gather_rows


class RankFidelityLoss(nn.Module):
    """Whether each pair of photos is in the right order, as a probability.

    Under Thurstone's model photo i beats photo j with probability Phi((m_i - m_j) / sqrt(s_i^2 + s_j^2)); the fidelity
    1 - sqrt(p q) - sqrt((1 - p)(1 - q)) compares that of the labels, p, with that of the model, q. Only pairs of one group (one
    question of one data set) count, because scores of different data sets are not comparable. With several processes the photos
    of all are compared; each must bring equally many, those without a rating in a negative group.

    References:
        Tsai et al., FRank (SIGIR 2007); Zhang et al., UNIQUE (arXiv:2005.13983); used by DeQA-Score (arXiv:2501.11561).

    Args:
        label_std: uncertainty of a mean label in units of the score range, for both photos of a pair.

    Inputs:
        means, stds: [B], predicted, in units of the score range.
        labels: [B], mean scores in the same units.
        groups: [B], integers; photos of negative ones are compared with none.

    Returns:
        The mean over all pairs, a scalar; 0 where a batch has no pair.
    """

    EPSILON = 1e-8  # the square root has no gradient at 0

    def __init__(self, label_std: float):
        super().__init__()
        self.label_std = label_std

    def forward(self, means: torch.Tensor, stds: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        means, stds, labels, groups = map(gather_rows, (means, stds, labels, groups))
        first, second = torch.triu_indices(len(means), len(means), offset=1, device=means.device)
        kept = (groups[first] == groups[second]) & (groups[first] >= 0)
        first, second = first[kept], second[kept]
        if len(first) == 0:
            return means.sum() * 0
        spread = (stds[first].square() + stds[second].square()).clamp(min=1e-4).sqrt()
        predicted = torch.special.ndtr((means[first] - means[second]) / spread)
        wanted = torch.special.ndtr((labels[first] - labels[second]) / (self.label_std * math.sqrt(2)))
        fidelity = (predicted * wanted + self.EPSILON).sqrt() + ((1 - predicted) * (1 - wanted) + self.EPSILON).sqrt()
        return (1 - fidelity).mean()
