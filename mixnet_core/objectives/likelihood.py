"""The likelihood of eq. 4 itself as what a network minimises."""

import math

import torch
from torch import Tensor

from mixnet_core.likelihood import Noise
from mixnet_core.objectives.base import Objective, shares
from mixnet_core.training.kernels import exponents


class KernelLikelihood(Objective):
    """The network's own share of the log-likelihood: -mean log (1/S) Σ_r k(x_i, y_r) (ours).

    The kernel is that of eq. 4. Where memberships weigh the points this is the M-step of EM, and
    S samples stand for the network's distribution.
    """

    name = "likelihood"

    def __call__(self, x, y, mask, networks) -> Tensor:
        """Losses without the constants of the kernel, shape (A,)."""
        self._check_prepared()
        x, y, log_scales, _ = self._whitened(x, y, networks)
        left, right = exponents(x, y, log_scales)
        values = -(left @ right).logsumexp(2) + math.log(y.shape[1])
        return (values * shares(x, mask)).sum(1)

    @torch.no_grad()
    def gradient(self, x, y, mask, networks) -> Tensor:
        """Gradient by `y`, in closed form: each sample is pulled by the points that it explains."""
        noise, p = self._noise(self.n_components), x.shape[2]
        x, y, log_scales, weight = self._whitened(x, y, networks)
        left, right = exponents(x, y, log_scales)
        parts = (left @ right).softmax(2).mul_(shares(x, mask).unsqueeze(2)).mT  # (A, S, n)
        mass, pulled = parts.sum(2, keepdim=True), parts @ x
        slope = noise.slope((mass * y - pulled) * weight, networks)
        if not log_scales.shape[2]:
            return slope
        distance = parts @ x.square().sum(2, keepdim=True) - 2 * (pulled * y).sum(2, keepdim=True)
        distance = distance + mass * y.square().sum(2, keepdim=True)
        return torch.cat([slope, mass * p - distance * weight], 2)

    def _noise(self, n: int) -> Noise:
        return Noise.of(self.noise, n)

    def _whitened(self, x, y, networks):
        noise, p = self._noise(self.n_components), x.shape[2]
        log_scales, y = y[..., p:], y[..., :p]
        centre = y.detach().mean(1, keepdim=True)
        x, y = noise.whiten(x - centre, networks), noise.whiten(y - centre, networks)
        weight = (-2 * log_scales).exp() if log_scales.shape[2] else torch.ones_like(y[..., :1])
        return x, y, log_scales, weight
