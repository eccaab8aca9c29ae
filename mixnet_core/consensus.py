"""One partition out of several: the start of `mixnet+` (ours, not in the paper)."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans


class ConsensusClustering(ClusterMixin, BaseEstimator):
    """Spectral consensus of hard partitions.

    Two points are as similar as the number of partitions that put them together, each divided by
    the size of the cluster. With H the points × clusters indicator matrix and D its column sums,
    that similarity is H D⁻¹ Hᵀ; its leading eigenvectors are the left singular vectors of H D^-½,
    which has only as many columns as there are clusters. Rows are normalised and clustered by
    k-means, as in spectral clustering (cf. Strehl & Ghosh 2002; Fern & Brodley 2004).

    A partition that has collapsed, nearly all points in a few clusters, says little: one whose
    perplexity (exponential of the entropy of its cluster sizes, the effective number of clusters)
    is below a share of `n_clusters` is left out.

    Parameters
    ----------
    n_clusters : int
    n_init : int
        k-means starts.
    min_perplexity : float
        Share of `n_clusters` below which a partition counts as collapsed.
    random_state : int

    Attributes
    ----------
    labels_ : ndarray of int, shape (n,)
    values_ : dict
        ``members``, the number of partitions that entered.
    """

    def __init__(self, n_clusters=8, n_init=20, min_perplexity=2 / 3, random_state=0):
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.min_perplexity = min_perplexity
        self.random_state = random_state

    def fit(self, X, y=None, fallback=None):
        """Combine partitions.

        Parameters
        ----------
        X : array of int, shape (n, m)
            Column r holds the labels that partition r gives to the n points.
        y : ignored
        fallback : array of int, shape (n,), optional
            The result where every partition has collapsed; if None, they all enter then.

        Raises
        ------
        ValueError
            If X is not a matrix of integers, or has fewer rows than clusters are asked for.
        """
        X = np.asarray(X)
        if X.ndim != 2 or X.dtype.kind not in "iu" or X.shape[1] < 1:
            raise ValueError(
                "X must be integers of shape (points, partitions); "
                f"got shape {X.shape}, dtype {X.dtype}"
            )
        n = len(X)
        if n < self.n_clusters:
            raise ValueError(
                f"n_clusters must be at most {n}, the rows of X; got {self.n_clusters}"
            )
        wanted = self.min_perplexity * self.n_clusters
        members = [column for column in X.T if perplexity(column) >= wanted]
        self.values_ = {"members": len(members)}
        if not members and fallback is not None:
            self.labels_ = np.asarray(fallback, dtype=np.int64)
            return self
        blocks = []
        for column in members or X.T:
            codes = np.unique(column, return_inverse=True)[1]
            blocks.append(sp.csr_array((np.ones(n), (np.arange(n), codes))))
        indicator = sp.hstack(blocks, format="csr")
        indicator = indicator @ sp.diags_array(indicator.sum(0) ** -0.5)
        gram = (indicator.T @ indicator).toarray()
        values, vectors = np.linalg.eigh(gram)
        kept = [i for i in np.argsort(values)[::-1][: self.n_clusters] if values[i] > 1e-9]
        embedding = indicator @ (vectors[:, kept] / np.sqrt(values[kept]))
        norms = np.linalg.norm(embedding, axis=1, keepdims=True)
        embedding = embedding / np.where(norms > 0, norms, 1)
        k_means = KMeans(self.n_clusters, n_init=self.n_init, random_state=int(self.random_state))
        self.labels_ = k_means.fit(embedding).labels_.astype(np.int64)
        return self


def perplexity(labels) -> float:
    """Effective number of clusters: exp of the entropy of the cluster sizes, from 1 up to K."""
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(np.exp(-(shares * np.log(shares)).sum()))
