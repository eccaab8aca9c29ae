"""The consensus of several partitions, and which of some candidates keeps it best (ours)."""

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.utils.validation import validate_data

from mixnet_core.choosing.starts import _spread_out
from mixnet_core.data import checks
from mixnet_core.data.loaders import as_matrix


class Consensus(ClusterMixin, BaseEstimator):
    """The partition that several partitions of the same points agree on most.

    k-means on the indicators of the clusters that each point is in: the consensus of Wu, Liu,
    Xiong, Cao and Chen (*K-means-based consensus clustering*, TKDE 2015) with their utility U_c.
    The clusterings may come from any methods and any features. Those of one cluster and crumbs
    are left out where there are others: fewer effective clusters (exp of the entropy of their
    sizes) than (1 + K) / 2. No label is seen.

    Parameters
    ----------
    n_clusters : int
    n_init : int
        Starts of k-means, of which the one of least inertia is kept.
    random_state : int
        Of k-means.

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n,)
        The consensus.
    values_ : dict
        ``agreement_0``, ``agreement_1`` …: normalised mutual information in [0, 1] of the
        consensus and each candidate that was not left out.
    """

    def __init__(self, n_clusters=8, n_init=20, random_state=0):
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.random_state = random_state

    def fit(self, X, y=None, candidates=None):
        """Find the consensus of `candidates`; of X only the number of rows is used.

        Parameters
        ----------
        X : array of float, shape (n, p)
        y : ignored
        candidates : array of int, shape (n, m), optional
            Column c holds the labels in 0..K-1 that partition c gives to the n points. One run of
            k-means on X by default, whose consensus is itself.

        Raises
        ------
        ValueError
            If the candidates do not fit X, or X has fewer rows than clusters.
        """
        X = _points(self, X)
        checks.whole("n_init", self.n_init, 1)
        seed = checks.check_seed(self.random_state)
        if candidates is None:
            candidates = (
                KMeans(self.n_clusters, n_init=1, random_state=seed).fit(X).labels_[:, None]
            )
        candidates = _labels(candidates, len(X), self.n_clusters)
        kept = _spread_out(candidates, self.n_clusters)
        indicators = np.hstack(
            [np.eye(self.n_clusters, dtype=np.float32)[candidates[:, c]] for c in kept]
        )
        # As many clusters as there are different rows: fewer where the candidates have fewer.
        k = min(self.n_clusters, len(np.unique(candidates[:, kept], axis=0)))
        found = KMeans(k, n_init=self.n_init, random_state=seed).fit(indicators).labels_
        self.labels_ = found.astype(np.int64)
        self.values_ = {f"agreement_{c}": _agreement(candidates[:, c], found) for c in kept}
        return self


class ClosestPartition(ClusterMixin, BaseEstimator):
    """Of several candidates, the one that agrees most with a reference, the last of them.

    The reference is the partition that the candidates started from, in the codes of different
    embeddings: where training leaves it as it is, the codes have its clusters. Agreement is
    normalised mutual information; of equal ones the first is taken. No label is seen.

    Parameters
    ----------
    n_clusters : int
    random_state : int
        Of the k-means that stands in for candidates where none are given; else without effect.

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n,)
        The chosen candidate.
    values_ : dict
        ``chosen`` (its column) and ``agreement_0``, ``agreement_1`` …, in [0, 1].
    """

    def __init__(self, n_clusters=8, random_state=0):
        self.n_clusters = n_clusters
        self.random_state = random_state

    def fit(self, X, y=None, candidates=None):
        """Choose among all columns of `candidates` but the last, which is the reference.

        Parameters
        ----------
        X : array of float, shape (n, p)
            Only the number of its rows is used.
        y : ignored
        candidates : array of int, shape (n, m + 1), optional
            Labels in 0..K-1. A run of k-means, twice, by default.

        Raises
        ------
        ValueError
            If the candidates do not fit X or there is no column beside the reference, or X has
            fewer rows than clusters.
        """
        X = _points(self, X)
        seed = checks.check_seed(self.random_state)
        if candidates is None:
            candidates = KMeans(self.n_clusters, n_init=1, random_state=seed).fit(X).labels_
            candidates = np.column_stack([candidates, candidates])
        candidates = _labels(candidates, len(X), self.n_clusters)
        if candidates.shape[1] < 2:
            raise ValueError(
                "candidates must have a column beside the reference, which is the last; "
                f"got shape {candidates.shape}"
            )
        *tried, reference = candidates.T
        agreements = [_agreement(labels, reference) for labels in tried]
        best = int(np.argmax(agreements))
        self.labels_ = candidates[:, best].astype(np.int64)
        self.values_ = {
            "chosen": best,
            **{f"agreement_{c}": value for c, value in enumerate(agreements)},
        }
        return self


def _points(estimator, X) -> np.ndarray:
    checks.whole("n_clusters", estimator.n_clusters, 1)
    X = validate_data(estimator, as_matrix(X), dtype="float64", ensure_min_samples=2)
    if len(X) < estimator.n_clusters:
        raise ValueError(f"n_clusters={estimator.n_clusters} is more than n_samples={len(X)} of X")
    return X


def _labels(candidates, n: int, k: int) -> np.ndarray:
    candidates = np.asarray(as_matrix(candidates, "candidates"))
    shaped = candidates.ndim == 2 and len(candidates) == n and candidates.shape[1]
    if not shaped or candidates.dtype.kind not in "iu":
        raise ValueError(
            f"candidates must be integers of shape ({n}, m), m at least 1; "
            f"got shape {candidates.shape}, dtype {candidates.dtype}"
        )
    if candidates.min() < 0 or candidates.max() >= k:
        raise ValueError(
            f"candidates must lie in 0..{k - 1}; got {candidates.min()}..{candidates.max()}"
        )
    return candidates


def _agreement(labels, others) -> float:
    return float(normalized_mutual_info_score(labels, others))
