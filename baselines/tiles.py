"""Squared distances of many points by matrix products, a tile at a time, and what is read off them.

Nothing of the size of all distances is ever held: a tile is 4 MB, and what reads it keeps numbers
for each point or for all. Points lie in [0, 1]^d; the products are float32.
"""

import math

import numpy as np
import torch
from torch import Tensor

from .torch_state import own_switches

TILE = 1024  # ours: a tile stays in the cache between those that read it


def tensor(points: np.ndarray, device="cpu") -> Tensor:
    """Points (n, d) on the device; in float64 where float32 products are not what they say."""
    exact = torch.get_float32_matmul_precision() == "highest"
    points = points if points.flags.writeable else points.copy()
    return torch.from_numpy(points).to(device, torch.float32 if exact else torch.float64)


def rounding(n_features: int) -> float:
    """What is allowed for rounding in a float32 squared distance, over |x|² + |y|².

    Ours: about twice what was met, for products summed in whatever order a processor takes; of 784
    features 4e-7 on an AMD EPYC, 8.5e-7 on an Intel Xeon with AVX-512. Sums grow as a random walk.
    """
    return (4 + 0.6 * math.sqrt(n_features)) * torch.finfo(torch.float32).eps


@own_switches(gradients=False)
@torch.no_grad()
def sweep(x: Tensor, y: Tensor, *visits) -> None:
    """Call visit(rows, columns, sq), sq the squared distances of x[rows] to y[columns], by tiles.

    Where y is x, that of a point to itself is infinite: it is no neighbour, and adds no kernel.
    All are moved to the mean of y first: distances survive that, and lose fewer digits.
    """
    centre = _centre(y)
    buffer = torch.empty(TILE * TILE, dtype=x.dtype, device=x.device)
    x_sq = torch.cat([(part - centre).square().sum(1, keepdim=True) for part in x.split(TILE)])
    for columns in _blocks(y):
        part = y[columns] - centre
        part_sq = part.square().sum(1)
        for rows in _blocks(x):
            shape = len(x[rows]), len(part)
            sq = buffer[: shape[0] * shape[1]].view(shape)
            torch.addmm(part_sq, x[rows] - centre, part.T, alpha=-2, out=sq)
            sq.add_(x_sq[rows]).clamp_min_(0)
            if y is x and rows == columns:
                sq.fill_diagonal_(math.inf)
            for visit in visits:
                visit(rows, columns, sq)


def _centre(points: Tensor) -> Tensor:
    """Mean of the points (d,), in their type."""
    total = sum(part.double().sum(0) for part in points.split(TILE))
    return (total / len(points)).to(points.dtype)


def _blocks(points: Tensor) -> list[slice]:
    n = len(points)
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


class Kernel:
    """``total``: Σ over all pairs of the mean over widths of exp(-sq / 2 width²)."""

    def __init__(self, widths):
        self.factors = [-0.5 / math.log(2) / width**2 for width in widths]  # exp2 is the fast one
        self._total, self._scratch = 0.0, None

    def __call__(self, rows, columns, sq):
        if self._scratch is None:
            self._scratch = torch.empty(TILE * TILE, dtype=sq.dtype, device=sq.device)
        kernel = self._scratch[: sq.numel()].view(sq.shape)
        for factor in self.factors:
            torch.mul(sq, factor, out=kernel).exp2_()
            self._total += kernel.sum(1).double().sum()  # no more than a row is added in float32

    @property
    def total(self) -> float:
        return float(self._total) / len(self.factors)


class Nearest:
    """The k nearest y of each x, nearest first, or (axis 0) the k nearest x of each y.

    ``sq``, ``index``: (n, k), of `points`, those that neighbours are sought for; n >= k.
    """

    def __init__(self, points: Tensor, k: int = 1, axis: int = 1):
        self.k, self.axis = k, axis
        self.sq = torch.full((len(points), k), math.inf, dtype=points.dtype, device=points.device)
        self.index = torch.zeros(len(points), k, dtype=torch.long, device=points.device)

    def __call__(self, rows, columns, sq):
        if self.axis == 0:
            rows, columns, sq = columns, rows, sq.T
        k = min(self.k, sq.shape[1])
        found = sq.topk(k, 1, largest=False) if k > 1 else sq.min(1, keepdim=True)
        values = torch.cat([self.sq[rows], found[0]], 1)
        index = torch.cat([self.index[rows], found[1] + columns.start], 1)
        self.sq[rows], order = values.topk(self.k, 1, largest=False)
        self.index[rows] = index.gather(1, order)

    def distances(self, points: Tensor, others: Tensor) -> np.ndarray:
        """To the nearest of `others`, from differences, so that 0 is 0 and ties are ties: (n,)."""
        pairs = zip(points.split(TILE), self.index[:, 0].split(TILE), strict=True)
        sq = [(part.double() - others[i].double()).square_().sum(1) for part, i in pairs]
        return torch.cat(sq).sqrt_().cpu().numpy()


class Counts:
    """``inside``: how many x lie in the ball of each y, which reaches to the last of its `nearest`.

    The surface is not in the ball, and what is nearer to it than rounding is on it.
    """

    def __init__(self, nearest: Nearest, y: Tensor):
        sq = nearest.sq[:, -1]
        # On the surface, |x|² is at most 2 |y|² + 2 radius²; both from the centre that sweep takes.
        self.sq_radius = sq - rounding(y.shape[1]) * (3 * (y - _centre(y)).square().sum(1) + 2 * sq)
        self.inside = torch.zeros_like(self.sq_radius, dtype=torch.long)

    def __call__(self, rows, columns, sq):
        self.inside[columns] += (sq < self.sq_radius[columns]).sum(0)
