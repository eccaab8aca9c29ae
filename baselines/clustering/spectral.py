"""Spectral clustering as a user of scikit-learn has it, on a sparse or on a full affinity.

The suite's own `ncut` is the careful version; this one stands for what section 4.1.1 calls
"clustering algorithms based on similarity matrices, such as spectral clustering".
"""

from __future__ import annotations

import warnings
from numbers import Integral

import numpy as np
import scipy.sparse as sp
import sklearn.cluster
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform
from sklearn.base import BaseEstimator, ClusterMixin

from .graph import check_number, check_points, nearest_neighbours, positive_median


def neighbour_affinity(X: np.ndarray, n_neighbors: int) -> sp.csr_matrix:
    """Mean of the 0/1 graph of nearest neighbours and its transpose, as scikit-learn makes it.

    A point counts as the first of its own neighbours. (n, n), about n n_neighbors entries.
    """
    n = len(X)
    index = np.c_[np.arange(n), nearest_neighbours(X, n_neighbors - 1)[0]]
    graph = sp.csr_matrix(
        (np.ones(index.size), index.ravel(), np.arange(n + 1) * index.shape[1]), shape=(n, n)
    )
    return sp.csr_matrix(0.5 * (graph + graph.T))


def full_affinity(X: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Affinities of all pairs with local scales: ``exp(-|x_i - x_j|^2 / (s_i s_j))``.

    s_i is the distance of x_i to its `n_neighbors`-th other point (Zelnik-Manor and Perona,
    "Self-tuning spectral clustering", NIPS 2004, who take the seventh). (n, n), dense.
    """
    scale = np.sqrt(nearest_neighbours(X, n_neighbors)[1][:, -1])
    scale = np.where(scale > 0, scale, positive_median(scale))  # duplicates have no distance
    affinity = squareform(pdist(np.asarray(X, dtype=np.float64), "sqeuclidean"))
    affinity /= scale[:, None]
    affinity /= -scale
    return np.exp(affinity, out=affinity)


AFFINITIES = {"neighbours": neighbour_affinity, "full": full_affinity}


class Spectral(ClusterMixin, BaseEstimator):
    """scikit-learn's spectral clustering: eigenvectors by ARPACK, then k-means on their rows.

    Parameters
    ----------
    n_clusters : clusters and eigenvectors, 1..n.
    affinity : "neighbours" for a sparse graph, "full" for all pairs.
    n_neighbors : of the graph, the point itself included; or that which sets the local scale.
    n_init : starts of k-means on the eigenvectors.
    random_state : int, RandomState or None; start of ARPACK, starts of k-means.

    Attributes
    ----------
    labels_ : (n,) int64.
    values_ : dict; ``graph_components``, the connected parts of the affinity. More than n_clusters
        of them leave scikit-learn an arbitrary choice.
    """

    def __init__(
        self, n_clusters=8, *, affinity="neighbours", n_neighbors=10, n_init=10, random_state=None
    ):
        self.n_clusters = n_clusters
        self.affinity = affinity
        self.n_neighbors = n_neighbors
        self.n_init = n_init
        self.random_state = random_state

    def affinity_matrix(self, X):
        """The affinities of X (n, d): (n, n), sparse or dense. Raises as `fit`."""
        X = check_points(self, X, min_samples=2)
        check_number("n_neighbors", self.n_neighbors, Integral, 1)
        if self.affinity not in AFFINITIES:
            raise ValueError(
                f"affinity must be one of {sorted(AFFINITIES)}, got {self.affinity!r}."
            )
        return AFFINITIES[self.affinity](X, self.n_neighbors)

    def fit(self, X, y=None):
        """Cluster X (n, d); y is ignored. Raises ValueError or TypeError on bad input."""
        check_number("n_init", self.n_init, Integral, 1)
        matrix = self.affinity_matrix(X)
        components = connected_components(matrix, directed=False, return_labels=False)
        if sp.issparse(matrix) and self.n_clusters >= matrix.shape[0]:
            matrix = matrix.toarray()  # ARPACK finds fewer eigenvectors than there are points
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Graph is not fully connected")  # see values_
            warnings.filterwarnings("ignore", "k >= N")
            found = sklearn.cluster.SpectralClustering(
                self.n_clusters,
                affinity="precomputed",
                eigen_solver="arpack",
                assign_labels="kmeans",
                n_init=self.n_init,
                random_state=self.random_state,
            ).fit(matrix)
        self.labels_ = found.labels_.astype(np.int64)
        self.values_ = {"graph_components": int(components)}
        return self
