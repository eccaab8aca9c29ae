"""Choices made from the data without labels: length scale, kernel widths, batch size."""

import torch
from torch import Tensor

from mixnet_core.likelihood import Noise, log_likelihood
from mixnet_core.memberships import mixture_log_likelihood


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
