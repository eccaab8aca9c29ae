"""What a component minimises: the unbiased squared maximum mean discrepancy (eqs. 8-9) and others.

The kernel objectives are here, the others in `sliced.py` and `adversarial.py`.
"""

import copy
import difflib
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from mixnet_core.adversarial import Adversarial
from mixnet_core.kernels import squared_distances
from mixnet_core.objective_base import FunctionObjective, Objective, positive_tuple
from mixnet_core.sliced import SlicedWasserstein


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


def mmd2(x: Tensor, y: Tensor, widths: Tensor | list[float], mask: Tensor | None = None) -> Tensor:
    """Unbiased MMD² of eq. 9, averaged over several Gaussian kernels; see :func:`discrepancy`.

    Parameters
    ----------
    widths : sequence of float
        Standard deviations of the kernels, in the units of the data.
    """
    return discrepancy(x, y, partial(_gaussian, widths=widths), mask)


def mmd2_gradient_part(
    x: Tensor, y: Tensor, widths: Tensor | list[float], mask: Tensor | None = None
) -> Tensor:
    """The terms of eq. 9 that a network can change: the gradient of :func:`mmd2` for less work."""
    return gradient_part(x, y, partial(_gaussian, widths=widths), mask)


def _gaussian(a: Tensor, b: Tensor, widths) -> Tensor:
    """Mean over the widths of exp(-d² / (2 σ²))."""
    d2 = squared_distances(a, b)
    total = 0
    for width in widths:
        total = total + torch.exp2(d2 * (-0.7213475204444817 / float(width) ** 2))
    return total / len(widths)


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


class GaussianMMD(KernelObjective):
    """MMD² of eq. 9 with a mixture of Gaussian kernels, the paper's objective.

    Parameters
    ----------
    widths : sequence of float
        Standard deviations as multiples of w; the mean over them is taken.
    """

    name, settings = "mmd", ("widths",)

    def __init__(self, widths=(0.25, 0.5, 1.0)):
        self.widths = positive_tuple("widths", widths)

    def kernel(self, a, b) -> Tensor:
        """Mean over the widths of exp(-d² / (2 σ²))."""
        return _gaussian(a, b, [m * self.scale for m in self.widths])


class SmoothedMMD(GaussianMMD):
    """MMD² between the data and the density of eq. 4: generated points plus its kernel's noise.

    Eq. 9 compares bare samples with the data, so a network of few inputs must stretch until it has
    all of the variance of the data by itself; eq. 4 then adds its kernel on top. Here the network
    is left what the noise σ does not explain (ours). For Gaussian kernels the mean over noise is
    exact: a width h becomes √(h² + σ²) between data and samples and √(h² + 2σ²) between samples,
    with factors (h² / (h² + σ²))^(p/2) and (h² / (h² + 2σ²))^(p/2). Each kernel is weighted so that
    the first factor becomes 1; in many dimensions narrow kernels would count for nothing.

    Parameters
    ----------
    widths : sequence of float
        Standard deviations h as multiples of w; the mean over them is taken.
    """

    name = "smoothed_mmd"

    def __call__(self, x, y, mask, networks) -> Tensor:
        """The terms that a network can change, shape (A,)."""
        self._check_prepared()
        n, p, noise = y.shape[1], y.shape[2], self.noise**2
        weight = torch.ones_like(x[..., 0]) if mask is None else mask.to(x.dtype)
        weight = weight / weight.sum(1, keepdim=True)
        within, across = squared_distances(y, y), squared_distances(x, y)
        total = 0
        for width in self.widths:
            h2 = (width * self.scale) ** 2
            ratio = ((h2 + noise) / (h2 + 2 * noise)) ** (p / 2)
            yy = torch.exp(within / (-2 * (h2 + 2 * noise))).sum((1, 2)) - n
            xy = (torch.exp(across / (-2 * (h2 + noise))).sum(2) * weight).sum(1)
            total = total + ratio * yy / (n * (n - 1)) - 2 * xy / n
        return total / len(self.widths)

    def value(self, x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """All terms, shape (A,): an estimate whose mean is 0 where eq. 4 is the data's density."""
        count = torch.full_like(x[:, 0, 0], x.shape[1]) if mask is None else mask.sum(1).to(x)
        valid = torch.ones_like(x[..., 0]) if mask is None else mask.to(x.dtype)
        pairs, total = valid.unsqueeze(1) * valid.unsqueeze(2), 0
        for width in self.widths:
            h2 = (width * self.scale) ** 2
            factor = (1 + self.noise**2 / h2) ** (x.shape[2] / 2)
            kernel = torch.exp(squared_distances(x, x) / (-2 * h2)) * pairs
            total = total + factor * (kernel.sum((1, 2)) - count)
        networks = torch.arange(len(x), device=x.device)
        data = total / len(self.widths) / (count * (count - 1)).clamp_min(1)
        return data + self(x, y, mask, networks)


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


OBJECTIVES = {
    kind.name: kind
    for kind in (
        GaussianMMD,
        SmoothedMMD,
        RationalQuadraticMMD,
        EnergyDistance,
        SlicedWasserstein,
        Adversarial,
    )
}


def make_objective(objective) -> Objective:
    """An objective of one's own, not yet prepared, from any of the ways to name one.

    Parameters
    ----------
    objective : str, Objective, callable or dict
        A name of `OBJECTIVES`, with its default settings; an instance, which is copied, so that a
        training changes nothing the caller holds; a function ``f(x, y, mask) -> (A,)``; or what
        :meth:`Objective.plain` returned.

    Raises
    ------
    ValueError
        For a name that there is not.
    TypeError
        For anything else, a class for one, or settings that the named objective does not have.
    """
    if isinstance(objective, Objective):
        return copy.deepcopy(objective)
    if isinstance(objective, str):
        objective = {"name": objective}
    if isinstance(objective, dict):
        settings = dict(objective)
        name = settings.pop("name", None)
        if name not in OBJECTIVES:
            raise ValueError(_unknown(name, settings))
        return OBJECTIVES[name](**settings)
    if isinstance(objective, type) or not callable(objective):
        got = f"the class {objective.__name__}" if isinstance(objective, type) else repr(objective)
        raise TypeError(
            f"objective must be a name ({', '.join(OBJECTIVES)}), an instance of Objective or a "
            f"function f(x, y, mask); got {got}"
        )
    return FunctionObjective(objective)


def _unknown(name, settings: dict) -> str:
    if name == FunctionObjective.name and settings:
        return (
            f"objective was the function {settings['function']}, of which the file keeps the name "
            f"only; it must be handed in again"
        )
    close = difflib.get_close_matches(str(name).lower(), OBJECTIVES, n=1, cutoff=0.45)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"objective must be one of {', '.join(OBJECTIVES)}; got {name!r}{hint}"
