"""Algorithms 1 and 2 of the paper (§3.1), and when they end: the whole loop is :func:`train`."""

import math

import torch
from torch import Tensor

from mixnet_core.memberships import (
    batch_memberships,
    memberships,
    rearrange,
    update_priors,
)
from mixnet_core.optimizers import PADDING, BankTrainer

MIN_GAIN = 0.01  # nats a point that count as an improvement of it
DEAD = 0.05  # a component with less than this share of the points it started with is dead


def train(session) -> None:
    """Algorithm 1, then Algorithm 2 until held-out likelihood saturates (§4) or T2 is reached.

    Parameters
    ----------
    session : mixnet_core.training.session.Session
        Bank, data and settings; all that a checkpoint keeps. It may be in the middle of a training.
    """
    s, settings = session, session.settings
    s.begin()
    while s.epoch < s.t1 and not s.stopped:  # Algorithm 1: each network on its own hard cluster
        s.trainer.optimizer.lr = s.rate_of_algorithm_1()
        if settings.batches == "drawn":
            drawn_epoch(s.trainer, s.trained, s.hard, s.batch_size_1, settings.updates, s.order)
        else:
            algorithm_1_epoch(s.trainer, s.trained, s.labels, s.batch_size_1, s.order)
        s.fit_kernels(s.hard)
        s.epoch += 1
        s.report(1)

    if s.log_lik is None:  # the likelihood matrix as Algorithm 1 left the networks
        s.trainer.optimizer.lr = settings.lr
        samples = s.sample()
        s.choose_noise(samples)
        s.log_lik = s.likelihood(samples)
        s.record(samples)
        s.watch.begin(s)

    while s.iteration < settings.t2 and not s.stopped and not s.watch.saturated:  # Algorithm 2
        log_lik = s.training_rows(s.log_lik)
        m = memberships(log_lik, s.priors)
        if settings.batches == "drawn":
            drawn_epoch(s.trainer, s.trained, m, s.batch_size_2, settings.updates, s.order)
        else:
            algorithm_2_iteration(
                s.trainer, s.trained, log_lik, s.priors, s.batch_size_2, settings.threshold,
                s.order, settings.order,
            )
        s.fit_kernels(m)
        s.iteration += 1
        samples = s.sample()
        s.log_lik = running_mean(s.log_lik, s.likelihood(samples), settings.memory)
        s.priors = update_priors(s.training_rows(s.log_lik), s.priors, settings.prior_floor)
        s.record(samples)
        s.watch.look(s)
        s.report(2)


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


def algorithm_1_epoch(trainer: BankTrainer, x, labels: Tensor, batch_size: int, generator) -> None:
    """One epoch of Algorithm 1: every network on its own hard cluster, by eq. 3.

    Parameters
    ----------
    x : Tensor or Points, shape (N, p)
    labels : Tensor of int64, shape (N,)
    """
    queues = hard_batches(labels, trainer.bank.n_components, batch_size, generator)
    trainer.run(x, queues, [torch.ones(len(queue), dtype=torch.float32) for queue in queues])


def algorithm_2_iteration(
    trainer: BankTrainer,
    x,
    log_lik: Tensor,
    priors: Tensor,
    batch_size: int,
    threshold: float,
    generator: torch.Generator,
    order: str = "columns",
) -> None:
    """One iteration of Algorithm 2 by eq. 7, without the update of the likelihood matrix.

    Parameters
    ----------
    x : Tensor or Points, shape (N, p)
    log_lik : Tensor, shape (N, K)
        Log of the likelihood matrix L.
    priors : Tensor, shape (K,)
    threshold : float
        Batches with a smaller membership are skipped (0.001 in the paper, §3.3).
    order : {"columns", "random"}
        Of the networks in the rearrangement; see :func:`mixnet_core.memberships.rearrange`.
    """
    rows = rearrange(log_lik, generator, order)
    n_batches = len(rows) // batch_size
    batches = rows[: n_batches * batch_size].view(n_batches, batch_size)
    m = batch_memberships(log_lik, priors, batches.to(log_lik.device)).cpu()
    queues, factors = [], []
    for j in range(trainer.bank.n_components):
        used = m[:, j] >= threshold
        queues.append(batches[used])
        factors.append(m[used, j])
    trainer.run(x, queues, factors)


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


def running_mean(old: Tensor, new: Tensor, memory: float) -> Tensor:
    """Log of memory · exp(old) + (1 - memory) · exp(new), the likelihood matrix (ours).

    Fresh samples alone make L noisy, and points change sides by chance; stochastic approximation as
    in SAEM (Delyon et al. 1999). The paper has memory = 0.
    """
    if not memory:
        return new
    return torch.logaddexp(old + math.log(memory), new + math.log1p(-memory))


class Watch:
    """Which state of Algorithm 2 is the best, when it has saturated, and what died on the way.

    The held-out likelihood is smoothed by the mean of up to `smoothing` iterations. Where it has
    not risen for `patience` iterations, or a component died (it has less than a twentieth of the
    points that it started with; only where `revive`), the training goes back to its best state and
    on with a smaller rate, `cuts` times; then it has saturated. No state in which a component is
    dead is ever the best where an earlier one had it alive and `revive` is set.

    Parameters
    ----------
    patience, cuts : int
    cut : float
        What the rate is multiplied by.
    revive : bool
    smoothing : int
        Iterations in the moving mean of the held-out likelihood.
    """

    def __init__(
        self,
        patience: int,
        cuts: int = 0,
        cut: float = 0.3,
        revive: bool = False,
        smoothing: int = 10,
    ):
        self.patience, self.cuts, self.cut, self.revive = patience, cuts, cut, revive
        self.smoothing = smoothing
        self.window: list[float] = []
        self.smoothed, self.reference, self.since = -math.inf, -math.inf, 0
        self.cuts_made, self.saturated = 0, False
        self.start = self.first = self.best = None
        self.deaths: list[list[int]] = []  # iteration, component

    def begin(self, session) -> None:
        """Take the state after Algorithm 1 as the first, and so far best."""
        self.first = self.best = session.snapshot()
        self.reference = self.smoothed = -math.inf

    def look(self, session) -> None:
        """After an iteration: keep the state, wait, or go back to the best one."""
        self.window = [*self.window, session.history["heldout"][-1]][-self.smoothing :]
        value = sum(self.window) / len(self.window)
        dead = dead_components(session.counts(), session.start_counts)
        self.deaths += [[session.iteration, j] for j in dead if j not in self._known_dead()]
        if self.revive and dead:
            self._go_back(session)
            return
        if value > self.smoothed:
            self.smoothed, self.best = value, session.snapshot()
        if value > self.reference + MIN_GAIN:
            self.reference, self.since = value, 0
        else:
            self.since += 1
        if self.since >= self.patience:
            self._go_back(session)

    def _known_dead(self) -> set[int]:
        return set() if self.revive else {j for _, j in self.deaths}

    def _go_back(self, session) -> None:
        if self.cuts_made == self.cuts:
            self.saturated = True
            return
        rate = session.trainer.optimizer.lr * self.cut
        session.return_to(self.best)
        session.trainer.optimizer.lr = rate
        self.cuts_made += 1
        self.window, self.since = [], 0

    def state(self) -> dict:
        """Everything, for a checkpoint."""
        return dict(vars(self))

    def restore(self, state: dict) -> None:
        """Go on from what :meth:`state` returned."""
        vars(self).update(state)


def dead_components(counts: Tensor, start_counts: Tensor) -> list[int]:
    """Components that have less than a twentieth of the points they started with, or none.

    Parameters
    ----------
    counts, start_counts : Tensor of int64, shape (K,)
        Training points that are likeliest under each, now and in the initial clustering.
    """
    least = (DEAD * start_counts).clamp_min(1)
    return torch.nonzero((counts < least) & (start_counts > 0)).flatten().tolist()


def taken_over(counts: Tensor, start_counts: Tensor) -> list[int]:
    """Components that won more than half of the points that were not theirs at the start."""
    won, others = counts - start_counts, start_counts.sum() - start_counts
    return torch.nonzero((won > 0.5 * others) & (others > 0)).flatten().tolist()
