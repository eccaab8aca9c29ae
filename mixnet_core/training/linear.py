"""The linear stage (ours): a Gaussian mixture from the initial clusters, in closed form.

Networks whose last layer is zero and whose linear path is small are Gaussians; this puts them where
EM of Gaussians ends, so that the networks only have to learn what is not linear. All in float64 on
the CPU, and equivariant: data under a linear map give the mapped mixture.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ITERATIONS = 100
PATIENCE = 10
MIN_GAIN = 1e-4  # nats a point
NARROWEST, LEAST = 1e-6, 1e-9  # variance of a singular kernel: share of the largest one, at least


@dataclass(frozen=True)
class Gaussians:
    """Weights (K,), means (K, p) and covariances (K, p, p) of a Gaussian mixture.

    Attributes
    ----------
    strength : float
        ν, points that the pooled covariance counts for in each component.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    strength: float

    def log_joint(self, x: Tensor) -> Tensor:
        """log(π_j N(x_i; μ_j, C_j)), shape (N, K)."""
        out = torch.empty(len(x), len(self.weights), dtype=torch.float64)
        roots = lower_root(self.covariances)
        p = x.shape[1]
        for j, root in enumerate(roots):
            e = torch.linalg.solve_triangular(root, (x - self.means[j]).T, upper=False)
            out[:, j] = -0.5 * e.square().sum(0) - root.diagonal().log().sum()
        return out - 0.5 * p * math.log(2 * math.pi) + self.weights.clamp_min(1e-300).log()


def estimate(x: Tensor, m: Tensor, strength: float, equal_volumes: bool = False) -> Gaussians:
    """The Gaussians that maximise the posterior given memberships.

    C_j = (Σ_i m_ij (x_i - μ_j)(x_i - μ_j)ᵀ + ν P) / (n_j + ν), with P the pooled covariance: an
    inverse Wishart prior, so that clusters of few points have a covariance.

    Parameters
    ----------
    x : Tensor of float64, shape (N, p)
    m : Tensor of float64, shape (N, K)
    strength : float
        ν.
    equal_volumes : bool
        Give all C_j one determinant (the model EVV of Celeux & Govaert 1995). Free volumes let EM
        sort points into tight and broad components instead of places.
    """
    counts = m.sum(0)
    means = (m.T @ x) / counts.clamp_min(1e-12).unsqueeze(1)
    means = torch.where((counts > 1e-9).unsqueeze(1), means, x.mean(0))
    sums = []
    for j in range(m.shape[1]):
        centred = x - means[j]
        sums.append((m[:, j, None] * centred).T @ centred)
    sums = torch.stack(sums)
    covariances = shrunk(sums, counts, strength)
    weights = counts / counts.sum()
    if equal_volumes:
        volumes = torch.linalg.slogdet(covariances)[1]
        factor = (((weights * volumes).sum() - volumes) / x.shape[1]).exp()
        covariances = covariances * factor.view(-1, 1, 1)
    return Gaussians(weights, means, covariances, strength)


def shrunk(sums: Tensor, counts: Tensor, strength: float) -> Tensor:
    """Covariances (K, p, p) from sums of outer products (K, p, p), pulled to the pooled one."""
    pooled = sums.sum(0) / counts.sum()
    variances = pooled.diagonal()
    least = 1e-6 * variances.mean().clamp_min(1e-12)
    pooled = pooled + torch.diag(1e-3 * variances + least)
    total = sums + strength * pooled
    total = (total + total.mT) / 2
    return total / (counts + strength).view(-1, 1, 1)


def lower_root(covariances: Tensor) -> Tensor:
    """Lower triangular R_j with R_j R_jᵀ = C_j, shape (K, p, p).

    Points on a curve without noise, or all in one place, leave a covariance that is singular to
    the last digit: where one is, its variances are raised to where float32 still tells points
    apart.
    """
    roots, failed = torch.linalg.cholesky_ex(covariances)
    if not failed.any():
        return roots
    values, vectors = torch.linalg.eigh(covariances[failed > 0])
    least = (NARROWEST * values.amax(1, keepdim=True)).clamp_min(LEAST)
    raised = (vectors * torch.maximum(values, least).unsqueeze(1)) @ vectors.mT
    roots[failed > 0] = torch.linalg.cholesky(raised)
    return roots


def linear_stage(x: Tensor, held_out: Tensor, labels: Tensor, k: int) -> Gaussians:
    """EM of Gaussians of equal volume from hard clusters.

    The best by held-out likelihood of all iterations and of three ν, what the clusters themselves
    give included.

    Parameters
    ----------
    x, held_out : Tensor of float64, shape (N, p), (n, p)
    labels : Tensor of int64, shape (N,)
    k : int
        K.
    """
    p, best, found = x.shape[1], -math.inf, None
    for strength in (0.1 * p, p + 2.0, 10.0 * p):
        m, top, since = torch.nn.functional.one_hot(labels, k).double(), -math.inf, 0
        for _ in range(ITERATIONS):
            model = estimate(x, m, strength, equal_volumes=True)
            value = float(model.log_joint(held_out).logsumexp(1).mean())
            top, since = (value, 0) if value > top + MIN_GAIN else (top, since + 1)
            if value > best:
                best, found = value, model
            if since >= PATIENCE:
                break
            m = model.log_joint(x).softmax(1)
    return found


def frames(model: Gaussians) -> Tensor:
    """L_j (K, p, p) with L_j L_jᵀ = C_j: principal directions, the leading ones first."""
    values, vectors = torch.linalg.eigh(model.covariances)
    return vectors.flip(2) * values.flip(1).clamp_min(1e-300).sqrt().unsqueeze(1)
