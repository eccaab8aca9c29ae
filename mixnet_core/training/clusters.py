"""The initial clusters (§3.1): found, and their moments."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from torch import Tensor

from mixnet_core.data.points import Units, on_disk

START_ROWS = 200_000  # rows that the initial clustering sees where the data are on disk
MOST_POINTS = 20_000  # of a cluster, where only a covariance is wanted
MOST_FOR_A_GRAPH = 20_000  # points of which neighbours are looked for
FEW_POINTS = 3_000  # up to so many, one division into fitted and held-out points is not enough
NOISE_FLOOR = 0.3  # least σ_j, as a share of the standard deviation of a feature in the cluster


def initial_clusters(init, X, units: Units, seed: int, k: int, linear=False) -> np.ndarray:
    """Labels of the initial clustering; where X is on disk, found on a random part of it.

    Parameters
    ----------
    init : None or clusterer
        k-means, the best of ten starts, where None; with `linear`, the :func:`likelier` of that
        and a spectral partition. They see the data in standard units, so that neither place nor
        units matter; a clusterer of the user's, copied, sees them as they are.
    X : ndarray or memmap, shape (n, p)
    units : Units
        The standard units.
    seed : int
    k : int
        K.
    linear : bool
        Whether a linear stage will move the clusters first.

    Returns
    -------
    ndarray of int64, shape (n,)
        In 0..K-1.

    Raises
    ------
    ValueError
        If `init` finds more than K clusters, or cannot predict and X is on disk.
    """
    own = init is None
    start = KMeans(k, n_init=10, random_state=seed) if own else clone(init)

    def seen(rows):
        return units.put(X[rows]).numpy() if own else np.array(X[rows])

    if on_disk(X) and len(X) > START_ROWS:
        if not hasattr(start, "predict"):
            raise ValueError(
                f"init must have predict where X is on disk; {type(start).__name__} has not"
            )
        rows = np.sort(np.random.default_rng(seed).choice(len(X), START_ROWS, replace=False))
        start.fit(seen(rows))
        parts = np.array_split(np.arange(len(X)), -(-len(X) // START_ROWS))
        found = np.concatenate([start.predict(seen(part)) for part in parts])
    else:
        rows = seen(slice(None))
        found = start.fit_predict(rows)
        if own and linear and len(X) <= MOST_FOR_A_GRAPH:
            found = likelier(rows, found, seed, k)
    if found.min() < 0:  # DBSCAN and its like leave noise out: a cluster of its own
        found = np.where(found < 0, found.max() + 1, found)
    if found.max() >= k:
        raise ValueError(
            f"init must find at most n_components={k} clusters; "
            f"{type(start).__name__} found {found.max() + 1}"
        )
    return found.astype(np.int64)


def likelier(X, found, seed: int, k: int) -> np.ndarray:
    """Of the labels `found` and a spectral partition, where there is one, the likelier start.

    K-means cuts clusters that are long and curved, and a spectral partition follows them; on others
    it is no better. Which it is, held-out points say after a linear stage from either.
    """
    from mixnet_core.choosing.spectral import spectral_partition
    from mixnet_core.choosing.starts import StartSelection

    other = spectral_partition(X, k, seed)
    if other is None:
        return found
    n_splits = 3 if len(X) <= FEW_POINTS else 1
    choice = StartSelection(k, n_splits=n_splits, random_state=seed)
    return choice.fit(X, candidates=np.column_stack([found, other])).labels_


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
