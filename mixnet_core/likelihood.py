"""The kernel likelihood of eq. 4, in the log domain and in blocks.

The width of a kernel is its standard deviation σ: k(x, y) = exp(-|x - y|² / (2 σ²)).
"""

import math

import torch
from torch import Tensor

FLOOR = -87.0  # below, exp is denormal, and slow
ROOM = 80.0  # exp of so much more than was guessed is still finite
# A block of the kernel matrix this large stays in a core's second-level cache between the passes.
BLOCK_ENTRIES = 1 << 17
GPU_BLOCK_ENTRIES = 1 << 26
PILOTS = 16  # samples whose largest kernel is the first guess at the largest of all


class Noise:
    """The Gaussian kernel of eq. 4 for each component: N(0, σ_j² I), or N(0, Σ_j) (ours).

    Parameters
    ----------
    roots : Tensor
        σ_j, shape (K,); or lower triangular R_j with R_j R_jᵀ = Σ_j, shape (K, p, p).
    """

    def __init__(self, roots: Tensor):
        self.roots = roots
        self.isotropic = roots.dim() == 1
        if not self.isotropic:
            one = torch.eye(roots.shape[-1], dtype=roots.dtype, device=roots.device)
            self.inverse = torch.linalg.solve_triangular(roots, one.expand_as(roots), upper=False)

    @classmethod
    def of(cls, widths, n_components: int, device="cpu") -> "Noise":
        """From a float, a tensor of roots, or a `Noise`."""
        if isinstance(widths, cls):
            return widths
        roots = torch.as_tensor(widths, dtype=torch.float64)
        return cls((roots if roots.dim() else roots.expand(n_components)).to(device))

    def whiten(self, x: Tensor, j) -> Tensor:
        """x (..., p) in coordinates in which the kernel of component j is N(0, I).

        With j a tensor of A components, x is (A, n, p).
        """
        if self.isotropic:
            root = self.roots[j]
            return x / (root.view(-1, 1, 1) if root.dim() else root).to(x)
        return x @ self.inverse[j].mT.to(x)

    def slope(self, gradient: Tensor, j) -> Tensor:
        """Gradient by x of what has the `gradient` (A, n, p) by the whitened x."""
        if self.isotropic:
            return gradient / self.roots[j].view(-1, 1, 1).to(gradient)
        return gradient @ self.inverse[j].to(gradient)

    def log_det(self, p: int) -> Tensor:
        """log of √det Σ_j, shape (K,), float64."""
        if self.isotropic:
            return p * self.roots.double().log()
        return self.roots.double().diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def to(self, device) -> "Noise":
        """The same on a device."""
        return Noise(self.roots.to(device))

    def __mul__(self, factor: float) -> "Noise":
        return Noise(self.roots * factor)


@torch.no_grad()
def log_likelihood(x: Tensor, samples: Tensor, noise) -> Tensor:
    """Log of eq. 4 with a normalised Gaussian kernel, for every point and network.

    log ℓ_ij = log (1/S) Σ_r N(x_i; y_r^j, Σ_j). The normalisation, which eq. 4 leaves out, cancels
    in the memberships (eq. 5) where all kernels are equal, and makes the likelihoods of different
    widths comparable.

    Parameters
    ----------
    x : Tensor, shape (N, p)
    samples : Tensor, shape (K, S, p) or (K, S, p + 1)
        S points of each network; a last column is log s_r, a factor of the kernel of each sample
        (ours): N(x; y_r, s_r² Σ_j).
    noise : Noise, or float or Tensor that makes one
        σ for all, or the kernel of each component (ours; the paper has one).

    Returns
    -------
    Tensor, shape (N, K)
        Densities in nats. Never -inf for finite input: the sum is taken relative to the largest
        kernel.
    """
    (n_networks, n_samples, _), p = samples.shape, x.shape[1]
    out = torch.empty(n_networks, len(x), dtype=x.dtype, device=x.device)
    noise = Noise.of(noise, n_networks, x.device)
    entries = GPU_BLOCK_ENTRIES if x.is_cuda else BLOCK_ENTRIES
    buffer = x.new_empty(min(max(1, entries // n_samples), len(x)), n_samples)
    local = samples.shape[2] > p
    left = x.new_ones(len(x), p + 2 + local)  # a row a point: itself, |x|² if local, 1, a guess
    for j, column in enumerate(out):
        right, squares = prepared(left, x, samples[j], noise, j)
        log_of_mean(left, right, buffer, column)
        if not local:  # what all exponents of a row share
            column.sub_(squares)
    constant = noise.log_det(p) + p / 2 * math.log(2 * math.pi)
    return out.sub_(constant.to(out).unsqueeze(1)).T.contiguous()


def prepared(left: Tensor, x: Tensor, samples: Tensor, noise: Noise, j: int):
    """Put the points into `left` such that its product with what is returned has the exponents.

    Distances survive a shift; around the samples fewest digits of |x|² + |y|² - 2 x·y are lost.

    Returns
    -------
    right : Tensor, shape (p + 2, S), or (p + 3, S) with scales of the kernels
    squares : Tensor, shape (N,)
        |x|² / 2 in the units of the kernel, which without scales is missing in the product.
    """
    p = x.shape[1]
    y, log_scales = samples[:, :p], samples[:, p:]
    centre = y.mean(0)
    points = torch.sub(x, centre, out=left[:, :p])
    if noise.isotropic:  # σ goes to the samples, which are fewer
        weight = (noise.roots[j] ** -2).to(x).expand(len(y), 1)
        y = y - centre
    else:
        weight, y = torch.ones_like(y[:, :1]), noise.whiten(y - centre, j)
        points.copy_(noise.whiten(points, j))
    squares = torch.linalg.vector_norm(points, dim=1).square_()
    halves = squares * (0.5 * weight[0])
    constant, columns = -0.5 * weight * y.square().sum(1, keepdim=True), []
    if log_scales.shape[1]:
        left[:, p] = squares
        factor = (-2 * log_scales).exp()
        weight, constant = weight * factor, constant * factor - p * log_scales
        columns = [-0.5 * weight]
    ones = torch.ones_like(weight)
    return torch.cat([weight * y, *columns, constant, ones], 1).T.contiguous(), halves


def log_of_mean(left: Tensor, right: Tensor, buffer: Tensor, out: Tensor) -> None:
    """log (1/S) Σ_r exp(left @ right)_ir, the last column of `left` not counted, into `out` (N,).

    That column takes a guess at the largest exponent of each row, the largest for a few samples,
    so that one product gives exponents that can be summed. Rows for which it was much too low are
    done again.
    """
    guess = torch.mm(left[:, :-1], right[:-1, :PILOTS]).amax(1)
    left[:, -1] = -guess
    rows, ones = len(buffer), torch.ones_like(right[0])
    for start in range(0, len(left), rows):
        block = left[start : start + rows]
        kernel = buffer if len(block) == rows else buffer[: len(block)]
        torch.mm(block, right, out=kernel).clamp_min_(FLOOR).exp_()
        torch.mv(kernel, ones, out=out[start : start + rows])
    out.log_().add_(guess)
    far = torch.nonzero(~(out < guess + ROOM)).flatten()
    for rows_again in far.split(rows):
        kernel = torch.mm(left[rows_again, :-1], right[:-1])
        largest = kernel.amax(1, keepdim=True)
        kernel = kernel.sub_(largest).clamp_min_(FLOOR).exp_()
        out[rows_again] = kernel.sum(1).log_().add_(largest[:, 0])
    out.sub_(math.log(right.shape[1]))
