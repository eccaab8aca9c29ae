"""A GMMN whose kernels follow the scale of its data: for codes of an autoencoder not its own."""

from __future__ import annotations

import torch
from torch import Tensor

from .gmmn import GMMN
from .training import streams

PAIRS = 100_000


class ScaledGMMN(GMMN):
    """:class:`GMMN` with ``variances`` in units of the median squared distance between points.

    Published is a variance of 1 for codes whose median squared distance was near 5.2 (measured on a
    remake of that autoencoder): a fifth of it. On codes that lie closer, 1 itself blurs.

    Parameters
    ----------
    variances : of the Gaussian kernels, summed, as multiples of the median squared distance of two
        random points of X. The other parameters are those of :class:`GMMN`.

    Attributes
    ----------
    values_ : with ``median_squared_distance``.
    """

    def __init__(
        self,
        latent_dim=10,
        hidden=(64, 256, 256, 1024),
        variances=(0.2,),
        lr=2.0,
        momentum=0.9,
        drop_at=0.25,
        batch_size=1000,
        updates=40_000,
        max_updates=None,
        random_state=0,
        device="cpu",
    ):
        super().__init__(
            latent_dim,
            hidden,
            variances,
            lr,
            momentum,
            drop_at,
            batch_size,
            updates,
            max_updates,
            random_state,
            device,
        )

    def _fit(self, X, validation, checkpoint, progress):
        pairs = streams(self.random_state, 4)[3]
        median = median_squared_distance(X, pairs)
        if not median > 0:
            raise ValueError("X must have points that differ; most of them are equal")
        inner = GMMN(**self.get_params())
        inner.variances = [v * median for v in self.variances]
        inner._fit(X, validation, checkpoint, progress)
        self.network_, self.history_ = inner.network_, inner.history_
        self.values_ = inner.values_ | {"median_squared_distance": median}


def median_squared_distance(X: Tensor, generator: torch.Generator) -> float:
    """Median of |x - x'|² over random pairs of rows of X (n, d)."""
    a, b = (torch.randint(len(X), (PAIRS,), generator=generator).to(X.device) for _ in "ab")
    apart = a != b
    return float((X[a[apart]] - X[b[apart]]).square().sum(1).median())
