"""Mini-batches that are drawn by the memberships, in the place of the rearrangement (ours)."""

import torch
from torch import Tensor

from mixnet_core.optimizers import BankTrainer


def drawn_epoch(
    trainer: BankTrainer, x, m: Tensor, batch_size: int, least: int, generator: torch.Generator
) -> None:
    """An epoch of either algorithm in which point i is in a batch of network j by chance ∝ m_ij.

    In place of the rearrangement and of eq. 7 (ours): in expectation the same gradient, but every
    network trains in every iteration, and no batch mixes clusters. Each has N / (K B) batches, and
    at least `least`.

    Parameters
    ----------
    x : Tensor or Points, shape (N, p)
    m : Tensor, shape (N, K)
        Memberships; hard ones for Algorithm 1.
    """
    n_points, k = m.shape
    n_batches = max(1, least, round(n_points / k / batch_size))
    weights, queues = m.T.cpu().contiguous(), []
    for own in weights:
        if float(own.sum()) > 0:
            rows = torch.multinomial(own, n_batches * batch_size, True, generator=generator)
            queues.append(rows.view(n_batches, batch_size))
        else:
            queues.append(torch.empty(0, batch_size, dtype=torch.int64))
    trainer.run(x, queues, [torch.ones(len(queue), dtype=torch.float32) for queue in queues])
