"""The closed-form M-step of full kernels (ours): covariances of eq. 4 and offsets of networks."""

import torch
from torch import Tensor

from mixnet_core.training.linear import shrunk

BLOCK_ROWS = 4096
LEAST_MEMBERSHIP = 1e-3  # below, a point does not count for the kernel of a component


class KernelSums:
    """Sums of the closed-form M-step of eq. 4's kernels, as in GTM (Bishop et al. 1998).

    With w_ir the share of sample r in the likelihood of x_i, A_j = Σ_i m_ij Σ_r (w_ir / s_r²)
    (x_i - y_r)(x_i - y_r)ᵀ around the mean residual, which moves the offset of the network.

    Parameters
    ----------
    samples : Tensor, shape (K, S, p or p + 1)
    noise : Noise
        The kernels so far.
    p : int
    """

    def __init__(self, samples: Tensor, noise, p: int):
        self.samples, self.noise, self.p = samples, noise, p
        new = {"dtype": torch.float64, "device": samples.device}
        self.outer = torch.zeros(len(samples), p, p, **new)
        self.first = torch.zeros(len(samples), p, **new)
        self.mass = torch.zeros(len(samples), **new)
        self.counts = torch.zeros(len(samples), **new)

    @torch.no_grad()
    def add(self, x: Tensor, m: Tensor) -> None:
        """Points (n, p) and their memberships (n, K)."""
        self.counts += m.double().sum(0)
        for j in range(len(self.samples)):
            for rows in torch.nonzero(m[:, j] > LEAST_MEMBERSHIP).flatten().split(BLOCK_ROWS):
                self._add(j, x[rows], m[rows, j].to(x))

    def _add(self, j: int, x: Tensor, m: Tensor) -> None:
        y, log_scales = self.samples[j, :, : self.p], self.samples[j, :, self.p :]
        centre = y.mean(0)
        x, y = x - centre, y - centre
        left, right = exponents(self.noise.whiten(x, j), self.noise.whiten(y, j), log_scales)
        shares = (left @ right).softmax(1).mul_(m.unsqueeze(1))
        if log_scales.shape[1]:
            shares.mul_((-2 * log_scales[:, 0]).exp())
        mass, of_samples = shares.sum(1, keepdim=True), shares.sum(0)
        cross = (shares.T @ x).T @ y
        outer = (x * mass).T @ x + (y * of_samples.unsqueeze(1)).T @ y
        self.outer[j] += (outer - cross - cross.T).double()
        self.first[j] += ((x * mass).sum(0) - of_samples @ y).double()
        self.mass[j] += mass.double().sum()

    def result(self, strength: float) -> tuple[Tensor, Tensor]:
        """Covariances (K, p, p) of the kernels and mean residuals (K, p)."""
        mass = self.mass.clamp_min(1e-12)
        residuals = self.first / mass.unsqueeze(1)
        outer = residuals.unsqueeze(2) * residuals.unsqueeze(1)
        return shrunk(self.outer - mass.view(-1, 1, 1) * outer, self.counts, strength), residuals


def exponents(x: Tensor, y: Tensor, log_scales: Tensor) -> tuple[Tensor, Tensor]:
    """Two matrices whose product is -|x_i - y_r|² / 2 s_r² - p log s_r.

    Parameters
    ----------
    x, y : Tensor, shape (..., n, p), (..., S, p)
    log_scales : Tensor, shape (..., S, 1) or (..., S, 0)

    Returns
    -------
    left, right : Tensor, shape (..., n, p + 2), (..., p + 2, S)
    """
    squares = y.square().sum(-1, keepdim=True)
    if log_scales.shape[-1]:
        weight = (-2 * log_scales).exp()
        constant = -0.5 * squares * weight - y.shape[-1] * log_scales
    else:
        weight, constant = torch.ones_like(squares), -0.5 * squares
    left = torch.cat([x, x.square().sum(-1, keepdim=True), torch.ones_like(x[..., :1])], -1)
    right = torch.cat([weight * y, -0.5 * weight, constant], -1)
    return left, right.mT
