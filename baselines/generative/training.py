"""What the generative models share: the training loop, mini-batches, checkpoints.

A model derives from :class:`model.GenerativeModel` and writes two methods (a third where it must)::

    class Model(GenerativeModel):
        def __init__(self, lr=0.1, max_updates=None, random_state=0, device="cpu"): ...

        def _network(self, n_features) -> nn.Module   # untrained, from the settings alone
        def _fit(self, X, validation, checkpoint, progress) -> None:
            weights, order, noise = streams(self.random_state, 3)   # independent generators (CPU)
            self.network_ = self._network(X.shape[1]); initialise(self.network_, weights)
            batches = Batches(len(X), 100, order, self.device)
            optimizer = torch.optim.SGD(self.network_.parameters(), lr=1.0, fused=True)

            def step(update):                     # update = 0, 1, …; schedules follow from it
                set_sgd(optimizer, lr(update), momentum(update))
                loss = self._loss(X[batches.next()], noise)
                optimizer.zero_grad(); loss.backward(); optimizer.step()
                return loss.detach()              # or a dict of names to 0-d tensors

            self.history_, self.values_ = train(
                step, length=40_000, max_updates=self.max_updates, network=self.network_,
                optimizers=[optimizer], streams=[batches, noise],
                checkpoint=checkpoint, phase="gmmn", progress=progress)

        def _sample(self, n, generator) -> Tensor     # (n, d), under no_grad; called in blocks
                                                      # of SAMPLE_BLOCK, or override sample()

`X` and `validation` reach ``_fit`` as checked float32 tensors on the model's device. Everything
that a resumed training needs must be in `network` (buffers too: a persistent chain is a buffer),
`optimizers` or `streams` (torch.Generator, Batches: anything with get_state and set_state).
Several phases (layers of a stack) call :func:`train` once each with the same `checkpoint`, another
`phase` and ``progress=part_of(progress, before, total)``; a finished phase is restored, not
repeated. :func:`share_budget` divides a budget among phases.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn

from .checkpoints import Checkpoint

EVALUATIONS = 100  # entries of the history of a training, unless `every` says otherwise


def train(
    step,
    *,
    length: int,
    max_updates: int | None,
    network: nn.Module,
    optimizers=(),
    streams=(),
    checkpoint: Checkpoint | None = None,
    phase: str = "training",
    progress=None,
    validate=None,
    patience: int | None = None,
    every: int | None = None,
) -> tuple[dict, dict]:
    """Make ``min(length, max_updates)`` updates, and keep the state of the training on the way.

    Parameters
    ----------
    step : callable
        ``step(update)`` makes one update (0, 1, …) of `network` in place and returns its loss: a
        0-d tensor without gradient, or a dict of these by name.
    length : int
        Updates of a full training.
    max_updates : int or None
        The budget; None for the full length.
    network, optimizers, streams
        All that `step` changes: ``state_dict`` of the first two, ``get_state`` of the last.
    checkpoint : Checkpoint, optional
    phase : str
        Name of this training in the checkpoint.
    progress : callable, optional
        Called as ``progress(done, total, text)`` after each evaluation.
    validate : callable, optional
        ``validate()`` is a number that falls as the network gets better (float). The weights with
        the smallest are those in `network` at the end.
    patience : int, optional
        Evaluations without a new smallest value that end the training. None: never.
    every : int, optional
        Updates between evaluations.

    Returns
    -------
    history : dict of list
        ``update``, the mean of each loss since the entry before, and ``validation`` if validated.
    values : dict
        ``updates`` made, ``stopped_by`` "length", "budget" or "validation", and
        ``best_validation``, ``best_update`` if validated.

    Raises
    ------
    FloatingPointError
        If a loss or the validation is not finite at an evaluation.
    """
    total = length if max_updates is None else min(length, max_updates)
    every = every or max(1, math.ceil(total / EVALUATIONS))
    run = {"update": 0, "sums": {}, "history": {"update": []}, "best": math.inf, "best_update": 0}
    run |= {"since": 0, "weights": None, "stopped": False}

    def state() -> dict:
        return {
            "run": run,
            "network": network.state_dict(),
            "optimizers": [o.state_dict() for o in optimizers],
            "streams": [s.get_state() for s in streams],
        }

    saved = None if checkpoint is None else checkpoint.read(phase)
    if saved is not None:
        run = saved["run"]
        network.load_state_dict(saved["network"])
        device = next((p.device for p in network.parameters()), "cpu")
        run["sums"] = {name: value.to(device) for name, value in run["sums"].items()}
        for optimizer, one in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(one)
        for stream, one in zip(streams, saved["streams"], strict=True):
            stream.set_state(one)
    made_before = run["update"] == total or run["stopped"]
    while run["update"] < total and not run["stopped"]:
        losses = step(run["update"])
        run["update"] += 1
        for name, loss in (losses if isinstance(losses, dict) else {"loss": losses}).items():
            # Summed where they are: to read a loss at every update would wait for the device.
            run["sums"][name] = run["sums"].get(name, 0.0) + loss
        evaluated = run["update"] % every == 0 or run["update"] == total
        if evaluated:
            _evaluate(run, network, validate, patience)
        if checkpoint is not None:
            checkpoint.write(phase, state, last=run["update"] == total or run["stopped"])
        if evaluated and progress is not None:
            latest = {name: curve[-1] for name, curve in run["history"].items() if name != "update"}
            text = ", ".join(f"{name} {value:.4g}" for name, value in latest.items())
            progress(run["update"], total, f"{phase}: {text}")
    if made_before and progress is not None:
        progress(total, total, f"{phase}: done before")
    if run["weights"] is not None:
        network.load_state_dict(run["weights"])
    stopped_by = "validation" if run["stopped"] else "length" if total == length else "budget"
    values = {"updates": run["update"], "stopped_by": stopped_by}
    if run["weights"] is not None:
        values |= {"best_validation": run["best"], "best_update": run["best_update"]}
    return run["history"], values


def _evaluate(run: dict, network: nn.Module, validate, patience: int | None) -> None:
    history = run["history"]
    n = run["update"] - (history["update"][-1] if history["update"] else 0)
    history["update"].append(run["update"])
    for name, value in run["sums"].items():
        history.setdefault(name, []).append(_finite(name, float(value) / n, run["update"]))
    run["sums"] = {}
    if validate is None:
        return
    with torch.no_grad():
        score = _finite("validation", float(validate()), run["update"])
    history.setdefault("validation", []).append(score)
    run["since"] += 1
    if score < run["best"]:
        run |= {"best": score, "best_update": run["update"], "since": 0}
        run["weights"] = copy.deepcopy(network.state_dict())
    run["stopped"] = patience is not None and run["since"] >= patience


def _finite(name: str, value: float, update: int) -> float:
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the training diverged: {name} is {value} at update {update}; "
            "a smaller learning rate may help"
        )
    return value


def part_of(progress, before: int, whole: int):
    """`progress` of a phase as progress of the whole: `before` updates precede it."""
    if progress is None:
        return None
    return lambda done, total, text: progress(before + done, whole, text)


def share_budget(lengths, max_updates: int | None) -> list[int]:
    """Updates of each phase: a budget below the sum shortens all in proportion, to one at least.

    They add up to the budget, unless that is less than one each.
    """
    left, after, shares = max_updates, sum(lengths), []
    if max_updates is None or max_updates >= after:
        return list(lengths)
    for length in lengths:
        shares.append(max(1, left * length // after) if length else 0)
        left, after = left - shares[-1], after - length
    return shares


def streams(seed: int, n: int) -> list[torch.Generator]:
    """n independent generators (CPU) of a seed, the first of them the same for every n."""
    seeds = np.random.SeedSequence(int(seed)).generate_state(n, np.uint64)
    return [torch.Generator().manual_seed(int(s >> np.uint64(1))) for s in seeds]


class Batches:
    """Endless mini-batches of indices: a new order every pass; an incomplete last one is left out.

    Parameters
    ----------
    n, batch_size : int
        Points, and points a batch (all points where there are fewer).
    generator : torch.Generator
        Draws the orders; not to be used by others.
    device : where the indices are needed.
    """

    def __init__(self, n: int, batch_size: int, generator: torch.Generator, device="cpu"):
        self.n, self.size = n, min(batch_size, n)
        self.generator, self.device = generator, device
        self.per_pass = n // self.size
        self._new_pass()

    def _new_pass(self) -> None:
        self.before, self.position = self.generator.get_state(), 0
        self.order = torch.randperm(self.n, generator=self.generator).to(self.device)

    def next(self) -> Tensor:
        """Indices of the next batch, shape (size,), int64."""
        if self.position == self.per_pass:
            self._new_pass()
        start = self.position * self.size
        self.position += 1
        return self.order[start : start + self.size]

    def get_state(self) -> dict:
        return {"before": self.before, "position": self.position}

    def set_state(self, state: dict) -> None:
        self.generator.set_state(state["before"])
        self._new_pass()
        self.position = state["position"]


def set_sgd(optimizer: torch.optim.SGD, lr: float, momentum: float) -> None:
    """Make the next step of torch's SGD one of ``v ← m v − lr g, w ← w + v``.

    The period's codes keep the learning rate in the velocity, torch keeps it out: the two differ
    where the rate changes, unless the momentum is scaled by the ratio of rates. At momentum 0
    torch keeps no velocity at all, which a later momentum would miss: hence the tiny number.
    """
    for group in optimizer.param_groups:
        group["momentum"] = max(momentum, 1e-30) * group.get("previous_lr", lr) / lr
        group["lr"] = group["previous_lr"] = lr
