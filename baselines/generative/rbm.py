"""The restricted Boltzmann machine with binary units, and its training by contrastive divergence.

Sources: G. Hinton, "Training products of experts by minimizing contrastive divergence", Neural
Computation 14, 2002 (CD-k); T. Tieleman, "Training restricted Boltzmann machines using
approximations to the likelihood gradient", ICML 2008 (PCD); G. Hinton, "A practical guide to
training restricted Boltzmann machines", UTML TR 2010-003 (the guide).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .chains import bernoulli
from .training import Batches, set_sgd, train


class Machine(nn.Module):
    """p(v, h) ∝ exp(v·b + h·c + vᵀWh) on v in {0, 1}^n, h in {0, 1}^m.

    Parameters
    ----------
    n_visible, n_hidden : int
    n_persistent : int
        Chains of PCD, kept in the buffer `chain`; 0 for CD, whose chains start at the data.

    Attributes
    ----------
    W : (n, m); b : (n,); c : (m,).
    """

    def __init__(self, n_visible: int, n_hidden: int, n_persistent: int = 0):
        super().__init__()
        self.W = nn.Parameter(torch.zeros(n_visible, n_hidden))
        self.b = nn.Parameter(torch.zeros(n_visible))
        self.c = nn.Parameter(torch.zeros(n_hidden))
        chain = torch.full((n_persistent, n_hidden), 0.5) if n_persistent else None
        self.register_buffer("chain", chain)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Weights N(0, 0.01²), biases 0 (the guide); :func:`fit_machine` sets b."""
        self.W.copy_(0.01 * torch.randn(self.W.shape, generator=generator))

    def hidden(self, v: Tensor) -> Tensor:
        """p(h = 1 | v), shape (batch, m)."""
        return torch.addmm(self.c, v, self.W).sigmoid_()

    def visible(self, h: Tensor) -> Tensor:
        """p(v = 1 | h), shape (batch, n)."""
        return torch.addmm(self.b, h, self.W.T).sigmoid_()

    def free_energy(self, v: Tensor) -> Tensor:
        """-log Σ_h exp(v·b + h·c + vᵀWh), shape (batch,), in nats."""
        return -(v @ self.b) - F.softplus(torch.addmm(self.c, v, self.W)).sum(1)

    def gibbs(self, p: Tensor, k: int, generator) -> tuple[Tensor, Tensor, Tensor]:
        """k steps of block Gibbs sampling from hidden means p (batch, m).

        Returns
        -------
        The means of v given the last h, the v drawn with them (both (batch, n)), and the means of
        h given that v (batch, m), from which the chain goes on.
        """
        for _ in range(k):
            means = self.visible(bernoulli(p, generator))
            v = bernoulli(means, generator)
            p = self.hidden(v)
        return means, v, p

    def contrast(self, data: Tensor, k: int, generator) -> None:
        """Put CD-k's or PCD-k's estimate of -∂ log p(data) ∂ parameters into their ``grad``.

        `data` (batch, n) is binary. The statistics take the means of h in place of draws (the
        guide), which changes no expectation.
        """
        up = self.hidden(data)
        _, v, p = self.gibbs(up if self.chain is None else self.chain, k, generator)
        if self.chain is not None:
            self.chain = p
        self.W.grad = torch.addmm(v.T @ p, data.T, up, beta=1 / len(v), alpha=-1 / len(data))
        self.b.grad = v.mean(0) - data.mean(0)
        self.c.grad = p.mean(0) - up.mean(0)


def fit_machine(
    machine: Machine,
    X: Tensor,
    below,
    *,
    k: int,
    lr: float,
    momentum: tuple[float, float],
    momentum_switch: float,
    weight_decay: float,
    batch_size: int,
    order: torch.Generator,
    noise: torch.Generator,
    length: int,
    max_updates: int,
    **loop,
) -> tuple[dict, dict]:
    """Train a machine; returns what :func:`training.train` does (losses: see the end).

    Parameters
    ----------
    X : Tensor, shape (n, d), in [0, 1]
        Means of binary images: every presentation draws an image anew, so that the likelihood is
        one of binary data, whatever the pixels are.
    below : list of Machine
        Trained layers that X passes: each draws its input and hands on the means of its hidden
        units.
    k, lr, momentum, momentum_switch, weight_decay, batch_size
        As in :class:`dbn.DBN`, for this layer.
    order, noise : torch.Generator
        Of the batches and of all other draws.
    length, max_updates, loop
        Of :func:`training.train`.

    The history has ``visible_gap`` and ``hidden_gap``: how far the mean activity of a unit differs
    between data and chains, on average over the units. Small says little, growing says trouble.
    """
    batches = Batches(len(X), batch_size, order, X.device)
    total, switch = min(length, max_updates), momentum_switch * batches.per_pass
    groups = [{"params": [machine.W], "weight_decay": weight_decay}]  # none of the biases: guide
    groups.append({"params": [machine.b, machine.c]})
    optimizer = torch.optim.SGD(groups, lr=lr, fused=True)

    def draw(x):
        for layer in below:
            x = layer.hidden(bernoulli(x, noise))
        return bernoulli(x, noise)

    @torch.no_grad()
    def step(update):
        set_sgd(optimizer, lr * (1 - update / total), momentum[update >= switch])
        machine.contrast(draw(X[batches.next()]), k, noise)
        optimizer.step()
        return {
            "visible_gap": machine.b.grad.abs().mean(),
            "hidden_gap": machine.c.grad.abs().mean(),
        }

    with torch.no_grad():
        count = torch.zeros_like(machine.b)
        for part in X.split(4096):
            count += draw(part).sum(0)
        # Units start at their activity (the guide), half a count away from never and always.
        rate = (count + 0.5) / (len(X) + 1)
        machine.b.copy_(rate.logit())
    return train(
        step,
        length=length,
        max_updates=max_updates,
        network=machine,
        optimizers=[optimizer],
        streams=[batches, noise],
        **loop,
    )
