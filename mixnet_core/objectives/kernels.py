"""Discrepancies by other kernels: rational quadratic ones, and the energy distance."""

from collections.abc import Callable

import torch
from torch import Tensor

from mixnet_core.mmd import squared_distances
from mixnet_core.objectives.base import Objective, positive_tuple


def discrepancy(
    x: Tensor, y: Tensor, kernel: Callable, mask: Tensor | None = None, diagonal: float = 1.0
) -> Tensor:
    """Unbiased squared MMD of eq. 9 for a batch of pairs, with any kernel.

    Parameters
    ----------
    x : Tensor, shape (A, M, p)
        Data, one mini-batch for each of A networks.
    y : Tensor, shape (A, N, p)
        Generated points, N ≥ 2.
    kernel : callable
        ``kernel(a, b) -> (A, n, m)`` for a (A, n, p) and b (A, m, p).
    mask : Tensor of bool, shape (A, M), optional
        False where a row of `x` is padding of a ragged batch and does not count.
    diagonal : float
        Value of the kernel for two equal points.

    Returns
    -------
    Tensor, shape (A,)
        May be negative: the estimate is unbiased. Where only one data point counts, the first term
        of eq. 9, which no network can change, is taken as 0.
    """
    weight = (
        torch.ones(x.shape[:2], dtype=x.dtype, device=x.device)
        if mask is None
        else mask.to(x.dtype)
    )
    count = weight.sum(1)
    pair = weight.unsqueeze(1) * weight.unsqueeze(2)
    xx = (kernel(x, x) * pair).sum((1, 2)) - count * diagonal
    xx = xx / (count * (count - 1)).clamp_min(1)
    return xx + generator_terms(x, y, kernel, weight / count.unsqueeze(1), diagonal)


def gradient_part(
    x: Tensor, y: Tensor, kernel: Callable, mask: Tensor | None = None, diagonal: float = 1.0
) -> Tensor:
    """The terms of :func:`discrepancy` that a network can change: its gradient for less work."""
    if mask is None:
        weight = torch.full(x.shape[:2], 1.0 / x.shape[1], dtype=x.dtype, device=x.device)
    else:
        weight = mask.to(x.dtype)
        weight = weight / weight.sum(1, keepdim=True)
    return generator_terms(x, y, kernel, weight, diagonal)


def generator_terms(
    x: Tensor, y: Tensor, kernel: Callable, weight: Tensor, diagonal: float = 1.0
) -> Tensor:
    """Second and third term of eq. 9; `weight` (A, M) sums to one over the data of each batch."""
    n = y.shape[1]
    if n < 2:
        raise ValueError(f"y must hold at least 2 points a batch; got shape {tuple(y.shape)}")
    yy = kernel(y, y).sum((1, 2))
    xy = (kernel(x, y).sum(2) * weight).sum(1)
    return (yy - n * diagonal) / (n * (n - 1)) - 2 * xy / n


class KernelObjective(Objective):
    """An unbiased discrepancy by a kernel; a subclass defines :meth:`kernel`."""

    diagonal = 1.0

    def kernel(self, a: Tensor, b: Tensor) -> Tensor:
        """Kernel (A, n, m) between a (A, n, p) and b (A, m, p)."""
        raise NotImplementedError

    def __call__(self, x, y, mask, networks) -> Tensor:
        """The terms that a network can change, shape (A,)."""
        self._check_prepared()
        return gradient_part(x, y, self.kernel, mask, self.diagonal)

    def value(self, x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """All terms, shape (A,): an estimate whose mean is 0 for equal distributions."""
        self._check_prepared()
        return discrepancy(x, y, self.kernel, mask, self.diagonal)


class RationalQuadraticMMD(KernelObjective):
    """MMD² with a mixture of rational quadratic kernels (Bińkowski et al. 2018, §3).

    k(x, y) = (1 + |x - y|² / (2 α w²))^-α; the mean over the α is taken. The tails are heavy: a
    point far from all data still has a gradient.

    Parameters
    ----------
    alphas : sequence of float
    """

    name, settings = "rational_quadratic", ("alphas",)

    def __init__(self, alphas=(0.2, 0.5, 1.0, 2.0, 5.0)):
        self.alphas = positive_tuple("alphas", alphas)

    def kernel(self, a, b) -> Tensor:
        """Mean over the α of (1 + d² / (2 α w²))^-α."""
        d2 = squared_distances(a, b) / (2 * self.scale**2)
        return sum(torch.exp(-alpha * torch.log1p(d2 / alpha)) for alpha in self.alphas) / len(
            self.alphas
        )


class EnergyDistance(KernelObjective):
    """Energy distance 2 E|x - y| - E|x - x'| - E|y - y'| in units of w (Székely & Rizzo 2013).

    It is MMD² with the kernel -|x - y| (Sejdinovic et al. 2013). Unbiased; no width to choose.
    """

    name, diagonal = "energy", 0.0

    def kernel(self, a, b) -> Tensor:
        """-|x - y| / w. The gradient where two points coincide is 0."""
        # Differences, not |x|² + |y|² - 2 x·y: a root would magnify the rounding of small ones.
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") / -self.scale
