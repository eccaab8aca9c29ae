"""When Algorithm 2 ends (§4: "until … saturated"), which state is best, which component died."""

import math

import torch
from torch import Tensor

MIN_GAIN = 0.01  # nats a point that count as an improvement of it
DEAD = 0.05  # a component with less than this share of the points it started with is dead


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
