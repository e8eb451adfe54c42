"""Laws of the losses at the rating position."""

import pytest
import torch

from aesthetic_mllm.trainers.losses.rank_fidelity import RankFidelityLoss
from aesthetic_mllm.trainers.losses.soft_level import SoftLevelLoss

LEVELS = [3, 5, 7]


def test_soft_level_loss_is_smallest_at_its_target() -> None:
    """No logits do better than those whose softmax is the target, and other words cost."""
    loss = SoftLevelLoss(LEVELS)
    target = torch.tensor([[0.2, 0.5, 0.3]])
    best = torch.full((1, 10), -30.0)
    best[0, LEVELS] = target.log()[0]
    entropy = -(target * target.log()).sum()
    assert loss(best, target).item() == pytest.approx(entropy.item(), abs=1e-4)
    torch.manual_seed(0)
    for _ in range(20):
        assert loss(best + torch.randn(1, 10), target) >= loss(best, target) - 1e-6
    louder = best.clone()
    louder[0, 0] = 5.0  # a word that is no level
    assert loss(louder, target) > loss(best, target) + 1


def test_fidelity_prefers_the_right_order() -> None:
    """Right order costs least, reversed order most, and a shift of all predictions nothing."""
    loss = RankFidelityLoss(label_std=0.5)
    labels, stds, groups = torch.tensor([2.0, 5.0, 8.0]), torch.full((3,), 0.5), torch.zeros(3, dtype=torch.long)
    right, equal, wrong = (loss(torch.tensor(m), stds, labels, groups) for m in ([2.0, 5, 8], [5.0, 5, 5], [8.0, 5, 2]))
    assert right < 1e-3 < equal < wrong
    assert loss(torch.tensor([3.0, 6, 9]), stds, labels, groups) == pytest.approx(right.item(), abs=1e-6)


def test_fidelity_compares_only_within_a_group() -> None:
    """Photos of different questions or data sets are never ranked against each other; without a pair the loss is zero."""
    loss = RankFidelityLoss(label_std=0.5)
    labels, stds = torch.tensor([2.0, 8.0]), torch.full((2,), 0.5)
    means = torch.tensor([8.0, 2.0], requires_grad=True)
    apart = loss(means, stds, labels, torch.tensor([0, 1]))
    apart.backward()
    assert apart == 0 and means.grad.abs().sum() == 0
    assert loss(means, stds, labels, torch.tensor([1, 1])) > 0.5


def test_fidelity_has_a_gradient_at_its_extremes() -> None:
    """Pairs that are surely right or surely wrong give finite gradients."""
    means = torch.tensor([10.0, 1.0], requires_grad=True)
    stds = torch.full((2,), 0.01)
    RankFidelityLoss(0.5)(means, stds, torch.tensor([1.0, 10.0]), torch.zeros(2)).backward()
    assert torch.isfinite(means.grad).all()
