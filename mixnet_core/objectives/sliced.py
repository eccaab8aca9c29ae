"""Sliced Wasserstein distance: optimal transport along random lines, where it is a sort."""

import math

import torch
from torch import Tensor

from mixnet_core.objectives.base import Objective, positive


class SlicedWasserstein(Objective):
    """Mean over random directions of the Wasserstein distance between projections, to a power.

    SW_q^q = E_θ ∫ |F_θ⁻¹(u) - G_θ⁻¹(u)|^q du for the quantile functions of data and generated
    points along θ (Rabin et al. 2012; Bonneel et al. 2015). It is divided by w^q and by E|θ_1|^q,
    so that a shift by m costs (|m| / w)^q in any dimension (ours: one learning rate suits all).
    The q-th root is not taken: its gradient is infinite at 0. Batches of finite size bias it
    upwards.

    Parameters
    ----------
    n_projections : int
        Directions, drawn anew at each call; the networks of a call share them.
    order : float
        q ≥ 1.
    """

    name, settings = "sliced_wasserstein", ("n_projections", "order")

    def __init__(self, n_projections=64, order=2):
        positive("n_projections", n_projections)
        if int(n_projections) != n_projections:
            raise ValueError(f"n_projections must be a whole number; got {n_projections!r}")
        positive("order", order)
        if order < 1:
            raise ValueError(f"order must be at least 1; got {order!r}")
        self.n_projections, self.order = int(n_projections), order

    def __call__(self, x, y, mask, networks) -> Tensor:
        """Estimates of SW_q^q / (w^q E|θ_1|^q), shape (A,)."""
        w, q, p = self._check_prepared(), self.order, x.shape[2]
        directions = torch.randn(
            p, self.n_projections, generator=self.generator, dtype=torch.float32
        )
        directions = (directions / directions.norm(dim=0)).to(x)
        x, y = x @ directions, (y @ directions).sort(1).values
        if mask is not None:  # padding sorts behind all points, and no quantile reaches it
            x = x.masked_fill(~mask.unsqueeze(2), math.inf)
        x = x.sort(1).values
        unit = w * mean_projection(p, q) ** (1 / q)
        if mask is None and x.shape == y.shape:
            return _power((x - y) / unit, q).mean((1, 2))
        counts = torch.full_like(networks, x.shape[1]) if mask is None else mask.sum(1)
        rows_x, rows_y, share = couple(counts, x.shape[1], y.shape[1], x.dtype)
        x = x.gather(1, rows_x.unsqueeze(2).expand(-1, -1, self.n_projections))
        y = y.gather(1, rows_y.unsqueeze(2).expand(-1, -1, self.n_projections))
        return (_power((x - y) / unit, q).mean(2) * share).sum(1)

    def state(self) -> dict:
        """State of the generator of directions."""
        self._check_prepared()
        return {"generator": self.generator.get_state()}

    def restore(self, state: dict) -> None:
        """Draw the directions that would have followed."""
        self.generator.set_state(state["generator"])


def couple(counts: Tensor, m: int, n: int, dtype=torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Optimal coupling of two sorted samples of different size on a line.

    The quantile functions jump at i / count and at j / n; between two jumps one point of each
    sample is matched with the other.

    Parameters
    ----------
    counts : Tensor of int64, shape (A,)
        Points in each first sample, 1..m.
    m, n : int
        Length of the padded first samples; points in each second one.

    Returns
    -------
    rows_x, rows_y : Tensor of int64, shape (A, m + n)
        Matched ranks, below `counts` and `n`.
    share : Tensor, shape (A, m + n)
        Mass of each match; each row sums to 1.
    """
    ours = torch.arange(1, m + 1, device=counts.device, dtype=dtype)
    theirs = torch.arange(1, n + 1, device=counts.device, dtype=dtype) / n
    counts = counts.to(dtype).unsqueeze(1)
    jumps = torch.cat([(ours / counts).clamp_max(1), theirs.expand(len(counts), n)], 1)
    jumps = jumps.sort(1).values
    share = jumps.diff(dim=1, prepend=torch.zeros_like(jumps[:, :1]))
    middle = jumps - share / 2
    rows_x = (middle * counts).long().minimum(counts.long() - 1)
    return rows_x, (middle * n).long().clamp_max(n - 1), share


def mean_projection(p: int, q: float) -> float:
    """E|θ_1|^q for θ uniform on the unit sphere of p dimensions; 1 / p for q = 2."""
    log = math.lgamma((q + 1) / 2) + math.lgamma(p / 2) - math.lgamma((p + q) / 2)
    return math.exp(log) / math.sqrt(math.pi)


def _power(difference: Tensor, q: float) -> Tensor:
    return difference.square() if q == 2 else difference.abs().pow(q)
