"""The alignment losses pull what belongs together and push what does not."""

import pytest
import torch

from aesthetic_mllm.trainers.losses.pseudo_label import AlterationLoss, OrdinalLoss, PseudoLabelHeads
from aesthetic_mllm.trainers.losses.target_text_contrastive import TargetTextContrastiveLoss, TargetTextWhitening


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_whitened_embeddings_are_centred_uncorrelated_and_of_one_spread() -> None:
    """Over the bank, before scaling to length 1, directions have mean 0, variance 1 and no correlation."""
    bank = 10 + 0.01 * torch.randn(200, 16) @ torch.randn(16, 16)  # cosines near 1
    whitening = TargetTextWhitening(bank, 8)
    directions = (bank - whitening.mean) @ whitening.weight
    assert torch.allclose(directions.mean(0), torch.zeros(8), atol=1e-2)
    assert torch.allclose(directions.T.cov(), torch.eye(8), atol=0.05)
    assert torch.allclose(whitening(bank).norm(dim=-1), torch.ones(200), atol=1e-5)
    raw = torch.nn.functional.cosine_similarity(bank[:1], bank[1:]).mean()
    assert raw > 0.99 and (whitening(bank)[:1] @ whitening(bank)[1:].T).mean().abs() < 0.1


def test_whitening_refuses_directions_that_the_bank_cannot_have() -> None:
    with pytest.raises(ValueError, match="between 1 and 3"):
        TargetTextWhitening(torch.randn(4, 16), 5)


def test_contrast_is_small_when_photos_match_their_target_texts_and_large_when_others() -> None:
    """Photos equal to their own target texts lose almost nothing; photos equal to another label's target texts lose much."""
    target_texts = torch.eye(6)
    labels, one_group = torch.arange(6), torch.zeros(6)
    loss = TargetTextContrastiveLoss(temperature=0.05)
    assert loss(target_texts, target_texts, labels, one_group) < 1e-3
    assert loss(target_texts.roll(1, 0), target_texts, labels, one_group) > 5


def test_target_texts_of_the_same_label_are_positives() -> None:
    """Two wordings of one label do not compete: exchanging them leaves the loss as it is."""
    photos, target_texts = torch.randn(8, 5), torch.randn(8, 5)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    loss, one_group = TargetTextContrastiveLoss(temperature=0.1), torch.zeros(8)
    exchanged = target_texts[[1, 0, 3, 2, 5, 4, 7, 6]]
    assert torch.allclose(loss(photos, target_texts, labels, one_group), loss(photos, exchanged, labels, one_group), atol=1e-5)


def test_rows_of_other_groups_are_not_compared() -> None:
    """The loss of two groups in one batch is the mean, over rows, of the losses of each by itself."""
    photos, target_texts = torch.randn(6, 5), torch.randn(6, 5)
    labels, groups = torch.arange(6), torch.tensor([0, 1, 0, 1, 1, 1])
    loss = TargetTextContrastiveLoss(temperature=0.1)
    apart = [loss(photos[rows], target_texts[rows], labels[rows], groups[rows]) for rows in (groups == 0, groups == 1)]
    assert torch.allclose(loss(photos, target_texts, labels, groups), (2 * apart[0] + 4 * apart[1]) / 6, atol=1e-5)


def test_one_label_only_teaches_nothing() -> None:
    """With nothing to tell apart the loss is 0 and its gradient exists."""
    photos = torch.randn(3, 4, requires_grad=True)
    loss = TargetTextContrastiveLoss(0.1)(photos, torch.randn(3, 4), torch.zeros(3, dtype=torch.long), torch.zeros(3))
    loss.backward()
    assert loss.abs() < 1e-6 and photos.grad is not None


def test_ordinal_loss_grows_with_the_distance_of_the_bins() -> None:
    """Confident logits of bin k lose nothing at k, and more the farther the true bin is."""
    logits = torch.tensor([[20.0, 20.0, -20.0, -20.0]]).expand(5, -1)  # above two of four thresholds: bin 2
    losses = OrdinalLoss()(logits, torch.arange(5)).tolist()
    assert losses[2] < 1e-6
    assert losses[0] > losses[1] > losses[2] < losses[3] < losses[4]


def test_alteration_loss_asks_for_the_edit_its_direction_and_its_strength() -> None:
    """The right edit with the right signed strength loses least; the wrong sign, strength or edit each cost."""
    logits = torch.tensor([[12.0, -12.0]])
    edits, strength = torch.tensor([0]), torch.tensor([0.8])
    loss = AlterationLoss()
    right = loss(logits, torch.tensor([[0.8, 5.0]]), edits, strength)
    wrong_sign = loss(logits, torch.tensor([[-0.8, 5.0]]), edits, strength)
    wrong_strength = loss(logits, torch.tensor([[0.2, 5.0]]), edits, strength)
    wrong_edit = loss(-logits, torch.tensor([[0.8, 5.0]]), edits, strength)
    assert right < 1e-6 < wrong_strength < wrong_sign < wrong_edit


def test_heads_read_the_attribute_that_is_asked_and_see_no_order_in_equal_photos() -> None:
    """Rows of different attributes get their own logits; per-sample results do not depend on the batch."""
    heads = PseudoLabelHeads(size=12, measurements=3, bins=5, edits=4)
    tokens, attributes = torch.randn(6, 8, 12), torch.tensor([0, 1, 2, 0, 1, 2])
    together = heads.read_measured(tokens, attributes)
    alone = torch.cat([heads.read_measured(tokens[[row]], attributes[[row]]) for row in range(6)])
    assert together.shape == (6, 4) and torch.allclose(together, alone, atol=1e-6)
    logits, strengths = heads.read_altered(tokens[:3], tokens[3:])
    assert logits.shape == strengths.shape == (3, 4)
