"""The mixture with one part taken out or replaced, for the table of ablations.

The library has no switches for this, which no user would want. Single functions of it are replaced
for the time of one fit instead: a cell is a process of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
from unittest.mock import patch

import numpy as np
import torch

from mixnet_core.memberships import batch_memberships
from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.training.recipes import resolve


class _Replaced(MixtureOfNetworks):
    """`replacements` names functions of `mixnet_core` and what stands in for them in a fit."""

    def replacements(self) -> dict:
        return {}

    def fit(self, X, y=None, **options):
        with contextlib.ExitStack() as stack:
            for name, function in self.replacements().items():
                stack.enter_context(patch(name, function))
            return super().fit(X, y, **options)


class Unsorted(_Replaced):
    """Without the rearrangement of §3.1: mini-batches of Algorithm 2 are drawn from all points."""

    def replacements(self):
        def in_any_order(log_lik, generator, order):
            return torch.randperm(len(log_lik), generator=generator)

        return {"mixnet_core.em.rearrange": in_any_order}


class Unscaled(_Replaced):
    """Without the factor m_{b,j} of eq. 7: a batch that is not skipped counts in full."""

    def replacements(self):
        threshold = resolve(self.get_params(deep=False)).threshold

        def all_or_nothing(log_lik, priors, batches):
            m = batch_memberships(log_lik, priors, batches)
            return (m >= threshold).to(m)

        return {"mixnet_core.em.batch_memberships": all_or_nothing}


class OneNetwork(MixtureOfNetworks):
    """One network with as many weights as the K together, for all points.

    It has no clusters (``labels_`` are all 0): what it shows is its held-out likelihood.
    """

    def fit(self, X, y=None, init_labels=None, **options):
        wide = widened(self.structure, self.n_components)
        settings = self.get_params() | {"n_components": 1, "structure": wide}
        self.one_ = MixtureOfNetworks(**settings)
        self.one_.fit(X, init_labels=np.zeros(len(X), dtype=np.int64), **options)
        fitted = self.one_.fitted_
        values = fitted.values | {"n_weights": n_weights(wide)}
        self.fitted_ = dataclasses.replace(fitted, values=values)
        self.n_features_in_ = self.one_.n_features_in_
        return self

    def save(self, path) -> None:
        """Write the one network as a mixture of one; see :meth:`MixtureOfNetworks.save`."""
        self.one_.save(path)


def n_weights(structure: str) -> int:
    """Weights and biases of a dense network such as ``"10-16-32"``."""
    sizes = [int(size) for size in structure.split("-")]
    return sum((a + 1) * b for a, b in zip(sizes, sizes[1:], strict=False))


def widened(structure: str, times: int) -> str:
    """The structure with hidden layers widened by one factor, to `times` as many weights.

    The factor is the largest with at most as many; widths are rounded down.

    Raises
    ------
    ValueError
        If the structure has no hidden layer.
    """
    first, *hidden, last = structure.split("-")
    if not hidden:
        raise ValueError(f"structure must have a hidden layer to widen; got {structure!r}")

    def by(factor):
        return "-".join([first, *(str(int(factor * int(size))) for size in hidden), last])

    low, high = 1.0, float(times) + 1
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if n_weights(by(middle)) <= times * n_weights(structure)
            else (low, middle)
        )
    return by(low)
