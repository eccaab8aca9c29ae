"""What a user would write in torch without this library: the other side of the ratios."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from mixnet_core.mmd import mmd2_gradient_part

ROWS = 1024  # points a block


def networks(structure: str, k: int) -> list[nn.Module]:
    """K separate networks: ReLU layers, a sigmoid at the end."""
    sizes = [int(size) for size in structure.split("-")]
    return [
        nn.Sequential(
            *[part for pair in pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())][:-1],
            nn.Sigmoid(),
        )
        for _ in range(k)
    ]


class PlainLoop:
    """A loop over K networks and their batches, each network with torch's own SGD.

    Parameters
    ----------
    structure : str
    k : int
    widths : list of float
        Kernel widths of the MMD, in units of the data.
    lr, momentum, weight_decay : float
    """

    def __init__(self, structure, k, widths, *, lr, momentum, weight_decay, device="cpu"):
        self.n_inputs, self.widths, self.lr = int(structure.split("-")[0]), widths, lr
        self.networks = [network.to(device) for network in networks(structure, k)]
        self.optimizers = [
            torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
            for net in self.networks
        ]

    def run(self, x: Tensor, queues, factors) -> None:
        """One epoch; `queues` and `factors` as of `mixnet_core.optimizers.BankTrainer.run`."""
        work = zip(self.networks, self.optimizers, queues, factors, strict=True)
        for network, optimizer, queue, factor in work:
            for rows, m in zip(queue, factor.tolist(), strict=True):
                z = torch.rand(len(rows), self.n_inputs, device=x.device) * 2 - 1
                y = network(z)
                loss = mmd2_gradient_part(x[rows].unsqueeze(0), y.unsqueeze(0), self.widths)
                optimizer.zero_grad()
                (m * loss.sum()).backward()
                optimizer.step()


@torch.no_grad()
def log_likelihood(x: Tensor, samples: Tensor, width: float) -> Tensor:
    """Eq. 4 in the log domain, by blocks of points: (N, K); not normalised."""
    out = torch.empty(len(x), len(samples), device=x.device)
    for start in range(0, len(x), ROWS):
        block = x[start : start + ROWS]
        for j, y in enumerate(samples):
            square = torch.cdist(block, y).square()
            out[start : start + ROWS, j] = torch.logsumexp(square / (-2 * width**2), 1)
    return out - math.log(samples.shape[1])


@torch.no_grad()
def log_likelihood_by_products(x: Tensor, samples: Tensor, width: float) -> Tensor:
    """The same with |x|² + |y|² - 2 x·y written out, as a careful user would."""
    out = torch.empty(len(x), len(samples), device=x.device)
    for start in range(0, len(x), ROWS):
        block = x[start : start + ROWS]
        for j, y in enumerate(samples):
            square = block.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * block @ y.T
            out[start : start + ROWS, j] = torch.logsumexp(square / (-2 * width**2), 1)
    return out - math.log(samples.shape[1])
