"""What the models share that are sampled by a Markov chain: many chains, burn-in, thinning."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..torch_state import own_switches
from .model import GenerativeModel, check_number
from .training import part_of, share_budget


def bernoulli(p: Tensor, generator: torch.Generator) -> Tensor:
    """Zeros and ones with means p, of its shape, type and device; drawn where the generator is."""
    u = torch.rand(p.shape, generator=generator, dtype=p.dtype, device=generator.device)
    return (u.to(p.device) < p).to(p.dtype)


class ChainModel(GenerativeModel):
    """A model with settings ``n_chains``, ``burn_in``, ``thin`` and a buffer ``network_.start``.

    A derived class writes ``_begin(x, generator)``, the state of chains that start at images x
    (m, d); ``_move(state, generator)``, the next state; ``_emit(state)``, its images (m, d).
    """

    @own_switches()
    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, start=None):
        """n samples of the chains, shape (n, d), float32 in [0, 1].

        Sample i is of chain ``i % m`` after ``burn_in + (i // m + 1) * thin`` steps, so that fewer
        samples from an equal generator are the first of more.

        Parameters
        ----------
        n : int
        generator : torch.Generator, on the CPU
        start : array of float, shape (m, d), optional
            Images in [0, 1] at which m chains start; by default ``n_chains`` training images that
            were drawn when the model was fitted. Samples never include them.

        Raises
        ------
        ValueError
            If n is not a whole number from 1, or the others are not as said.
        """
        self._check_sample(n, generator)
        x = self.network_.start
        if start is not None:
            start = self._unit("start", start)
            x = torch.from_numpy(start).to(x)
        state = self._begin(x, generator)
        for _ in range(self.burn_in):
            state = self._move(state, generator)
        out = x.new_empty(n, x.shape[1])
        for i in range(0, n, len(x)):
            for _ in range(self.thin):
                state = self._move(state, generator)
            out[i : i + len(x)] = self._emit(state)[: n - i]
        return out.cpu().numpy()

    def _check_chains(self) -> None:
        check_number("n_chains", self.n_chains, 1, whole=True)
        check_number("burn_in", self.burn_in, 0, whole=True)
        check_number("thin", self.thin, 1, whole=True)

    def _draw_start(self, X: Tensor, generator: torch.Generator) -> None:
        """Keep ``n_chains`` rows of X, each once before any is taken twice."""
        passes = -(-self.n_chains // len(X))
        rows = torch.cat([torch.randperm(len(X), generator=generator) for _ in range(passes)])
        self.network_.start.copy_(X[rows[: self.n_chains].to(X.device)])

    def _fit_layers(self, lengths, fit_layer, progress) -> None:
        """Train layer after layer within the budget, and put the results of all together.

        ``fit_layer(i, length=, max_updates=, phase=, progress=)`` trains layer i and returns what
        ``training.train`` did; entries of ``history_`` end in the number of their layer, from 1.
        """
        budgets = share_budget(lengths, self.max_updates)
        self.history_, stops, updates = {}, [], 0
        self.values_ = {"updates": 0, "stopped_by": "length"}
        for i, (length, budget) in enumerate(zip(lengths, budgets, strict=True)):
            history, values = fit_layer(
                i,
                length=length,
                max_updates=budget,
                phase=f"layer {i + 1}",
                progress=part_of(progress, sum(budgets[:i]), sum(budgets)),
            )
            self.history_ |= {f"{name}_{i + 1}": curve for name, curve in history.items()}
            updates += values.pop("updates")
            stops.append(values.pop("stopped_by"))
            self.values_ |= {f"{name}_{i + 1}": value for name, value in values.items()}
        by = [reason for reason in ("budget", "validation", "length") if reason in stops]
        self.values_ |= {"updates": updates, "stopped_by": by[0]}


def check_per_layer(name: str, values, n_layers: int, low=0, high=math.inf, **kind) -> None:
    """A setting with one number for each layer, or ValueError."""
    if not isinstance(values, tuple | list) or len(values) != n_layers or not n_layers:
        raise ValueError(f"{name} must be a tuple, one number a layer ({n_layers}); got {values!r}")
    for i, value in enumerate(values):
        check_number(f"{name}[{i}]", value, low, high, **kind)
