"""One step of an optimizer, as all loops of the recipe take it."""

from collections.abc import Iterable

import torch

MOST_GRADIENT = 1.0  # norm


def take_step(
    weights: Iterable[torch.nn.Parameter], optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
) -> None:
    """Clips the gradients, moves the weights, and clears the gradients for the next step."""
    torch.nn.utils.clip_grad_norm_(weights, MOST_GRADIENT)
    optimizer.step()
    optimizer.zero_grad()
    schedule.step()
