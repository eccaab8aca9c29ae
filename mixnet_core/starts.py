"""Which of several initial clusterings to start from, by held-out likelihood (ours)."""

import numpy as np
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.model_selection import KFold

from mixnet_core.generators import parse_structure
from mixnet_core.validation import check_points

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
        candidate, in nats a point.
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
        candidates : array of int, shape (n, m)
            Column c holds the labels that candidate c gives to the n points.

        Raises
        ------
        ValueError
            If X is not a finite matrix of at least `n_folds` rows, or the candidates do not fit it.
        """
        X = check_points(X, minimum=self.n_folds).astype(np.float64)
        candidates = np.asarray(candidates)
        if candidates.ndim != 2 or len(candidates) != len(X) or candidates.dtype.kind not in "iu":
            raise ValueError(
                f"candidates must be integers of shape ({len(X)}, m); "
                f"got shape {candidates.shape}, dtype {candidates.dtype}"
            )
        n_dims = parse_structure(self.structure)[0]
        floor = NOISE_FLOOR * X.var(0).mean()
        folds = KFold(self.n_folds, shuffle=True, random_state=int(self.random_state))
        scores = np.zeros(candidates.shape[1])
        for train, held_out in folds.split(X):
            for c, labels in enumerate(candidates.T):
                log_lik = partition_log_likelihood(
                    X[train], labels[train], X[held_out], n_dims, floor
                )
                scores[c] += log_lik.sum() / len(X)
        best = int(scores.argmax())
        self.labels_ = candidates[:, best].astype(np.int64)
        self.values_ = {"chosen": best, **{f"score_{c}": float(s) for c, s in enumerate(scores)}}
        return self


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
