"""Which of several initial clusterings to start from, by held-out likelihood (ours)."""

import numpy as np
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.model_selection import KFold
from sklearn.utils.validation import validate_data

from mixnet_core.data import checks
from mixnet_core.data.loaders import as_matrix
from mixnet_core.data.points import Units
from mixnet_core.networks.structure import parse_structure

N_RUNS = 5  # of k-means, where no candidates are given
NOISE_FLOOR = 1e-3  # smallest noise variance, as a share of the mean variance of a feature


class StartSelection(ClusterMixin, BaseEstimator):
    """The candidate partition under which held-out points are most likely.

    Each cluster of a candidate is given a probabilistic PCA (Tipping & Bishop 1999) with as many
    dimensions as the networks' random input: what a component would be if its network were
    linear. The candidates are compared by the log-likelihood of the mixture of these on held-out
    points, every point being held out once. No label is seen, and no network is trained.

    Parameters
    ----------
    n_clusters : int
    structure : str
        Structure of the networks that will start there; its first number is the PCA's dimension.
    n_folds : int
    random_state : int
        Of the folds.

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n,)
        The chosen candidate.
    values_ : dict
        ``chosen`` (its column) and ``score_0``, ``score_1`` …: mean held-out log-likelihood of each
        candidate, in nats a point, where a feature has variance 1 on average.
    """

    def __init__(self, n_clusters=8, structure="10-64-32", n_folds=10, random_state=0):
        self.n_clusters = n_clusters
        self.structure = structure
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X, y=None, candidates=None):
        """Choose among `candidates` on the points X.

        Parameters
        ----------
        X : array of float, shape (n, p)
        y : ignored
        candidates : array of int, shape (n, m), optional
            Column c holds the labels that candidate c gives to the n points. Five runs of k-means
            by default.

        Raises
        ------
        ValueError
            If X is not a finite matrix of at least `n_folds` rows, all of which are not equal, or
            the candidates do not fit it.
        """
        checks.whole("n_folds", self.n_folds, 2)
        X = validate_data(
            self, as_matrix(X), dtype="float64", ensure_min_samples=max(2, self.n_folds)
        )
        X = _standard(X)
        if candidates is None:
            candidates = self._k_means(X)
        candidates = np.asarray(as_matrix(candidates, "candidates"))
        if candidates.ndim != 2 or len(candidates) != len(X) or candidates.dtype.kind not in "iu":
            raise ValueError(
                f"candidates must be integers of shape ({len(X)}, m); "
                f"got shape {candidates.shape}, dtype {candidates.dtype}"
            )
        n_dims = parse_structure(self.structure)[0]
        seed = checks.check_seed(self.random_state)
        folds = KFold(self.n_folds, shuffle=True, random_state=seed)
        scores = np.zeros(candidates.shape[1])
        for train, held_out in folds.split(X):
            for c, labels in enumerate(candidates.T):
                log_lik = partition_log_likelihood(
                    X[train], labels[train], X[held_out], n_dims, NOISE_FLOOR
                )
                scores[c] += log_lik.sum() / len(X)
        if not np.isfinite(scores).all():
            raise ValueError(f"candidates must have finite scores on X; got {scores.tolist()}")
        best = int(scores.argmax())
        self.labels_ = candidates[:, best].astype(np.int64)
        self.values_ = {"chosen": best, **{f"score_{c}": float(s) for c, s in enumerate(scores)}}
        return self


    def _k_means(self, X) -> np.ndarray:
        checks.whole("n_clusters", self.n_clusters, 1)
        seeds = np.random.SeedSequence(checks.check_seed(self.random_state)).generate_state(N_RUNS)
        runs = [
            KMeans(self.n_clusters, n_init=1, random_state=seed).fit_predict(X)
            for seed in seeds.tolist()
        ]
        return np.column_stack(runs)


def _standard(X: np.ndarray) -> np.ndarray:
    """X around its mean, in units in which a feature has variance 1 on average, in float64."""
    units = Units.spread(X)
    Z = (X - units.origin - units.shift) * units.scale
    if not Z.any():
        raise ValueError("X must have points that differ; all rows are equal")
    return Z


def partition_log_likelihood(X, labels, held_out, n_dims: int, floor: float) -> np.ndarray:
    """log Σ_j π_j p_j(x) of held-out points, p_j a probabilistic PCA of cluster j.

    Parameters
    ----------
    X, labels : arrays of shape (n, p), (n,)
        Points and clusters to fit to.
    held_out : array, shape (m, p)
    n_dims : int
        Principal directions of each cluster; fewer where it has too few points.
    floor : float
        Smallest noise variance.

    Returns
    -------
    ndarray, shape (m,)
    """
    p = X.shape[1]
    parts = []
    for j in np.unique(labels):
        members = X[labels == j]
        mean = members.mean(0)
        values, vectors = np.linalg.eigh(
            (members - mean).T @ (members - mean) / max(1, len(members) - 1)
        )
        n_kept = max(0, min(n_dims, len(members) - 2, p - 1))
        noise = max(values[: p - n_kept].mean(), floor)
        values = np.concatenate([np.full(p - n_kept, noise), values[p - n_kept :].clip(noise)])
        distance = (np.square((held_out - mean) @ vectors) / values).sum(1)
        density = -0.5 * (distance + np.log(2 * np.pi * values).sum())
        parts.append(np.log(len(members) / len(X)) + density)
    return logsumexp(parts, axis=0)
