"""Algorithms 1 and 2 of the paper on a bank of networks.

Within an epoch the networks do not depend on each other: Algorithm 1 trains each on its own
cluster, and Algorithm 2 fixes all memberships before its loop over networks. So the networks
advance together: step t of an epoch trains, in one batched product, every network that still has
a t-th mini-batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mixnet_core.generators import GeneratorBank
from mixnet_core.memberships import batch_memberships, memberships, rearrange
from mixnet_core.objective_base import FunctionObjective, Objective

PADDING = -1


class BankTrainer:
    """Trains the networks of a bank, each on its own queue of mini-batches.

    Networks are sorted by the length of their queues, so those that take part in a step are always
    the first A of the stacked tensors: a view, not a copy. A network without a batch in a step
    keeps weights, momentum and step count.

    Parameters
    ----------
    bank : GeneratorBank
    objective : Objective or callable
        What the networks minimise, prepared for them; or a function ``f(x, y, mask) -> (A,)`` for
        x (A, B, p), y (A, B, p), mask (A, B) or None.
    optimizer : SGD or Adam
    generators : list of K torch.Generator
        Random inputs of each network come from its own generator, so that they do not depend on
        what the other networks do.
    """

    def __init__(self, bank: GeneratorBank, objective: Objective | Callable, optimizer, generators):
        if not isinstance(objective, Objective):
            objective = FunctionObjective(objective)
        self.bank, self.objective, self.optimizer = bank, objective, optimizer
        self.generators = generators
        tensors = bank.tensors()
        self.slots = [[torch.zeros_like(t) for t in tensors] for _ in range(optimizer.n_slots)]
        self.counts = torch.zeros(bank.n_components, device=tensors[0].device)

    def run(self, x: Tensor, queues: list[Tensor], factors: list[Tensor]) -> None:
        """One epoch: every network works through its queue.

        Parameters
        ----------
        x : Tensor, shape (N, p)
        queues : list of K Tensor of int64, each (n_batches_j, B)
            Row numbers of the points of each batch; `PADDING` fills up a ragged one.
        factors : list of K Tensor, each (n_batches_j,)
            What multiplies the learning rate of each batch (eq. 7).
        """
        lengths = torch.tensor([len(queue) for queue in queues])
        n_steps, batch = int(lengths.max()), queues[0].shape[1]
        if n_steps == 0:
            return
        order = lengths.argsort(descending=True, stable=True)
        active = (lengths.unsqueeze(0) > torch.arange(n_steps).unsqueeze(1)).sum(1)
        starts = (active.cumsum(0) - active).tolist()
        total = int(lengths.sum())
        rows = torch.empty(total, batch, dtype=torch.int64)
        factor = torch.empty(total)
        z = torch.empty(total, batch, self.bank.n_inputs)
        for position, j in enumerate(order.tolist()):
            if len(queues[j]):
                at = torch.tensor(starts[: len(queues[j])]) + position
                rows[at], factor[at] = queues[j], factors[j].to(factor)
                z[at] = self.bank.draw_inputs(len(at), batch, generator=self.generators[j])
        mask = rows != PADDING
        mask = None if bool(mask.all()) else mask.to(x.device)
        rows, factor, z = rows.clamp_min(0).to(x.device), factor.to(x.device), z.to(x.device)

        stacks = [self.bank.tensors(), *self.slots]
        order = order.to(x.device)
        ordered = [[t[order] for t in stack] for stack in stacks]
        counts = self.counts[order]
        for a, start in zip(active.tolist(), starts, strict=True):
            now = slice(start, start + a)
            weights, *slots = [[t[:a] for t in stack] for stack in ordered]
            leaves = [w.detach().requires_grad_() for w in weights]
            y = self.bank.run(leaves, z[now])
            padding = None if mask is None else mask[now]
            loss = self.objective(x[rows[now]], y, padding, order[:a])
            gradients = list(torch.autograd.grad(loss.sum(), leaves))
            counts[:a] += 1
            with torch.no_grad():
                self.optimizer.step(weights, gradients, slots, counts[:a], factor[now])
        for stack, new in zip(stacks, ordered, strict=True):
            for t, values in zip(stack, new, strict=True):
                t[order] = values
        self.counts[order] = counts

    def state(self) -> dict:
        """Everything that decides the further course, as tensors."""
        return {
            "weights": [t.clone() for t in self.bank.tensors()],
            "slots": [[t.clone() for t in slot] for slot in self.slots],
            "counts": self.counts.clone(),
            "generators": [g.get_state() for g in self.generators],
            "objective": self.objective.state(),
        }

    def restore(self, state: dict) -> None:
        """Go on from what :meth:`state` returned."""
        for t, values in zip(self.bank.tensors(), state["weights"], strict=True):
            t.copy_(values)
        for slot, values in zip(self.slots, state["slots"], strict=True):
            for t, value in zip(slot, values, strict=True):
                t.copy_(value)
        self.counts.copy_(state["counts"])
        for generator, value in zip(self.generators, state["generators"], strict=True):
            generator.set_state(value)
        self.objective.restore(state["objective"])


def hard_batches(labels: Tensor, n_components: int, batch_size: int, generator: torch.Generator):
    """Random mini-batches of each cluster, one list of batches a network (Algorithm 1).

    A cluster smaller than the batch size is one batch, filled up with padding; of a larger one the
    last, incomplete batch of the epoch is left out (another random one each epoch).
    """
    queues = []
    for j in range(n_components):
        members = torch.nonzero(labels == j).flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        if 0 < len(members) < batch_size:
            queue = torch.full((1, batch_size), PADDING)
            queue[0, : len(members)] = members
        else:
            n_batches = len(members) // batch_size
            queue = members[: n_batches * batch_size].view(n_batches, batch_size)
        queues.append(queue)
    return queues


def algorithm_1_epoch(trainer: BankTrainer, x: Tensor, labels: Tensor, batch_size: int, generator):
    """One epoch of Algorithm 1: every network on its own hard cluster.

    Parameters
    ----------
    x : Tensor, shape (N, p)
    labels : Tensor of int64, shape (N,)
    """
    queues = hard_batches(labels, trainer.bank.n_components, batch_size, generator)
    trainer.run(x, queues, [torch.ones(len(queue)) for queue in queues])


def algorithm_2_iteration(
    trainer: BankTrainer,
    x: Tensor,
    log_lik: Tensor,
    priors: Tensor,
    batch_size: int,
    threshold: float,
    generator: torch.Generator,
) -> None:
    """One iteration of Algorithm 2, without the update of the likelihood matrix.

    Parameters
    ----------
    x : Tensor, shape (N, p)
    log_lik : Tensor, shape (N, K)
        Log of the likelihood matrix L.
    priors : Tensor, shape (K,)
    threshold : float
        Batches with a smaller membership are skipped (0.001 in the paper, §3.3).
    """
    order = rearrange(log_lik, generator)
    n_batches = len(order) // batch_size
    batches = order[: n_batches * batch_size].view(n_batches, batch_size)
    m = batch_memberships(log_lik, priors, batches.to(log_lik.device)).cpu()
    queues, factors = [], []
    for j in range(trainer.bank.n_components):
        used = m[:, j] >= threshold
        queues.append(batches[used])
        factors.append(m[used, j])
    trainer.run(x, queues, factors)


def update_priors(log_lik: Tensor, priors: Tensor) -> Tensor:
    """π_j = (1/N) Σ_i m_ij, but never less than the share of one point (ours).

    A prior of zero would be final: no likelihood could bring the component back.
    """
    new = memberships(log_lik, priors).mean(0).clamp_min(1 / len(log_lik))
    return new / new.sum()
