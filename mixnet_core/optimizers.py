"""Steps of eqs. 3 and 7 for all networks side by side.

Within an epoch the networks do not depend on each other: Algorithm 1 trains each on its own
cluster, and Algorithm 2 fixes all memberships before its loop over networks. So step t of an epoch
trains, in one batched product, every network that still has a t-th mini-batch. A network that sits
out a step keeps its weights, momentum and step count untouched.
"""

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from mixnet_core.objectives.base import FunctionObjective, Objective

PADDING = -1


class SGD:
    """Stochastic gradient descent: w ← w - m α ∂C/∂w (eqs. 3 and 7).

    With momentum μ, which the paper has not, v ← μ v + m (g + λ w), w ← w - α v: the membership m
    multiplies the gradient, so that a batch which counts little leaves little behind in v. (Were it
    on the step alone, v would keep the gradient in full and the next batch would make the step.)

    Parameters
    ----------
    lr, momentum, weight_decay : float
        α (or β), μ and λ.
    """

    n_slots = 1

    def __init__(self, lr: float, momentum: float = 0.0, weight_decay: float = 0.0):
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay

    def step(self, weights, gradients, slots, counts: Tensor, factors: Tensor | None) -> None:
        """Update in place.

        Parameters
        ----------
        weights, gradients : list of Tensor, each (A, ...)
        slots : list of `n_slots` lists of Tensor like the weights
        counts : Tensor, shape (A,)
            Steps made by each network, this one included.
        factors : Tensor, shape (A,), or None
            m of each network; None where all are one.
        """
        decay = self.weight_decay
        if factors is not None:
            if decay:
                torch._foreach_add_(gradients, weights, alpha=decay)
            for gradient in gradients:
                gradient.mul_(like(factors, gradient))
            decay = 0.0
        sgd(
            weights,
            [g.contiguous() for g in gradients],  # it goes by memory, whatever the strides
            slots[0],
            fused=True,
            weight_decay=decay,
            momentum=self.momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


class BankTrainer:
    """Trains the networks of a bank, each on its own queue of mini-batches.

    Networks are sorted by the length of their queues, so those that take part in a step are always
    the first A of the stacked tensors: a view, not a copy. On a GPU nothing waits for a value of
    it within an epoch.

    Parameters
    ----------
    bank : GeneratorBank
    objective : Objective or callable
        What the networks minimise, prepared for them; or a function ``f(x, y, mask) -> (A,)``.
    optimizer : SGD, or another with its `step` and `n_slots`
    generators : list of K torch.Generator
        Random inputs of each network come from its own generator, so that they do not depend on
        what the other networks do.
    n_generated : int, optional
        Samples that a network generates for each mini-batch; B as in the paper by default.
    """

    def __init__(self, bank, objective, optimizer, generators, n_generated: int | None = None):
        if not isinstance(objective, Objective):
            objective = FunctionObjective(objective)
        self.bank, self.objective, self.optimizer = bank, objective, optimizer
        self.generators, self.n_generated = generators, n_generated
        tensors = bank.tensors()
        self.slots = [[torch.zeros_like(t) for t in tensors] for _ in range(optimizer.n_slots)]
        self.counts = torch.zeros(bank.n_components, device=tensors[0].device, dtype=torch.float32)

    def run(self, x, queues: list[Tensor], factors: list[Tensor]) -> None:
        """One epoch: every network works through its queue.

        Parameters
        ----------
        x : Tensor, shape (N, p), or Points
        queues : list of K Tensor of int64, each (n_batches_j, B)
            Row numbers of the points of each batch; `PADDING` fills up a ragged one.
        factors : list of K Tensor, each (n_batches_j,)
            m of each batch (eq. 7).
        """
        lengths = torch.tensor([len(queue) for queue in queues])
        if int(lengths.max()) == 0:
            return
        order = lengths.argsort(descending=True, stable=True)
        active = (lengths.unsqueeze(0) > torch.arange(int(lengths.max())).unsqueeze(1)).sum(1)
        starts = active.cumsum(0) - active
        rows, factor, z = self._laid_out(queues, factors, order, starts)
        weighted = [bool((part != 1).any()) for part in factor.split(active.tolist())]
        device = self.counts.device
        mask = rows != PADDING
        mask = None if bool(mask.all()) else mask.to(device)
        rows, factor, z = rows.clamp_min(0), factor.to(device), z.to(device)
        x = x if (whole := getattr(x, "x", None)) is None else whole
        if isinstance(x, Tensor):
            rows = rows.to(device)
        order = order.to(device)

        stacks = [self.bank.tensors(), *self.slots]
        ordered = [[t[order] for t in stack] for stack in stacks]
        counts = self.counts[order]
        steps = zip(active.tolist(), starts.tolist(), weighted, strict=True)
        for a, start, by_membership in steps:
            now = slice(start, start + a)
            weights, *slots = [[t[:a] for t in stack] for stack in ordered]
            leaves = [w.detach().requires_grad_() for w in weights]
            y = self.bank.run(leaves, z[now], order[:a])
            padding = None if mask is None else mask[now]
            # The samples' gradient first: a closed form where the objective has one.
            slope = self.objective.gradient(x[rows[now]], y.detach(), padding, order[:a])
            gradients = list(torch.autograd.grad(y, leaves, slope))
            counts[:a] += 1
            with torch.no_grad():
                m = factor[now] if by_membership else None
                self.optimizer.step(weights, gradients, slots, counts[:a], m)
        for stack, new in zip(stacks, ordered, strict=True):
            for t, values in zip(stack, new, strict=True):
                t[order] = values
        self.counts[order] = counts

    def _laid_out(self, queues, factors, order, starts):
        """Rows, memberships and inputs of all batches, those of one step side by side."""
        total, batch = sum(map(len, queues)), queues[0].shape[1]
        rows = torch.empty(total, batch, dtype=torch.int64)
        factor = torch.empty(total, dtype=torch.float32)
        drawn = self.n_generated or batch
        z = torch.empty(total, drawn, self.bank.n_inputs, dtype=torch.float32)
        for position, j in enumerate(order.tolist()):
            n = len(queues[j])
            if n:
                at = starts[:n] + position
                rows[at], factor[at] = queues[j], factors[j].to(factor)
                z[at] = self.bank.draw_inputs(n, drawn, generator=self.generators[j])
        return rows, factor, z

    def state(self) -> dict:
        """Everything that decides the further course, as copies of tensors."""
        return {
            "weights": [t.clone() for t in self.bank.tensors()],
            "slots": [[t.clone() for t in slot] for slot in self.slots],
            "counts": self.counts.clone(),
            "lr": self.optimizer.lr,
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
        self.optimizer.lr = state["lr"]
        for generator, value in zip(self.generators, state["generators"], strict=True):
            generator.set_state(value)
        self.objective.restore(state["objective"])


def like(per_network: Tensor, tensor: Tensor) -> Tensor:
    """Shape (A,) made broadcastable with (A, ...)."""
    return per_network.view(-1, *[1] * (tensor.dim() - 1))
