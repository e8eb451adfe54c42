"""Contrastive alignment of visual tokens with the language model's embeddings of textual target texts."""

import torch
import torch.nn.functional as F
from torch import nn

from .across_processes import gather_rows


class TargetTextWhitening(nn.Module):
    """Centres and whitens text embeddings over a phrase bank, keeping the directions in which the bank varies.

    Raw mean embeddings of a frozen language model barely differ from sentence to sentence (cosines near 1), so nothing could be
    told apart by them. Here y = (x - mean) V / sqrt(variance) with the first `size` principal directions V of the bank,
    scaled to length 1.

    Args:
        bank: [N, D] embeddings of the bank's target texts, any float dtype.
        size: directions to keep, at most min(N - 1, D).

    Raises:
        ValueError: more directions are asked for than the bank can have.
    """

    def __init__(self, bank: torch.Tensor, size: int):
        super().__init__()
        if not 0 < size <= min(len(bank) - 1, bank.shape[1]):
            raise ValueError(
                f"size {size} must be between 1 and {min(len(bank) - 1, bank.shape[1])} for a bank of {list(bank.shape)}."
            )
        mean = bank.double().mean(0)
        _, singular, directions = torch.linalg.svd(bank.double() - mean, full_matrices=False)
        deviation = singular[:size] / (len(bank) - 1) ** 0.5
        # directions in which the bank hardly varies would only blow up noise
        weight = directions[:size].T / deviation.clamp(min=1e-3 * deviation[0])
        self.register_buffer("mean", mean.float())
        self.register_buffer("weight", weight.float())

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """[B, D] -> [B, size], rows of length 1, float32."""
        return F.normalize((embeddings.float() - self.mean) @ self.weight, dim=-1)


class TargetTextContrastiveLoss(nn.Module):
    """InfoNCE between photos and target texts in which all target texts of a photo's label count as its own.

    For photo i with the positives P(i), -log( sum_{j in P(i)} exp(s_ij / t) / sum_j exp(s_ij / t) ), and the same from target
    text to photo; the mean of both. s is the cosine, t the temperature. With several processes the rows of all are compared, so
    the loss is that of one process with the same global batch.

    References:
        InfoNCE: Oord et al. 2018 (arXiv:1807.03748); several positives inside the logarithm: Khosla et al. 2020
        (arXiv:2004.11362), eq. 3; image-text contrast for a Q-Former: BLIP-2 (arXiv:2301.12597).

    Args:
        temperature: smaller values look harder at the nearest wrong target texts.

    Inputs:
        photos, target texts: [B, K], need not be normalised.
        labels: [B], integers; equal ones are the same attribute, level and strength.
        groups: [B], integers; only rows of one group (one level's tokens) are compared.

    Returns:
        A scalar, the mean over all rows; rows that have nothing to be told apart from lose nothing.
    """

    def __init__(self, temperature: float):
        super().__init__()
        self.temperature = temperature

    def forward(
        self, photos: torch.Tensor, target_texts: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor
    ) -> torch.Tensor:
        photos, target_texts = F.normalize(photos.float(), dim=-1), F.normalize(target_texts.float(), dim=-1)
        photos, target_texts, labels, groups = map(gather_rows, (photos, target_texts, labels, groups))
        similarity = photos @ target_texts.T / self.temperature  # [B, B]
        similarity = similarity.masked_fill(groups[:, None] != groups[None], float("-inf"))
        own = similarity.masked_fill(labels[:, None] != labels[None], float("-inf"))
        to_target_text = similarity.logsumexp(1) - own.logsumexp(1)
        to_photo = similarity.logsumexp(0) - own.logsumexp(0)
        return (to_target_text.mean() + to_photo.mean()) / 2
