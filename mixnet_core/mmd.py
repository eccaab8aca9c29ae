"""The unbiased squared maximum mean discrepancy of eqs. 8-9 with Gaussian kernels.

For data x_1 … x_M and generated points y_1 … y_N,

    MMD² = 1/(M(M-1)) Σ_{i≠i'} k(x_i, x_i') + 1/(N(N-1)) Σ_{r≠s} k(y_r, y_s) - 2/(MN) Σ k(x_i, y_r),

averaged over several widths (ours: the paper says nothing of them).
"""

import torch
from torch import Tensor

from mixnet_core.objectives.base import Objective, positive_tuple, shares


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|² for batches of points.

    Parameters
    ----------
    x : Tensor, shape (..., n, p)
    y : Tensor, shape (..., m, p)

    Returns
    -------
    Tensor, shape (..., n, m)
        Rounding cannot make an entry negative.
    """
    centre = y.detach().mean(-2, keepdim=True)  # fewer digits of |x|² + |y|² - 2 x·y are lost
    x, y = x - centre, y - centre
    cross = x @ y.transpose(-1, -2)
    norms = x.square().sum(-1).unsqueeze(-1) + y.square().sum(-1).unsqueeze(-2)
    return (norms - 2 * cross).clamp_min(0)


def mmd2(x: Tensor, y: Tensor, widths, mask: Tensor | None = None) -> Tensor:
    """MMD² of eq. 9 for each of A networks, mean over several Gaussian kernels.

    Parameters
    ----------
    x : Tensor, shape (A, M, p)
        Data, one mini-batch for each network.
    y : Tensor, shape (A, N, p)
        Generated points, N ≥ 2.
    widths : sequence of float
        Standard deviations of the kernels, in the units of the data.
    mask : Tensor of bool, shape (A, M), optional
        False where a row of `x` is padding of a ragged batch and does not count.

    Returns
    -------
    Tensor, shape (A,)
        May be negative: the estimate is unbiased. Where only one data point counts, the first term,
        which no network can change, is taken as 0.
    """
    weight = shares(x, mask)
    return _data_term(x, weight, [(w**2, 1.0) for w in widths]) + _sample_terms(
        x, y, weight, [(w**2, w**2, 1.0) for w in widths]
    )


def mmd2_gradient_part(x: Tensor, y: Tensor, widths, mask: Tensor | None = None) -> Tensor:
    """The terms of :func:`mmd2` that a network can change: its gradient for less work."""
    return _sample_terms(x, y, shares(x, mask), [(w**2, w**2, 1.0) for w in widths])


class GaussianMMD(Objective):
    """MMD² of eq. 9 with a mixture of Gaussian kernels, the paper's objective.

    Parameters
    ----------
    widths : sequence of float
        Standard deviations as multiples of w; the mean over them is taken.
    """

    name, settings = "mmd", ("widths",)

    def __init__(self, widths=(0.25, 0.5, 1.0)):
        self.widths = positive_tuple("widths", widths)

    def kernels(self, x: Tensor, networks: Tensor) -> list[tuple]:
        """For each width: squared width between data and samples, between samples, and a factor.

        The factor is that of the kernels between samples; each entry is a float or (A, 1, 1).
        """
        scale = self._check_prepared()
        return [((m * scale) ** 2, (m * scale) ** 2, 1.0) for m in self.widths]

    def data_kernels(self, x: Tensor, networks: Tensor) -> list[tuple]:
        """For each width: its square, and the factor of the kernels between data points."""
        return [(h2, 1.0) for h2, _, _ in self.kernels(x, networks)]

    def __call__(self, x, y, mask, networks) -> Tensor:
        """The terms that a network can change, shape (A,)."""
        return _sample_terms(x, y, shares(x, mask), self.kernels(x, networks))

    def value(self, x: Tensor, y: Tensor, mask: Tensor | None = None, networks=None) -> Tensor:
        """All terms, shape (A,): an estimate whose mean is 0 for equal distributions."""
        networks = torch.arange(len(x), device=x.device) if networks is None else networks
        seen, _ = self._seen(x, y, networks)
        data = _data_term(seen, shares(x, mask), self.data_kernels(x, networks))
        return data + self(x, y, mask, networks)

    def _seen(self, x, y, networks):
        """The points in the coordinates of the kernels."""
        return x, y

    @torch.no_grad()
    def gradient(self, x, y, mask, networks) -> Tensor:
        """Gradient by `y`, shape (A, N, p), in closed form.

        ∂k(x_i, y_r)/∂y_r = k(x_i, y_r) (x_i - y_r) / h²: each sample is pulled by the data and
        pushed by the other samples. With data and samples in one matrix u the whole is W u - (W 1)
        y for one matrix W of weighted kernels.
        """
        n = _at_least_two(y)
        weight = shares(x, mask)
        centre = (weight.unsqueeze(2) * x).sum(1, keepdim=True)
        u = torch.cat([x - centre, y - centre], 1)
        y = u[:, x.shape[1] :]
        squares = u.square().sum(2)
        d2 = torch.baddbmm(squares.unsqueeze(1), y, u.mT, alpha=-2)
        d2 = d2.add_(squares[:, x.shape[1] :].unsqueeze(2)).clamp_min_(0)
        ones = torch.ones_like(squares[:, None, x.shape[1] :])
        pull = weight.unsqueeze(1) * (-2 / n)
        total = None
        kernels = self.kernels(x, networks)
        for across, within, factor in kernels:
            slope = torch.cat([torch.ones_like(pull) / across, ones / within], 2)
            push = ones * (2 * factor / (n * (n - 1)))
            part = (d2 * (-0.5 * slope)).exp_().mul_(slope * torch.cat([pull, push], 2))
            total = part if total is None else total.add_(part)
        total = total.div_(len(kernels))
        return torch.bmm(total, u).sub_(total.sum(2, keepdim=True) * y)


def _data_term(x: Tensor, weight: Tensor, kernels) -> Tensor:
    """First term of eq. 9 for kernels (squared width, factor), shape (A,)."""
    valid = (weight > 0).to(x.dtype)
    count, d2 = valid.sum(1), squared_distances(x, x)
    pairs, total = valid.unsqueeze(1) * valid.unsqueeze(2), 0
    for h2, factor in kernels:
        total = total + factor * torch.exp(d2 / (-2 * h2)) * pairs
    diagonal = total.diagonal(dim1=1, dim2=2).sum(1)
    return (total.sum((1, 2)) - diagonal) / len(kernels) / (count * (count - 1)).clamp_min(1)


def _sample_terms(x: Tensor, y: Tensor, weight: Tensor, kernels) -> Tensor:
    """Second and third term of eq. 9, shape (A,); `kernels` as of :meth:`GaussianMMD.kernels`."""
    n = _at_least_two(y)
    within, across = squared_distances(y, y), squared_distances(x, y)
    total = 0
    for h2_across, h2_within, factor in kernels:
        yy = (factor * torch.exp(within / (-2 * h2_within))).sum((1, 2)) - n * _flat(factor)
        xy = (torch.exp(across / (-2 * h2_across)).sum(2) * weight).sum(1)
        total = total + yy / (n * (n - 1)) - 2 * xy / n
    return total / len(kernels)


def _flat(factor):
    return factor.flatten() if isinstance(factor, Tensor) else factor


def _at_least_two(y: Tensor) -> int:
    if y.shape[1] < 2:
        raise ValueError(f"y must hold at least 2 points a batch; got shape {tuple(y.shape)}")
    return y.shape[1]
