"""What a component minimises: the unbiased squared maximum mean discrepancy (eqs. 8-9)."""

import torch
from torch import Tensor

from mixnet_core.kernels import squared_distances


def mmd2(x: Tensor, y: Tensor, widths: Tensor | list[float], mask: Tensor | None = None) -> Tensor:
    """Unbiased MMD² of eq. 9 for a batch of pairs, averaged over several Gaussian kernels.

    Parameters
    ----------
    x : Tensor, shape (A, M, p)
        Data, one mini-batch for each of A networks.
    y : Tensor, shape (A, N, p)
        Generated points, N ≥ 2.
    widths : sequence of float
        Standard deviations of the kernels, in the units of the data.
    mask : Tensor of bool, shape (A, M), optional
        False where a row of `x` is padding of a ragged batch and does not count.

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
    n = y.shape[1]
    data = squared_distances(x, x)
    pair = weight.unsqueeze(1) * weight.unsqueeze(2)
    xx = (_mean_kernel(data, widths) * pair).sum((1, 2)) - count
    xx = xx / (count * (count - 1)).clamp_min(1)
    return xx + generator_terms(x, y, widths, weight / count.unsqueeze(1), n)


def mmd2_gradient_part(
    x: Tensor, y: Tensor, widths: Tensor | list[float], mask: Tensor | None = None
) -> Tensor:
    """The terms of eq. 9 that a network can change: the gradient of :func:`mmd2` for less work."""
    if mask is None:
        weight = torch.full(x.shape[:2], 1.0 / x.shape[1], dtype=x.dtype, device=x.device)
    else:
        weight = mask.to(x.dtype)
        weight = weight / weight.sum(1, keepdim=True)
    return generator_terms(x, y, widths, weight, y.shape[1])


def generator_terms(x: Tensor, y: Tensor, widths, weight: Tensor, n: int) -> Tensor:
    """Second and third term of eq. 9; `weight` (A, M) sums to one over the data of each batch."""
    yy = _mean_kernel(squared_distances(y, y), widths).sum((1, 2))
    xy = (_mean_kernel(squared_distances(x, y), widths).sum(2) * weight).sum(1)
    return (yy - n) / (n * (n - 1)) - 2 * xy / n


def _mean_kernel(d2: Tensor, widths) -> Tensor:
    """Mean over the widths of exp(-d² / (2 σ²))."""
    total = 0
    for width in widths:
        total = total + torch.exp2(d2 * (-0.7213475204444817 / float(width) ** 2))
    return total / len(widths)
