"""What a loss needs of the other processes, so that several processes lose what one with the same global batch would."""

import torch
import torch.distributed as distributed
from torch.distributed.nn.functional import all_gather


def is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def gather_rows(values: torch.Tensor) -> torch.Tensor:
    """[B, ...] of each process -> [processes * B, ...]; gradients flow back to where the rows came from."""
    return torch.cat(all_gather(values)) if is_distributed() else values


def global_mean(total: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
    """Sum over this process's elements and their number -> this process's part of the mean over all processes' elements.

    Data-parallel training takes the mean of the processes' gradients, so the part is scaled by their number: the mean of what
    the processes return is the mean over all elements. 0 where there is no element at all.
    """
    count = torch.as_tensor(count, dtype=torch.float32, device=total.device)
    if is_distributed():
        total = total * distributed.get_world_size()
        distributed.all_reduce(count)
    return total / count.clamp(min=1)
