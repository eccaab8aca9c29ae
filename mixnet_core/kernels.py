"""Gaussian kernels: squared distances and the kernel likelihood of eq. 4, in blocks.

The width of every kernel here is its standard deviation σ: k(x, y) = exp(-|x - y|² / (2 σ²)).
"""

import math

import torch
from torch import Tensor

LOG2_E = 1.0 / math.log(2.0)
# A block of the kernel matrix this large stays in a core's second-level cache between the passes.
BLOCK_ENTRIES = 1 << 18


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
    cross = x @ y.transpose(-1, -2)
    norms = x.square().sum(-1).unsqueeze(-1) + y.square().sum(-1).unsqueeze(-2)
    return (norms - 2 * cross).clamp_min(0)


@torch.no_grad()
def log_likelihood(x: Tensor, samples: Tensor, width: float) -> Tensor:
    """Log of eq. 4 with a normalised Gaussian kernel, for every point and network.

    log ℓ_ij = log (1/S) Σ_r N(x_i; y_r^j, σ² I). The normalisation, which eq. 4 leaves out, cancels
    in the memberships (eq. 5) and makes the likelihoods of different widths comparable.

    Parameters
    ----------
    x : Tensor, shape (N, p)
        Data points.
    samples : Tensor, shape (K, S, p)
        Generated points, S from each network.
    width : float
        Standard deviation σ of the kernel, in the units of the data.

    Returns
    -------
    Tensor, shape (N, K)
        Log densities in nats. Never -inf for finite input: the sum is taken relative to the
        largest kernel.
    """
    n_points, p = x.shape
    n_networks, n_samples, _ = samples.shape
    scale = LOG2_E / (2 * width**2)
    # Distances survive a shift; centred points lose fewer digits in |x|² + |y|² - 2 x·y.
    centre = samples.mean((0, 1))
    x, samples = x - centre, samples - centre
    # One matrix product gives 2 c x·y - c |y|²; powers of two because exp2 is the fast one.
    left = torch.cat([x * (2 * scale), torch.ones_like(x[:, :1])], 1)
    right = torch.cat([samples, -scale * samples.square().sum(-1, keepdim=True)], -1).mT
    out = torch.empty(n_points, n_networks, dtype=x.dtype, device=x.device)
    rows = max(1, BLOCK_ENTRIES // n_samples)
    buffer = torch.empty(min(rows, n_points), n_samples, dtype=x.dtype, device=x.device)
    for start in range(0, n_points, rows):
        block = left[start : start + rows]
        kernel = buffer[: len(block)]
        for j in range(n_networks):
            torch.mm(block, right[j], out=kernel)
            largest = kernel.amax(1, keepdim=True)
            kernel.sub_(largest).clamp_min_(-126).exp2_()
            out[start : start + rows, j] = kernel.sum(1).log2_().add_(largest[:, 0])
    out.sub_(scale * x.square().sum(1, keepdim=True)).div_(LOG2_E)
    return out.sub_(math.log(n_samples) + p * math.log(width * math.sqrt(2 * math.pi)))
