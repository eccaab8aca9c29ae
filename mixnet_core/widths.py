"""Choices made from the data without labels: length scale, kernel widths, batch size."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mixnet_core.likelihood import Noise, log_likelihood
from mixnet_core.memberships import mixture_log_likelihood

MOST_POINTS = 20_000  # of a cluster, where only a covariance is wanted
KERNELS = ("shared", "component", "covariance")
NOISE_FLOOR = 0.3  # least σ_j, as a share of the standard deviation of a feature in the cluster


def cluster_scale(x, labels: Tensor, generator: torch.Generator, n_pairs: int = 2000) -> float:
    """w, the median distance between two points of one initial cluster (ours).

    Every width of the model is a multiple of it. `n_pairs` random pairs of each cluster count,
    weighted by the size of the cluster.

    Parameters
    ----------
    x : Tensor or Points, shape (N, p)
    labels : Tensor of int64, shape (N,)

    Returns
    -------
    float
        Positive; where all points of every cluster coincide, the spread of the whole data, or 1.
    """
    distances, weights = [], []
    for j in labels.unique().tolist():
        members = torch.nonzero(labels == j).flatten()
        if len(members) < 2:
            continue
        first = torch.randint(len(members), (n_pairs,), generator=generator)
        second = torch.randint(len(members) - 1, (n_pairs,), generator=generator)
        second = second + (second >= first)
        distances.append((x[members[first]] - x[members[second]]).norm(dim=1).cpu())
        weights.append(torch.full((n_pairs,), float(len(members)), dtype=torch.float64))
    if distances:
        values, order = torch.cat(distances).sort()
        cumulative = torch.cat(weights)[order].cumsum(0)
        median = float(values[int(torch.searchsorted(cumulative, cumulative[-1] / 2))])
        if median > 0:
            return median
    some = x[torch.arange(0, len(x), max(1, len(x) // 10_000))]
    spread = float(some.std(0, unbiased=False).norm()) * 2**0.5
    return spread if spread > 0 else 1.0


@dataclass(frozen=True)
class Clusters:
    """Moments of the initial clusters, on the CPU in float64.

    Attributes
    ----------
    centres : Tensor, shape (K, p)
        Means; that of all points for an empty cluster.
    spreads : Tensor, shape (K,)
        Standard deviation of a feature, root of the mean over the features.
    residuals : Tensor, shape (K,)
        The same of what the first `n_dims` principal directions leave: the noise of a probabilistic
        PCA (Tipping & Bishop 1999), which a network with `n_dims` inputs cannot reach were it
        linear.
    """

    centres: Tensor
    spreads: Tensor
    residuals: Tensor

    @classmethod
    def of(cls, x, labels: Tensor, n_components: int, n_dims: int) -> "Clusters":
        """Moments of K clusters of x (N, p); of small ones by what is true of the others.

        A cluster of one point or none has the mean spread of the others; one of at most
        n_dims + 1 points, which have no residual, the mean share of residual in spread.
        """
        p = x[torch.arange(1)].shape[1]
        centres = torch.zeros(n_components, p, dtype=torch.float64)
        variance = torch.full((n_components,), math.nan, dtype=torch.float64)
        left = variance.clone()
        for j in range(n_components):
            members = torch.nonzero(labels == j).flatten()[:MOST_POINTS]
            rows = x[members if len(members) else torch.arange(min(len(x), MOST_POINTS))]
            rows = rows.to("cpu", torch.float64)
            centres[j] = rows.mean(0)
            if len(members) < 2:
                continue
            rows = (rows - centres[j]) / math.sqrt(len(rows) - 1)
            total = rows.square().sum()
            variance[j] = total / p
            if len(rows) > n_dims + 1 and p > n_dims:
                gram = rows.T @ rows if p <= len(rows) else rows @ rows.T
                top = torch.linalg.eigvalsh(gram)[-n_dims:].clamp_min(0).sum()
                left[j] = (total - top).clamp_min(0) / (p - n_dims)
        counts = torch.bincount(labels, minlength=n_components).double()
        variance = _filled(variance, counts, 0.0)
        share = _filled(left / variance.clamp_min(1e-300), counts, 0.0)
        return cls(centres, variance.sqrt(), (share * variance).sqrt())

    def noise(self, kernel: str, scale: float) -> Tensor:
        """σ_j of which the candidates for eq. 4 are multiples, shape (K,), all positive.

        "shared": w / √(2p) for all, the standard deviation of a feature in a Gaussian cluster of
        scale w. "component": the residual, but at least a share of the spread.
        """
        shared = scale / math.sqrt(2 * self.centres.shape[1])
        if kernel == "shared":
            return torch.full_like(self.spreads, shared)
        least = NOISE_FLOOR * self.spreads.clamp_min(1e-3 * shared)
        return torch.maximum(self.residuals, least)


def _filled(values: Tensor, counts: Tensor, otherwise: float) -> Tensor:
    """NaN entries replaced by the mean of the others, weighted by `counts`."""
    known = ~values.isnan()
    weight = counts * known
    mean = (values.nan_to_num(0.0) * weight).sum() / weight.sum() if known.any() else otherwise
    return torch.where(known, values, torch.as_tensor(mean, dtype=values.dtype))


def choose_widths(
    x: Tensor, samples: Tensor, priors: Tensor, noise: Noise, factors
) -> tuple[float, float]:
    """The factor of all σ_j of eq. 4 under which held-out points are most likely.

    Parameters
    ----------
    x : Tensor, shape (n, p)
        Points that no network was trained on.
    samples : Tensor, shape (K, S, p)
    priors : Tensor, shape (K,)
    noise : Noise
    factors : sequence of float
        Candidates; the smallest is the floor.

    Returns
    -------
    factor, mean_log_likelihood : float
        The latter in nats a point.
    """
    factors = sorted(map(float, factors))
    scores = [
        float(mixture_log_likelihood(log_likelihood(x, samples, noise * f), priors).mean())
        for f in factors
    ]
    best = max(range(len(factors)), key=scores.__getitem__)
    return factors[best], scores[best]


def choose_batch_size(n_points: int, n_components: int, largest: int, share: float) -> int:
    """B = min(largest, a `share` of the mean cluster), at least 2 (ours).

    The batches of Algorithm 2 are cut from one long row of points, so one in each cluster straddles
    a border; a batch as large as a cluster would leave the networks hardly a batch of their own,
    and those without one die out.
    """
    return max(2, min(largest, int(share * n_points / n_components), n_points))
